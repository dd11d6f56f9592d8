"""Every setting: its type, default, bounds and meaning, once, for the server, the README and the extension.

Settings come in layers, of which later ones win: ``$XDG_CONFIG_HOME/kexpert/config.toml``, ``kexpert.toml`` or
``.kexpert.toml`` in the tree, ``initializationOptions``, ``workspace/configuration``. In all of them
``{"index": {"jobs": 2}}`` and ``{"index.jobs": 2}`` mean the same. Nothing here raises: a value that
cannot be used is named in a warning, and the layer below holds.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: (where the settings were read, for warnings; the settings)
Layer = tuple[str, Mapping[str, Any]]

#: A larger file is not one of ours.
_MAX_FILE_BYTES = 1 << 20


def _setting(
    key: str,
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    private: bool = False,
) -> Any:
    """A field of ``Settings``.

    ``private``: a tree's own file may not set it, since trees come from anywhere and it says what is loaded or
    where text is sent. A string without ``choices`` is free.
    """
    metadata = {
        "key": key, "description": description, "low": low, "high": high, "choices": choices, "private": private,
    }  # fmt: skip
    if isinstance(default, (tuple, dict)):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force."""

    index_jobs: int = _setting(
        "index.jobs", 0, "Processes that index the tree; 0 takes one for each CPU.", low=0, high=256
    )
    index_watch: bool = _setting(
        "index.watch", True, "Follow changes that other programs make to files (a branch switch, a patch applied)."
    )
    index_exclude: tuple[str, ...] = _setting(
        "index.exclude",
        (),
        'Files and folders of the tree to leave out, as patterns of gitignore: `["tools/**", "drivers/gpu"]`.',
    )
    vectors_enabled: bool = _setting(
        "vectors.enabled",
        True,
        "Search by meaning: keep a vector of each function, record and section in ChromaDB. Without it words are "
        "compared.",
    )
    vectors_url: str = _setting(
        "vectors.url",
        "",
        "A Chroma server that holds the vectors, as `http://127.0.0.1:8000`, instead of a folder in the cache. It gets "
        "the vectors, not the text.",
        private=True,
    )
    vectors_embedder: str = _setting(
        "vectors.embedder",
        "",
        "What makes the vectors, instead of the embedder that comes with kexpert: a folder in model2vec's format or "
        "the name of a sentence-transformers model.",
        private=True,
    )
    configuration: str = _setting(
        "configuration",
        "",
        "The configuration in view where the tree has no `.config`: a defconfig (`x86_64_defconfig`, "
        "`arm64/defconfig`), an architecture (`arm64`), `allnoconfig`, or `all` to prefer no variant. Empty: what "
        "`make defconfig` gives on this machine.",
    )
    hover_callers: bool = _setting("hover.callers", True, "Show in a hover how many functions call the one shown.")
    hover_layout: bool = _setting("hover.layout", True, "Show in a hover the offsets, sizes and holes of a struct.")
    hover_maintainers: bool = _setting("hover.maintainers", True, "Show in a hover who maintains the file.")
    hover_similar: bool = _setting("hover.similar", True, "Show in a hover the most similar code in other files.")
    hover_summary: bool = _setting(
        "hover.summary",
        True,
        "Show in a hover, where the author wrote nothing, a line by the chat model, marked as machine-written.",
    )
    summaries_ahead: bool = _setting(
        "summaries.ahead",
        True,
        "Have the chat model summarise the functions of open files while the machine is idle and not on battery.",
    )
    completion_limit: int = _setting(
        "completion.limit", 100, "Completions sent at a time; typing on narrows them.", low=1, high=2000
    )
    navigation_enabled: bool = _setting(
        "navigation.enabled",
        True,
        "Answer jumps, references, hierarchies, completion, signatures, symbols, renames and colours. Turned off, "
        "another server such as clangd does; hover cards, search, explanations, diagnostics and suggestions "
        "stay. Counts in the editor's own settings only, and when the server starts.",
    )
    inactive_enabled: bool = _setting(
        "inactive.enabled",
        True,
        "Dim the branches of `#if` that `.config`, or the setting `configuration`, leaves out.",
    )
    hints_parameters: bool = _setting(
        "hints.parameters", False, "Show the names of parameters before the arguments of calls."
    )
    hints_enumerators: bool = _setting(
        "hints.enumerators", False, "Show the values of enumerators to which none is written."
    )
    hints_sizes: bool = _setting("hints.sizes", False, "Show the size of the type after `sizeof(struct foo)`.")
    lenses_callers: bool = _setting("lenses.callers", False, "Show above a function how many functions call it.")
    lenses_implementations: bool = _setting(
        "lenses.implementations",
        False,
        "Show above an operation of a struct how many functions are assigned to it, and above a function which "
        "operation it is.",
    )
    diagnostics_kconfig: bool = _setting(
        "diagnostics.kconfig", True, "Report options in Kconfig files that no Kconfig file of the tree defines."
    )
    diagnostics_checkpatch: bool = _setting(
        "diagnostics.checkpatch",
        True,
        "Run the tree's own `scripts/checkpatch.pl` on a file when it is opened or saved. In a git repository what it "
        "says of lines that differ from HEAD is shown, elsewhere everything, as hints. It is a program that comes with "
        "the tree: turn this off for a tree whose authors you would not let run code on your machine.",
    )
    diagnostics_timeout_seconds: float = _setting(
        "diagnostics.timeout_seconds", 30.0, "Give up on one run of checkpatch after this time.", low=0.1, high=600
    )
    inline_enabled: bool = _setting(
        "inline.enabled", True, "Suggest code at the cursor as you type, by a model that runs on this machine."
    )
    inline_exclude: tuple[str, ...] = _setting(
        "inline.exclude",
        (),
        "Files and folders of the tree without inline completion, as patterns of gitignore:"
        ' `["drivers/gpu", "*/own_*.c"]`.',
    )
    inline_lines: int = _setting("inline.lines", 5, "The most lines that one suggestion may have.", low=1, high=40)
    inline_tokens: int = _setting(
        "inline.tokens", 96, "The most tokens (of about three letters) of one suggestion.", low=1, high=1024
    )
    inline_confidence: float = _setting(
        "inline.confidence",
        0.5,
        "Hide suggestions of which the model is less sure than this. A key that asks for a suggestion shows them all "
        "the same.",
        low=0,
        high=1,
    )
    inline_ahead: bool = _setting(
        "inline.ahead",
        True,
        "Work out the next suggestion while one is shown, so that taking it shows the next at once.",
    )
    inline_in_menu: bool = _setting(
        "inline.in_menu",
        True,
        "Offer the suggestion in the completion menu of editors that know no inline completion, from the next letter "
        "on.",
    )
    model_path: str = _setting(
        "model.path",
        "",
        "Another model for inline completion than the one that comes with kexpert: a GGUF with FIM markers, a "
        "`model.json`, or a folder with either or with a Hugging Face model.",
        private=True,
    )
    model_url: str = _setting(
        "model.url",
        "",
        "A server to ask instead: llama-server, or one with OpenAI's `/v1/completions` (vLLM, Ollama). What surrounds "
        "the cursor is sent to it. `KEXPERT_MODEL_KEY` in the environment is its key.",
        private=True,
    )
    model_name: str = _setting("model.name", "", "Which model of the server at `model.url`.", private=True)
    model_api: str = _setting(
        "model.api",
        "auto",
        "How to ask the server at `model.url`.",
        choices=("auto", "infill", "completions"),
        private=True,
    )
    model_device: str = _setting(
        "model.device", "auto", "Where the model runs: on an NVIDIA GPU if there is one.", choices=("auto", "cpu")
    )
    model_threads: int = _setting(
        "model.threads", 0, "Threads of the model; 0 takes one for each CPU, four at most.", low=0, high=256
    )
    model_context: int = _setting(
        "model.context",
        0,
        "Tokens that the model reads; 0 takes what it was made for, 1024 at most on a CPU.",
        low=0,
        high=32768,
    )
    chat_enabled: bool = _setting(
        "chat.enabled", True, "Let a chat model word summaries, explanations, kernel-doc comments and answers."
    )
    chat_path: str = _setting(
        "chat.path",
        "",
        "Another chat model than the installed one (`kexpert models`): a GGUF, a `model.json`, or a folder with either "
        "or with a Hugging Face model.",
        private=True,
    )
    chat_url: str = _setting(
        "chat.url",
        "",
        "A server to ask instead, with OpenAI's `/v1/chat/completions` (vLLM, Ollama, llama-server). Code that is "
        "explained and questions are sent to it.",
        private=True,
    )
    chat_name: str = _setting("chat.name", "", "Which model of the server at `chat.url`.", private=True)
    chat_key_env: str = _setting(
        "chat.key_env",
        "KEXPERT_CHAT_KEY",
        "The environment variable that holds the key of the server at `chat.url`.",
        private=True,
    )
    chat_threads: int = _setting(
        "chat.threads", 0, "Threads of the chat model; 0 takes one for each CPU, four at most.", low=0, high=256
    )
    chat_context: int = _setting(
        "chat.context",
        0,
        "Tokens of prompt and answer together; 0 takes what the model was made for, 4096 at most.",
        low=0,
        high=32768,
    )
    log_level: str = _setting(
        "log.level",
        "warning",
        "The least important messages to send to the editor's log.",
        choices=("error", "warning", "info", "debug"),
    )


_FIELDS = {f.metadata["key"]: f for f in dataclasses.fields(Settings)}
_SECTIONS = {key.partition(".")[0] for key in _FIELDS}


def resolve_settings(layers: Iterable[Layer]) -> tuple[Settings, list[str]]:
    """The settings that the layers give, lowest first, and a warning for each value that was ignored."""
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
    return Settings(**values), warnings


def file_layers(root: Path | None) -> tuple[list[Layer], list[str]]:
    """The user's and the tree's configuration files, and a warning for each that cannot be used."""
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
            if path.stat().st_size > _MAX_FILE_BYTES:
                raise ValueError(f"is larger than {_MAX_FILE_BYTES} bytes")
            layer = tomllib.loads(path.read_text("utf-8"))
            if root is not None and path.parent == root:
                layer, kept_back = _public(layer)
                warnings += [f"{path}: {key!r} counts in your own settings only and is ignored" for key in kept_back]
            layers.append((str(path), layer))
        except (OSError, ValueError, RecursionError) as problem:
            warnings.append(f"{path}: cannot be read and is ignored: {problem}")
    return layers, warnings


def _public(layer: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(what a tree's file may set, keys that it may not)"""
    flat = dict(_flatten(layer))
    private = [key for key in flat if key in _FIELDS and _FIELDS[key].metadata["private"]]
    return {key: value for key, value in flat.items() if key not in private}, private


def settings_of(root: Path | None) -> Settings:
    """The settings that the user's and the tree's files give."""
    settings, _ = resolve_settings(file_layers(root)[0])
    return settings


def client_layer(origin: str, value: Any) -> tuple[list[Layer], list[str]]:
    """Settings as a client sends them, with or without a ``kexpert`` section around them."""
    if value is None:
        return [], []
    if not isinstance(value, dict):
        return [], [f"{origin}: expected an object with options, not {_brief(value)}; it is ignored"]
    inner = value.get("kexpert")
    return [(origin, inner if isinstance(inner, dict) else value)], []


def settings_markdown() -> str:
    """The table of settings for the README."""
    rows = ["| Option | Default | What it does |", "|---|---|---|"]
    for key, known in _FIELDS.items():
        choices = known.metadata["choices"]
        one_of = f" One of {', '.join(f'`{c}`' for c in choices)}." if choices else ""
        private = " Not from the tree's own file." if known.metadata["private"] else ""
        default = _toml(_default(known))
        rows.append(f"| `{key}` | `{default}` | {known.metadata['description']}{one_of}{private} |")
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
    """``value`` in the setting's type. Raises ValueError, which says what was expected."""
    default, limits = _default(known), known.metadata
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
    elif isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ValueError("must be a list of strings")
        return tuple(value)
    elif isinstance(default, str):
        if not isinstance(value, str):
            raise ValueError("must be a string")
        if limits["choices"] and value not in limits["choices"]:
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
