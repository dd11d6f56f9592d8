"""The settings of inline completion in the terms of the model and of the feature. Loads neither."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kexpert.lsp.options import Options

if TYPE_CHECKING:
    from kexpert.features.inline import Settings
    from kexpert.model.engine import Wanted

#: The logarithm of no probability at all would be infinite.
_TINY = 1e-9


def is_on(options: Options, path: str) -> bool:
    """Whether inline completion is wanted for a file, by its path in the tree."""
    return options.inline_enabled and not any(fnmatchcase(path, pattern) for pattern in options.inline_exclude)


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
    from kexpert.features.inline import Settings

    least = -math.inf if asked else math.log(max(options.inline_confidence, _TINY))
    return Settings(options.inline_tokens, options.inline_lines, least)
