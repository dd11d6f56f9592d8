"""``model.json``: what a model is, what it goes with, and where it comes from.

It stands beside the weights. The trainer's export writes it, the server reads it before it loads anything,
and refuses what does not go together, with the reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from kexpert.prompt.fim import PROMPT_VERSION, Order

#: Of the manifest's own form.
FORMAT = 1
FILE_NAME = "model.json"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES = 1 << 20


class ManifestError(ValueError):
    """A manifest cannot be used; the message says which entry and why, in one line."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """``base`` and ``adapter`` stand beside the manifest: files, or folders of Hugging Face's and PEFT's."""

    name: str
    base: str
    prompt_version: int  # of the prompts that it was trained on; 0 for another maker's, which was on none of ours
    tokenizer: str  # see ``tokenizer_hash``; "" with prompt version 0: whatever the weights hold
    context: int  # tokens that the model was trained to look back over
    base_sha256: str = ""  # of the file that ``base`` names
    adapter: str = ""  # LoRA in GGUF, or a PEFT folder; "" for none
    adapter_base_sha256: str = ""  # the base that the adapter was trained on
    order: Order = "spm"
    licence: str = ""
    provenance: str = ""  # who trained it, from what revision, when, on what
    data: Mapping[str, Any] = field(default_factory=dict)  # what it was trained on
    figures: Mapping[str, Any] = field(default_factory=dict)  # what was measured, each with its unit in its name


def parse_manifest(text: str | bytes) -> Manifest:
    """Read ``model.json``. Raises ManifestError; entries it does not know are passed over."""
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
        values[name] = found[name]
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
    "figures": dict,
}  # fmt: skip
_REQUIRED = ("name", "base", "prompt_version", "tokenizer", "context")
#: What another maker's model need not say.
_FOREIGN = {"prompt_version": 0, "tokenizer": "", "order": "psm"}
_NAMES = {str: "a string", int: "a whole number", dict: "an object"}


def _is_beside(name: str) -> bool:
    """Whether a name stays in its folder: a manifest may come from anywhere."""
    return "/" not in name and "\\" not in name and "\0" not in name and name not in (".", "..")


def dump_manifest(manifest: Manifest) -> str:
    """The text of ``model.json``."""
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=2, ensure_ascii=False) + "\n"


def tokenizer_hash(tokens: Iterable[str]) -> str:
    """The identity of a vocabulary: its tokens in the order of their ids, as they stand in GGUF's
    ``tokenizer.ggml.tokens`` (byte-level BPE: a blank is ``Ġ``)."""
    digest = hashlib.sha256()
    for token in tokens:
        digest.update(token.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()


def mismatch(manifest: Manifest, tokenizer: str, base_sha256: str = "") -> str:
    """Why a model must not be used with this server and these weights; "" when all goes together.

    ``tokenizer`` is the hash of the loaded vocabulary, ``base_sha256`` that of the loaded file ("" where
    it was not computed).
    """
    if manifest.prompt_version not in (0, PROMPT_VERSION):
        return (
            f"{manifest.name} was trained on prompt version {manifest.prompt_version}, this kexpert renders "
            f"{PROMPT_VERSION}"
        )
    if manifest.tokenizer != tokenizer and (manifest.prompt_version or manifest.tokenizer):
        return f"{manifest.name}: its tokenizer is {manifest.tokenizer[:12]}…, the weights hold {tokenizer[:12]}…"
    if manifest.base_sha256 and base_sha256 and manifest.base_sha256 != base_sha256:
        return f"{manifest.name}: {manifest.base} is not the file it was made with (SHA-256 {base_sha256[:12]}…)"
    trained_on = manifest.adapter_base_sha256
    if manifest.adapter and trained_on and manifest.base_sha256 and trained_on != manifest.base_sha256:
        return f"{manifest.name}: the adapter {manifest.adapter} was trained on another base than {manifest.base}"
    return ""
