"""``models.json``: which models the user added, and which of them is in use for what.

It is in ``$XDG_DATA_HOME/kexpert``. ``kexpert models`` writes it; a running server looks at it again whenever it
changes. Models are recorded by path, with the hashes of their files; nothing is copied.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from kexpert.background.atomic_file import write_whole
from kexpert.model.base_models import data_folder
from kexpert.prompt.manifest import FILE_NAME, Ability

_FORMAT = 1
_MAX_BYTES = 16 << 20
#: (inode, bytes, mtime in ns): a file that is replaced within one tick of the clock has another inode.
FileState = tuple[int, int, int]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class RegistryError(Exception):
    """``models.json`` cannot be used; the message is one line with the mend."""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file of a model as it was when the model was added."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model that was added. ``path`` is a GGUF, or a folder with a ``model.json`` or a Hugging Face model."""

    path: Path
    abilities: tuple[str, ...]
    files: Mapping[str, RecordedFile]  # by name in the model's folder
    fetched: bool = False  # kexpert put its files there, and removes them with the model

    @property
    def folder(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent


@dataclass(frozen=True, slots=True)
class Registry:
    """The content of ``models.json``: models by name, and names by ability."""

    models: Mapping[str, RegisteredModel] = field(default_factory=dict)
    in_use: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """A model that was chosen. Two values differ if another was chosen, or if its files were replaced."""

    name: str
    path: Path
    identity: FileState | None  # of its model.json, GGUF or folder; None if that is gone


@dataclass(frozen=True, slots=True)
class ModelsInUse:
    """What ``kexpert models use`` chose; None where nothing. ``problem``: why ``models.json`` cannot be read, or ""."""

    chat: ModelInUse | None = None
    complete: ModelInUse | None = None
    problem: str = ""


def registry_file() -> Path:
    return data_folder() / "models.json"


def models_in_use() -> ModelsInUse:
    """The models that are chosen now. Never raises; reads ``models.json`` only if it changed since the last call.

    A caller compares two results to see whether a model must be loaded anew.
    """
    global _last
    path = registry_file()
    now = (path, _identity(path))
    if now != _last[0]:
        try:
            _last = now, read_registry(), ""
        except RegistryError as error:
            _last = now, Registry(), str(error)
    _, registry, problem = _last
    chosen = {ability: _chosen(registry, ability) for ability in get_args(Ability)}
    return ModelsInUse(chosen["chat"], chosen["complete"], problem)


#: The state of the file at the last look, and what it held.
_last: tuple[tuple[Path, FileState | None] | None, Registry, str] = None, Registry(), ""


def _chosen(registry: Registry, ability: str) -> ModelInUse | None:
    name = registry.in_use.get(ability, "")
    model = registry.models.get(name)
    if model is None:
        return None
    manifest = model.path / FILE_NAME
    return ModelInUse(name, model.path, _identity(manifest if manifest.is_file() else model.path))


def _identity(path: Path) -> FileState | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def read_registry() -> Registry:
    """Read ``models.json``; an empty registry if there is none. Raises RegistryError."""
    path = registry_file()
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"is larger than {_MAX_BYTES} bytes")
        return _parsed(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Registry()
    except OSError as problem:
        raise RegistryError(f"{path}: {problem.strerror or problem}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        raise RegistryError(f"{path}: cannot be read ({problem}); delete it and add your models again") from None


def change_registry(change: Callable[[Registry], Registry]) -> None:
    """Replace ``models.json`` by what ``change`` makes of it. Raises RegistryError or OSError."""
    path = registry_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(".models.lock")):
        text = json.dumps(_plain(change(read_registry())), indent=2, ensure_ascii=False) + "\n"
        write_whole(path, text.encode())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time into the block."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _plain(registry: Registry) -> dict[str, Any]:
    models = {name: asdict(model) | {"path": str(model.path)} for name, model in registry.models.items()}
    return {"format": _FORMAT, "models": models, "in_use": dict(registry.in_use)}


def _parsed(found: Any) -> Registry:
    if found["format"] != _FORMAT:
        raise ValueError(f"has format {found['format']!r}, this version reads {_FORMAT}")
    models = {str(name): _model(entry) for name, entry in found["models"].items() if NAME.fullmatch(name)}
    in_use = {str(ability): str(name) for ability, name in found["in_use"].items()}
    return Registry(models, in_use)


def _model(entry: Any) -> RegisteredModel:
    files = {str(name): RecordedFile(str(file["sha256"]), int(file["bytes"])) for name, file in entry["files"].items()}
    return RegisteredModel(
        Path(entry["path"]), tuple(map(str, entry["abilities"])), files, bool(entry.get("fetched", False))
    )
