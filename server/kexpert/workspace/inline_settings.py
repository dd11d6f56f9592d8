"""The settings of inline completion in the terms of the model and of the feature. Loads neither."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from kexpert.core.paths import PathPatterns
from kexpert.workspace.settings import Options

if TYPE_CHECKING:
    from kexpert.features.inline.suggest import Settings
    from kexpert.model.engine import Wanted

#: The logarithm of no probability at all would be infinite.
_TINY = 1e-9


def is_on(options: Options, path: str) -> bool:
    """Whether inline completion is wanted for a file, by its path in the tree."""
    return not why_off(options, path)


def why_off(options: Options, path: str) -> str:
    """The setting by which there is no inline completion for a file; "" where there is."""
    if not options.inline_enabled:
        return "inline.enabled is off"
    pattern = _patterns(options.inline_exclude).matching(path)
    return f"inline.exclude has {pattern!r}" if pattern else ""


_patterns = lru_cache(maxsize=4)(PathPatterns)


def wanted_model(options: Options) -> Wanted:
    """The part of the settings that says which model."""
    from kexpert.model.engine import Wanted

    return Wanted(
        options.model_path,
        options.model_url,
        options.model_name,
        options.model_api,  # type: ignore[arg-type]
        options.model_threads,
        options.model_context,
        options.model_device,  # type: ignore[arg-type]
    )


def settings_of(options: Options, asked: bool) -> Settings:
    """``asked``: somebody pressed a key for a suggestion, so one that is unsure is shown too."""
    from kexpert.features.inline.suggest import Settings

    least = -math.inf if asked else math.log(max(options.inline_confidence, _TINY))
    return Settings(options.inline_tokens, options.inline_lines, least)
