"""The models of this user: list, add, use, remove, verify. What a command or an editor asks of ``models.json``."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from kexpert.abilities import Refused
from kexpert.background.progress import OnProgress, Progress, ignore_progress
from kexpert.model.base_install import bundled_adapter, install
from kexpert.model.base_models import CATALOGUE, BaseModel, FetchError, OnBytes, hash_file, model_folder
from kexpert.model.engine import BUNDLED_MODEL
from kexpert.model.inspection import Inspected, inspect
from kexpert.model.registry import (
    NAME,
    RecordedFile,
    RegisteredModel,
    Registry,
    RegistryError,
    change_registry,
    read_registry,
)
from kexpert.prompt.manifest import Ability
from kexpert.workspace.model_trial import load_problem

#: "fetched" by ``kexpert models add NAME``; "added" by path; "bundled" comes with kexpert; "available" can be fetched.
Source = Literal["fetched", "added", "bundled", "available"]
ABILITIES: tuple[Ability, ...] = ("chat", "complete")
#: ``use NOTHING`` for an ability takes its choice back.
NOTHING = "none"


class ModelProblem(Exception):
    """A model cannot be added, used or removed; the message is one line: what, where, the mend."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in the list."""

    name: str
    source: Source
    abilities: tuple[str, ...]
    bytes: int
    tasks: tuple[str, ...]  # of chat, that it was trained for
    in_use_for: tuple[str, ...]
    state: str  # "ok", or what is wrong, without loading it or reading its weights
    path: Path | None
    licence: str
    provenance: str
    adapter: str


def list_models() -> list[ModelRow]:
    """All models: those that were added, the one that comes with kexpert, those that can be fetched.

    Raises ModelProblem if ``models.json`` cannot be read.
    """
    with _one_problem():
        registry = read_registry()
    rows = [_row(name, model, registry) for name, model in sorted(registry.models.items())]
    with contextlib.suppress(Refused):  # a kexpert without its model
        rows.append(_bundled_row(registry))
    for base in CATALOGUE.values():
        if base.name not in registry.models:
            size, where = base.gguf_bytes, base.provenance
            rows.append(
                ModelRow(base.name, "available", ("chat",), size, (), (), "not added", None, base.licence, where, "")
            )
    return rows


def add_model(what: str, name: str = "", on_progress: OnProgress = ignore_progress) -> ModelRow:
    """Fetch a base of the catalogue, or record a model by its path. Raises ModelProblem.

    ``what``: the name of a base, its wheel if the user has that, or the path of another model. A model that can chat
    is put to use for it if no other is.
    """
    on_bytes = _in_megabytes(on_progress)
    with _one_problem():
        wheel = Path(what) if what.endswith(".whl") else None
        base = _base_in(wheel) if wheel else CATALOGUE.get(what)
        if base is not None:
            if name not in ("", base.name):
                raise ModelProblem(f"{what}: a fetched model keeps its name; --name is for a model of your own")
            name, folder = base.name, model_folder(base.name)
            install(base, folder, bundled_adapter(base), on_bytes, wheel)
            found = inspect(folder)
        else:
            found = _found(what)
            name = _name_for(name or found.name, given=bool(name))
            if name in CATALOGUE or name == NOTHING:
                raise ModelProblem(f"{name}: this name has a meaning of its own; give another with --name")
        model = _recorded(found, base is not None, on_bytes)
        _need_loading(name, found, model.abilities)
        known = read_registry().models.get(name)
        if known is not None and known.path != model.path:
            raise ModelProblem(f"{name}: {known.path} has this name; give another with --name, or remove that one")

        def change(old: Registry) -> Registry:
            in_use = dict(old.in_use)
            if "chat" in model.abilities:
                in_use.setdefault("chat", name)
            return Registry({**old.models, name: model}, in_use)

        change_registry(change)
    return _row(name, model, read_registry())


def use_model(name: str, ability: Ability | None = None) -> tuple[str, ...]:
    """Choose a model for an ability; without one for chat, or, if it cannot chat, for completion.

    Returns the abilities that it is now used for. Raises ModelProblem, and what was chosen before stays.
    """
    with _one_problem():
        registry = read_registry()
        if name == NOTHING or name == _bundled_name():
            abilities = (ability,) if ability else (("chat",) if name == NOTHING else ("complete",))
            if name != NOTHING and abilities != ("complete",):
                raise ModelProblem(f"{name}: completes; it cannot chat")
            change_registry(lambda old: replace(old, in_use=_without(old.in_use, abilities)))
            return abilities
        model = _registered(registry, name)
        wanted = (ability,) if ability else _default_abilities(model)
        if lacking := [each for each in wanted if each not in model.abilities]:
            raise ModelProblem(f"{name}: has no ability {lacking[0]!r}; it has {', '.join(model.abilities)}")
        if problem := _quick_problem(model):
            raise ModelProblem(f"{name}: {problem}")
        _need_loading(name, inspect(model.path), wanted)
        change_registry(lambda old: replace(old, in_use={**old.in_use, **dict.fromkeys(wanted, name)}))
        return wanted


def remove_model(name: str) -> tuple[str, ...]:
    """Forget a model; its files are deleted if kexpert fetched them. Returns what it was used for.

    Raises ModelProblem.
    """
    with _one_problem():
        model = _registered(read_registry(), name)
        was_used: list[str] = []

        def change(old: Registry) -> Registry:
            was_used[:] = [ability for ability, used in old.in_use.items() if used == name]
            models = {each: kept for each, kept in old.models.items() if each != name}
            return Registry(models, _without(old.in_use, was_used))

        change_registry(change)
        if model.fetched and name in CATALOGUE and model_folder(name).is_dir():
            shutil.rmtree(model_folder(name))
    return tuple(was_used)


def verify_model(name: str, on_progress: OnProgress = ignore_progress) -> str:
    """Check the hashes of a model's files, its manifest, and that its engine loads it. Returns what is wrong, or "".

    Raises ModelProblem if there is no such model.
    """
    on_bytes = _in_megabytes(on_progress)
    with _one_problem():
        if name == _bundled_name():
            found = inspect(BUNDLED_MODEL)
            sha256 = found.manifest.base_sha256 if found.manifest else ""
            if hash_file(found.weights, on_bytes) != sha256:
                return f"{found.weights}: is not the file that came with kexpert; install kexpert anew"
            return load_problem(found, "complete")
        model = _registered(read_registry(), name)
    if problem := _quick_problem(model) or _hash_problem(model, on_bytes):
        return problem
    try:
        found = inspect(model.path)
    except Refused as refusal:
        return str(refusal)
    problems = (load_problem(found, ability) for ability in ABILITIES if ability in model.abilities)
    return next(filter(None, problems), "")


def chat_model_in_use() -> ModelRow | None:
    """The model that is chosen for chat, whatever the settings name. Raises ModelProblem."""
    return next((row for row in list_models() if "chat" in row.in_use_for), None)


def _in_megabytes(on_progress: OnProgress) -> OnBytes:
    def on_bytes(title: str, done: int, total: int) -> None:
        on_progress(Progress(title, done // 10**6, total // 10**6, finished=done == total, unit="MB"))

    return on_bytes


@contextlib.contextmanager
def _one_problem() -> Iterator[None]:
    """Make a ModelProblem of what the model's side raises."""
    try:
        yield
    except (Refused, FetchError, RegistryError) as problem:
        raise ModelProblem(str(problem)) from None


def _base_in(wheel: Path) -> BaseModel:
    """The base that a wheel holds, by the wheel's name; fetching compares its hash."""
    for base in CATALOGUE.values():
        if wheel.name.startswith(f"{base.distribution.replace('-', '_')}-{base.version}-"):
            if not wheel.is_file():
                raise ModelProblem(f"{wheel}: no such file")
            return base
    wanted = ", ".join(f"{base.distribution} {base.version}" for base in CATALOGUE.values())
    raise ModelProblem(f"{wheel}: holds no model that kexpert knows; wheels that do are {wanted}")


def _found(what: str) -> Inspected:
    if "/" not in what and not Path(what).exists():
        names = ", ".join(CATALOGUE)
        raise ModelProblem(f"{what}: no file or folder, nor the name of a model that can be fetched ({names})")
    return inspect(Path(what))


def _name_for(name: str, given: bool) -> str:
    """A name for the list: as given, or made of a name that may hold any character."""
    if not given:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:64] or "model"
    if not NAME.fullmatch(name):
        raise ModelProblem(f"{name!r}: a name has letters, digits and ._- only, 64 at most; give another with --name")
    return name


def _recorded(found: Inspected, fetched: bool, on_bytes: OnBytes) -> RegisteredModel:
    model = RegisteredModel(found.path, found.abilities, {}, fetched)
    files = {
        str(file.relative_to(model.folder)): RecordedFile(hash_file(file, on_bytes), file.stat().st_size)
        for file in found.files
    }
    return replace(model, files=files)


def _need_loading(name: str, found: Inspected, abilities: tuple[str, ...]) -> None:
    for ability in ABILITIES:
        if ability in abilities and (problem := load_problem(found, ability)):
            raise ModelProblem(f"{name}: {problem}")


def _registered(registry: Registry, name: str) -> RegisteredModel:
    model = registry.models.get(name)
    if model is None:
        mend = f"kexpert models add {name}" if name in CATALOGUE else "kexpert models list"
        raise ModelProblem(f"{name}: not among the models that were added; see `{mend}`")
    return model


def _default_abilities(model: RegisteredModel) -> tuple[str, ...]:
    return ("chat",) if "chat" in model.abilities else model.abilities


def _without(in_use: Mapping[str, str], abilities: Any) -> dict[str, str]:
    return {ability: name for ability, name in in_use.items() if ability not in abilities}


def _quick_problem(model: RegisteredModel) -> str:
    """What is wrong with the files, by their names and sizes; "" if nothing is."""
    again = "add it again"
    for name, recorded in model.files.items():
        file = model.folder / name
        if not file.is_file():
            return f"{file} is gone; {again}"
        if (size := file.stat().st_size) != recorded.bytes:
            return f"{file} has {size} bytes and had {recorded.bytes}; {again}"
    return ""


def _hash_problem(model: RegisteredModel, on_bytes: OnBytes) -> str:
    for name, recorded in model.files.items():
        file = model.folder / name
        try:
            if hash_file(file, on_bytes) != recorded.sha256:
                return f"{file} changed since it was added (its hash differs); add it again"
        except OSError as problem:
            return f"{file}: {problem.strerror or problem}"
    return ""


def _row(name: str, model: RegisteredModel, registry: Registry) -> ModelRow:
    state, manifest = _quick_problem(model) or "ok", None
    if state == "ok":
        try:
            manifest = inspect(model.path).manifest
        except Refused as refusal:
            state = str(refusal)
    used = tuple(ability for ability in ABILITIES if registry.in_use.get(ability) == name)
    size = sum(recorded.bytes for recorded in model.files.values())
    return ModelRow(
        name,
        "fetched" if model.fetched else "added",
        model.abilities,
        size,
        manifest.tasks if manifest else (),
        used,
        state,
        model.path,
        manifest.licence if manifest else "",
        manifest.provenance if manifest else "",
        manifest.adapter if manifest else "",
    )


def _bundled_name() -> str:
    try:
        found = inspect(BUNDLED_MODEL).manifest
    except Refused:
        return ""
    return found.name if found else ""


def _bundled_row(registry: Registry) -> ModelRow:
    """The model that comes with kexpert; raises Refused if it does not."""
    found = inspect(BUNDLED_MODEL)
    assert found.manifest
    used = () if registry.in_use.get("complete") in registry.models else ("complete",)
    size = sum(file.stat().st_size for file in found.files)
    about = found.manifest
    return ModelRow(
        about.name, "bundled", about.abilities, size, about.tasks, used, "ok", found.path, about.licence,
        about.provenance, about.adapter,
    )  # fmt: skip
