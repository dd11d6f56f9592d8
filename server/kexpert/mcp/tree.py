"""What the tools need of a tree that is served; ``workspace`` has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kexpert.workspace.snapshot import Snapshot


class Tree(Protocol):
    """A tree and its index, which may still be growing. Any thread may ask."""

    root: Path

    def snapshot(self) -> Snapshot:
        """The tree as it is now."""

    def state_lines(self) -> list[str]:
        """The state of its index and its search, for people."""
