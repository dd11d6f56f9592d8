"""The settings of inline completion, in the terms of the model and of the feature. Loads neither."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from kexpert.core.paths import PathPatterns
from kexpert.workspace.settings import Settings

if TYPE_CHECKING:
    from kexpert.features.inline.suggest import InlineConfig
    from kexpert.model.types import ModelSettings

#: log(0) is minus infinity, so a probability is at least this.
_MIN_PROBABILITY = 1e-9


def is_on(settings: Settings, path: str) -> bool:
    """Whether inline completion is wanted for a file, by its path in the tree."""
    return not why_off(settings, path)


def why_off(settings: Settings, path: str) -> str:
    """Which setting turns inline completion off for a file; "" if none does."""
    if not settings.inline_enabled:
        return "inline.enabled is off"
    pattern = _patterns(settings.inline_exclude).matching(path)
    return f"inline.exclude has {pattern!r}" if pattern else ""


_patterns = lru_cache(maxsize=4)(PathPatterns)


def wanted_model(settings: Settings) -> ModelSettings:
    """Which model the settings name, or, where they name none, ``kexpert models use``."""
    from kexpert.model.registry import models_in_use
    from kexpert.model.types import ModelSettings

    installed = models_in_use().complete

    return ModelSettings(
        settings.model_path,
        settings.model_url,
        settings.model_name,
        settings.model_api,  # type: ignore[arg-type]
        settings.model_threads,
        settings.model_context,
        settings.model_device,  # type: ignore[arg-type]
        str(installed.path) if installed else "",
    )


def inline_config(settings: Settings, explicit: bool) -> InlineConfig:
    """``explicit``: the user pressed the key, so low-confidence suggestions are shown too."""
    from kexpert.features.inline.suggest import InlineConfig

    min_logprob = -math.inf if explicit else math.log(max(settings.inline_confidence, _MIN_PROBABILITY))
    return InlineConfig(settings.inline_tokens, settings.inline_lines, min_logprob)
