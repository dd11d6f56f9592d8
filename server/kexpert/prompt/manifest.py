"""``model.json``: the manifest of a model, with what it requires and where it comes from.

It is in the folder of the weights. The trainer's export writes it. The server reads it before it loads anything, and
refuses a model that does not fit, with the reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from kexpert.prompt.chat import CHAT_PROMPT_VERSION
from kexpert.prompt.fim import PROMPT_VERSION, Order

#: Version of the manifest's format.
FORMAT = 1
FILE_NAME = "model.json"

#: What a model can do: fill holes in code (``abilities.Completer``), answer messages (``abilities.Chat``).
Ability = Literal["complete", "chat"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES = 1 << 20


class ManifestError(ValueError):
    """A manifest cannot be used. The message names the entry and the reason, in one line."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The entries of ``model.json``. ``base`` and ``adapter`` are names in its folder.

    They are GGUF files, or folders of Hugging Face and PEFT.
    """

    name: str
    base: str
    prompt_version: int  # PROMPT_VERSION of its training; 0 for a model of others
    tokenizer: str  # see ``tokenizer_hash``; "" (with prompt version 0) accepts any
    context: int  # tokens of the context window in training
    base_sha256: str = ""  # of the file ``base``
    adapter: str = ""  # LoRA in GGUF, or a PEFT folder; "" for none
    adapter_base_sha256: str = ""  # of the base that the adapter was trained on
    order: Order = "spm"
    licence: str = ""
    provenance: str = ""  # who trained it, when, from which revision, on which data
    data: Mapping[str, Any] = field(default_factory=dict)  # the training data
    figures: Mapping[str, Any] = field(default_factory=dict)  # measurements, with the unit in each name
    abilities: tuple[str, ...] = ("complete",)  # each an Ability; others are ignored
    chat_prompt_version: int = 0  # CHAT_PROMPT_VERSION of its training; 0 for a model of others
    tasks: tuple[str, ...] = ()  # the chat tasks that it was trained for, each a ``chat.Task``


def parse_manifest(text: str | bytes) -> Manifest:
    """Parse ``model.json``. Unknown entries are ignored. Raises ManifestError."""
    if len(text) > _MAX_BYTES:
        raise ManifestError(f"is larger than {_MAX_BYTES} bytes")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ManifestError(f"is not JSON: {problem}") from None
    if not isinstance(found, dict):
        raise ManifestError("is not a JSON object")
    if found.get("format") != FORMAT:
        raise ManifestError(f"has format {found.get('format')!r}, this version reads {FORMAT}")
    if not found.get("prompt_version"):
        found = _FOREIGN | found
    values: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        if name not in found:
            if name in _REQUIRED:
                raise ManifestError(f"lacks {name!r}")
            continue
        if not isinstance(found[name], kind) or isinstance(found[name], bool):
            raise ManifestError(f"{name!r} must be {_NAMES[kind]}")
        values[name] = _strings(name, found[name]) if kind is list else found[name]
    for name in ("base", "adapter"):
        if not _is_beside(values.get(name, "")) or not values["base"]:
            raise ManifestError(f"{name!r} must name a file beside the manifest, not {values[name]!r}")
    for name in ("tokenizer", "base_sha256", "adapter_base_sha256"):
        if values.get(name) and not _SHA256.fullmatch(values[name]):
            raise ManifestError(f"{name!r} must be a SHA-256 in small hex digits")
    if values.get("order", "spm") not in get_args(Order):
        raise ManifestError(f"'order' must be one of {', '.join(get_args(Order))}")
    if values["context"] < 1:
        raise ManifestError("'context' must be above 0")
    return Manifest(**values)


_KINDS: dict[str, type] = {
    "name": str, "base": str, "prompt_version": int, "tokenizer": str, "context": int, "base_sha256": str,
    "adapter": str, "adapter_base_sha256": str, "order": str, "licence": str, "provenance": str, "data": dict,
    "figures": dict, "abilities": list, "chat_prompt_version": int, "tasks": list,
}  # fmt: skip
_REQUIRED = ("name", "base", "prompt_version", "tokenizer", "context")
#: Defaults for a model of others.
_FOREIGN = {"prompt_version": 0, "tokenizer": "", "order": "psm"}
_NAMES = {str: "a string", int: "a whole number", dict: "an object", list: "a list of strings"}


def _strings(name: str, found: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(each, str) for each in found):
        raise ManifestError(f"{name!r} must be a list of strings")
    return tuple(found)


def _is_beside(name: str) -> bool:
    """Return True if a name stays in its folder: manifests are not trusted."""
    return "/" not in name and "\\" not in name and "\0" not in name and name not in (".", "..")


def dump_manifest(manifest: Manifest) -> str:
    """The text of ``model.json``."""
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=2, ensure_ascii=False) + "\n"


def tokenizer_hash(tokens: Iterable[str]) -> str:
    """A SHA-256 of a vocabulary: the tokens in the order of their ids, written as in GGUF's ``tokenizer.ggml.tokens``
    (byte-level BPE: a blank is ``Ġ``)."""
    digest = hashlib.sha256()
    for token in tokens:
        digest.update(token.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()


def lacks_ability(manifest: Manifest, ability: Ability) -> str:
    """The reason why a model must not be used for an ability; "" if there is none."""
    if ability in manifest.abilities:
        return ""
    has = ", ".join(manifest.abilities) or "none"
    return f"{manifest.name}: its {FILE_NAME} names the abilities: {has}; {ability!r} is not among them"


def mismatch(manifest: Manifest, tokenizer: str, base_sha256: str = "", ability: Ability = "complete") -> str:
    """The reason why a model must not be used with this server and these weights for an ability; "" if there is none.

    ``tokenizer`` is the hash of the loaded vocabulary, ``base_sha256`` that of the loaded file, "" if not computed.
    """
    if reason := lacks_ability(manifest, ability):
        return reason
    trained, renders = manifest.prompt_version, PROMPT_VERSION
    if ability == "chat":
        trained, renders = manifest.chat_prompt_version, CHAT_PROMPT_VERSION
    if trained not in (0, renders):
        kind = "chat prompt version" if ability == "chat" else "prompt version"
        return f"{manifest.name} was trained on {kind} {trained}, this kexpert renders {renders}"
    if manifest.tokenizer != tokenizer and (manifest.prompt_version or manifest.tokenizer):
        return f"{manifest.name}: its tokenizer is {manifest.tokenizer[:12]}…, the weights hold {tokenizer[:12]}…"
    if manifest.base_sha256 and base_sha256 and manifest.base_sha256 != base_sha256:
        return f"{manifest.name}: {manifest.base} is not the file it was made with (SHA-256 {base_sha256[:12]}…)"
    trained_on = manifest.adapter_base_sha256
    if manifest.adapter and trained_on and manifest.base_sha256 and trained_on != manifest.base_sha256:
        return f"{manifest.name}: the adapter {manifest.adapter} was trained on another base than {manifest.base}"
    return ""
