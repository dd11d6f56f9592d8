"""The settings of inline completion in the terms of the model and of the feature. Loads neither."""

from __future__ import annotations

import math
import posixpath
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kexpert.workspace.settings import Options

if TYPE_CHECKING:
    from kexpert.features.inline.suggest import Settings
    from kexpert.model.engine import ModelSettings

#: The logarithm of no probability at all would be infinite.
_TINY = 1e-9


def is_on(options: Options, path: str) -> bool:
    """Whether inline completion is wanted for a file, by its path in the tree."""
    return not why_off(options, path)


def why_off(options: Options, path: str) -> str:
    """The setting by which there is no inline completion for a file; "" where there is."""
    if not options.inline_enabled:
        return "inline.enabled is off"
    excluding = (pattern for pattern in options.inline_exclude if _covers(pattern, path))
    return next((f"inline.exclude has {pattern!r}" for pattern in excluding), "")


def _covers(pattern: str, path: str) -> bool:
    """Whether a glob means a file or a folder around it, however it is spelt: ``net``, ``net/``, ``./net/*``."""
    path, pattern = _from_root(path), _from_root(pattern)
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern.rstrip('/')}/*")


def _from_root(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def wanted_model(options: Options) -> ModelSettings:
    """The part of the settings that says which model."""
    from kexpert.model.engine import ModelSettings

    return ModelSettings(
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
