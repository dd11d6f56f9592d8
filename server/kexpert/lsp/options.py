"""Every setting: its type, default, bounds and meaning stand here once, for the server and the README.

Settings come in layers, later ones win: ``$XDG_CONFIG_HOME/kexpert/config.toml``, ``kexpert.toml`` or
``.kexpert.toml`` in the tree, ``initializationOptions``, ``workspace/configuration``. In all of them
``{"index": {"jobs": 2}}`` and ``{"index.jobs": 2}`` mean the same. Nothing here raises: what cannot be
used is named in a warning and the layer below holds.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Where a setting was read, for warnings, and what stood there.
Layer = tuple[str, Mapping[str, Any]]

#: Options are few and short; a larger file is not one of ours.
_MAX_FILE = 1 << 20


def _option(
    key: str,
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    metadata = {"key": key, "description": description, "low": low, "high": high, "choices": choices}
    if isinstance(default, (tuple, dict)):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Options:
    """The settings in force."""

    index_jobs: int = _option(
        "index.jobs", 0, "Processes that index the tree; 0 takes one for each CPU.", low=0, high=256
    )
    index_watch: bool = _option(
        "index.watch", True, "Follow changes that other programs make to files (a branch switch, a patch applied)."
    )
    index_exclude: tuple[str, ...] = _option(
        "index.exclude", (), 'Globs of paths relative to the tree to leave out, as `["tools/**", "samples/**"]`.'
    )
    hover_callers: bool = _option("hover.callers", True, "Show in a hover how many functions call the one shown.")
    hover_layout: bool = _option("hover.layout", True, "Show in a hover the offsets, sizes and holes of a struct.")
    hover_maintainers: bool = _option("hover.maintainers", True, "Show in a hover who maintains the file.")
    completion_limit: int = _option(
        "completion.limit", 100, "Completions sent at a time; typing on narrows them.", low=1, high=2000
    )
    diagnostics_checkpatch: bool = _option(
        "diagnostics.checkpatch",
        True,
        "Run the tree's own `scripts/checkpatch.pl` on a file when it is opened or saved. It is a program that comes "
        "with the tree: turn this off for a tree whose authors you would not let run code on your machine.",
    )
    diagnostics_timeout_seconds: float = _option(
        "diagnostics.timeout_seconds", 30.0, "Give up on one run of checkpatch after this time.", low=0.1, high=600
    )
    log_level: str = _option(
        "log.level",
        "warning",
        "The least important messages to send to the editor's log.",
        choices=("error", "warning", "info", "debug"),
    )


_FIELDS = {f.metadata["key"]: f for f in dataclasses.fields(Options)}
_SECTIONS = {key.partition(".")[0] for key in _FIELDS}


def resolve(layers: Iterable[Layer]) -> tuple[Options, list[str]]:
    """The options that the layers give, lowest first, and a line for everything that was passed over."""
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for origin, layer in layers:
        for key, value in _flatten(layer):
            known = _FIELDS.get(key)
            if known is None:
                warnings.append(f"{origin}: unknown option {key!r} is ignored")
                continue
            try:
                values[known.name] = _checked(known, value)
            except ValueError as problem:
                warnings.append(f"{origin}: option {key!r} {problem}, not {_brief(value)}; it is ignored")
    return Options(**values), warnings


def file_layers(root: Path | None) -> tuple[list[Layer], list[str]]:
    """What the user's and the tree's configuration files say; missing files say nothing."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    paths = [Path(home, "kexpert", "config.toml")]
    if root is not None:
        paths += [root / "kexpert.toml", root / ".kexpert.toml"]
    layers: list[Layer] = []
    warnings: list[str] = []
    for path in paths:
        try:
            if not path.is_file():
                continue
            if path.stat().st_size > _MAX_FILE:
                raise ValueError(f"is larger than {_MAX_FILE} bytes")
            layers.append((str(path), tomllib.loads(path.read_text("utf-8"))))
        except (OSError, ValueError, RecursionError) as problem:
            warnings.append(f"{path}: cannot be read and is ignored: {problem}")
    return layers, warnings


def client_layer(origin: str, value: Any) -> tuple[list[Layer], list[str]]:
    """Settings as a client sends them, with or without the ``kexpert`` section around them."""
    if value is None:
        return [], []
    if not isinstance(value, dict):
        return [], [f"{origin}: expected an object with options, not {_brief(value)}; it is ignored"]
    inner = value.get("kexpert")
    return [(origin, inner if isinstance(inner, dict) else value)], []


def options_markdown() -> str:
    """The table of options for the README."""
    rows = ["| Option | Default | What it does |", "|---|---|---|"]
    for key, known in _FIELDS.items():
        choices = known.metadata["choices"]
        one_of = f" One of {', '.join(f'`{c}`' for c in choices)}." if choices else ""
        default = _toml(_default(known))
        rows.append(f"| `{key}` | `{default}` | {known.metadata['description']}{one_of} |")
    return "\n".join(rows) + "\n"


def _default(known: dataclasses.Field[Any]) -> Any:
    if known.default_factory is not dataclasses.MISSING:
        return known.default_factory()
    return known.default


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _flatten(layer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in layer.items():
        if isinstance(value, dict) and key in _SECTIONS:
            for inner, inner_value in value.items():
                yield f"{key}.{inner}", inner_value
        else:
            yield str(key), value


def _checked(known: dataclasses.Field[Any], value: Any) -> Any:
    """``value`` in the option's type. ValueError says what was expected."""
    default, limits = _default(known), known.metadata
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
    elif isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ValueError("must be a list of strings")
        return tuple(value)
    elif isinstance(default, str):
        if not isinstance(value, str) or value not in limits["choices"]:
            raise ValueError(f"must be one of {', '.join(limits['choices'])}")
    else:
        kind = "a whole number" if isinstance(default, int) else "a number"
        wanted = int if isinstance(default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted) or not limits["low"] <= value <= limits["high"]:
            raise ValueError(f"must be {kind} from {limits['low']:g} to {limits['high']:g}")
        return type(default)(value)
    return value


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
