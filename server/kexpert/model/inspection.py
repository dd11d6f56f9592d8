"""What a path is as a model: its weights, manifest, abilities and files, without loading it.

A manifest names the abilities. Without one, the files say: a chat template means chat, markers for filling in the
middle mean completion.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kexpert.abilities import Refused
from kexpert.model.engine import find_model
from kexpert.model.fim_markers import find_markers
from kexpert.model.gguf_header import GgufError, read_header
from kexpert.prompt.manifest import FILE_NAME, Manifest

_MAX_JSON_BYTES = 256 << 20  # tokenizer.json of a large vocabulary has 20 MB
#: Of a Hugging Face folder, what a model is loaded from. Pickles are not.
_FOLDER_PATTERNS = ("*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt")


@dataclass(frozen=True, slots=True)
class Inspected:
    """A model at a path. ``path`` is what is recorded: a GGUF alone, or a folder."""

    path: Path
    weights: Path  # a GGUF or a Hugging Face folder
    manifest: Manifest | None
    abilities: tuple[str, ...]
    files: tuple[Path, ...]  # all that is loaded, in the model's folder

    @property
    def name(self) -> str:
        """A name for it, if the user gives none; it may hold any character."""
        return self.manifest.name if self.manifest else self.path.name.removesuffix(".gguf")


def inspect(location: Path) -> Inspected:
    """Look at a GGUF, a ``model.json``, or a folder with either or with a Hugging Face model. Raises Refused."""
    location = Path(location).expanduser().absolute()
    try:
        weights, manifest = find_model(location)
        if manifest is not None:
            folder = weights.parent
            parts = [folder / FILE_NAME, *_files(weights)]
            if manifest.adapter:
                parts += _files(folder / manifest.adapter)
            _check_gguf(weights, "model")
            _check_gguf(folder / manifest.adapter, "adapter")
            return Inspected(folder, weights, manifest, manifest.abilities, tuple(parts))
        abilities = _folder_abilities(weights) if weights.is_dir() else _gguf_abilities(weights)
        return Inspected(weights, weights, None, abilities, tuple(_files(weights)))
    except OSError as problem:
        raise Refused(f"{problem.filename or location}: {problem.strerror or problem}") from None


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted({file for pattern in _FOLDER_PATTERNS for file in path.glob(pattern) if file.is_file()})


def _check_gguf(path: Path, kind: str) -> None:
    """Raise Refused if a file whose name ends with ``.gguf`` is none, or one of another kind."""
    if path.suffix != ".gguf":
        return
    try:
        found = read_header(path).kind
    except GgufError as problem:
        raise Refused(f"{path}: {problem}") from None
    if found != kind:
        raise Refused(f"{path}: is a GGUF of kind {found[:40]!r}, {kind!r} is wanted")


def _gguf_abilities(path: Path) -> tuple[str, ...]:
    try:
        header = read_header(path)
    except GgufError as problem:
        raise Refused(f"{path}: {problem}; a GGUF, a {FILE_NAME} or a folder with one is wanted") from None
    if header.kind == "adapter":
        raise Refused(f"{path}: is an adapter; put it beside its base, with a {FILE_NAME} that names both")
    return _abilities(path, bool(header.chat_template), header.tokens)


def _folder_abilities(folder: Path) -> tuple[str, ...]:
    if not any(folder.glob("*.safetensors")):
        raise Refused(f"{folder}: holds no *.safetensors; weights in other formats are not read")
    tokenizer, settings = _json(folder / "tokenizer.json"), _json(folder / "tokenizer_config.json")
    chats = (folder / "chat_template.jinja").is_file() or bool(settings.get("chat_template"))
    try:
        tokens = {*tokenizer["model"]["vocab"], *(token["content"] for token in tokenizer["added_tokens"])}
    except (LookupError, TypeError):
        raise Refused(f"{folder}: has no tokenizer.json that can be read") from None
    return _abilities(folder, chats, tokens)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes()) if path.stat().st_size <= _MAX_JSON_BYTES else None
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(f"{path}: is not a JSON object")
    return found


def _abilities(path: Path, chats: bool, tokens: Iterable[str]) -> tuple[str, ...]:
    ids = {token: at for at, token in enumerate(tokens)}
    found = ("complete",) * (find_markers(ids.get) is not None) + ("chat",) * chats
    if not found:
        raise Refused(f"{path}: has neither a chat template nor markers for filling in the middle")
    return found
