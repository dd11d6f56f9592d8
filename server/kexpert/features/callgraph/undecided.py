"""A view for which no configuration decides.

Ranking by the configuration walks through the headers of the asking file, a fraction of a second each. A chain asks in
dozens of files, and the struct of an operation seldom depends on an option.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from kexpert.core.kernel.configuration import Configuration
from kexpert.view import View


class _Undecided(Configuration):
    """Decides nothing, not even that the asking file is built."""

    @property
    def is_decided(self) -> bool:
        return False

    def under(self, facts: Iterable[tuple[str, bool]]) -> Configuration:
        return self

    def of_arch(self, arch: str) -> Configuration:
        return self


class _WithoutConfiguration:
    def __init__(self, view: View) -> None:
        self._view = view
        self.configuration = _Undecided(view.configuration.arch, decides_arch=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


def without_configuration(view: View) -> View:
    """The same view, whose answers about variants do not ask the configuration."""
    return cast(View, _WithoutConfiguration(view))
