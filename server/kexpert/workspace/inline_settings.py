"""The settings of inline completion, in the terms of the model and of the feature. Loads neither."""

from __future__ import annotations

import math
import posixpath
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kexpert.workspace.settings import Settings

if TYPE_CHECKING:
    from kexpert.features.inline.suggest import Settings as InlineConfig
    from kexpert.model.engine import ModelSettings

#: log(0) is minus infinity, so a probability is at least this.
_MIN_PROBABILITY = 1e-9


def is_on(settings: Settings, path: str) -> bool:
    """Whether inline completion is wanted for a file, by its path in the tree."""
    return not why_off(settings, path)


def why_off(settings: Settings, path: str) -> str:
    """Which setting turns inline completion off for a file; "" if none does."""
    if not settings.inline_enabled:
        return "inline.enabled is off"
    excluding = (pattern for pattern in settings.inline_exclude if _covers(pattern, path))
    return next((f"inline.exclude has {pattern!r}" for pattern in excluding), "")


def _covers(pattern: str, path: str) -> bool:
    """Whether a glob means a file or a folder around it, however it is spelt: ``net``, ``net/``, ``./net/*``."""
    path, pattern = _from_root(path), _from_root(pattern)
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern.rstrip('/')}/*")


def _from_root(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def wanted_model(settings: Settings) -> ModelSettings:
    """Which model the settings name."""
    from kexpert.model.engine import ModelSettings

    return ModelSettings(
        settings.model_path,
        settings.model_url,
        settings.model_name,
        settings.model_api,  # type: ignore[arg-type]
        settings.model_threads,
        settings.model_context,
        settings.model_device,  # type: ignore[arg-type]
    )


def inline_config(settings: Settings, explicit: bool) -> InlineConfig:
    """``explicit``: the user pressed the key, so low-confidence suggestions are shown too."""
    from kexpert.features.inline.suggest import Settings as InlineConfig

    min_logprob = -math.inf if explicit else math.log(max(settings.inline_confidence, _MIN_PROBABILITY))
    return InlineConfig(settings.inline_tokens, settings.inline_lines, min_logprob)
