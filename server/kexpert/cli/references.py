"""``kexpert references FILE:LINE:COL``: every use of a name, and what is done there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kexpert.cli.arguments import add_place_command
from kexpert.cli.asked import asked_about, shell_path
from kexpert.cli.errors import OK, Failure

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands
    from kexpert.cli.terminal import Step
    from kexpert.workspace.snapshot import Position, Snapshot

#: Fewer files are searched before anybody looks for a progress bar.
_MIN_SHOWN_FILES = 1000
_MARKS = {"write": "write", "address": "address taken"}


@dataclass(frozen=True, slots=True)
class _Searched:
    """A step of the search, as ``cli.terminal`` shows it."""

    done: int
    total: int
    finished: bool = False
    title: str = "Searching uses"
    message: str = ""
    unit: str = "files"


def add_arguments(commands: Commands) -> None:
    command = add_place_command(commands, "references", "every use of the name there, in the whole tree", run)
    command.add_argument("--writes", action="store_true", help="only where it is written or its address is taken")
    command.add_argument("--certain", action="store_true", help="without uses of a member whose struct is not known")


def run(args: argparse.Namespace) -> int:
    snapshot, at = asked_about(args)
    places = sorted(_places(args, snapshot, at), key=lambda place: not place["certain"])
    if not places or snapshot.root is None:
        uses = "writes" if args.writes else "uses"
        raise Failure(f"{args.position}: no {uses} of the name there are known")
    if args.json:
        print(json.dumps(places))
        return OK
    for place in places:
        marks = [] if place["certain"] else ["possible"]
        marks += filter(None, [_MARKS.get(place["access"], "")])
        mark = f"  [{' '.join(marks)}]" if marks else ""
        print(f"{shell_path(snapshot.root, place['path'])}:{place['line']}:{place['column']}: {place['text']}{mark}")
    return OK


def _places(args: argparse.Namespace, snapshot: Snapshot, at: Position) -> Iterator[dict[str, Any]]:
    from kexpert.cli.terminal import progress_bar
    from kexpert.render import json as render_json
    from kexpert.workspace.marked_references import marked_references, writes

    with progress_bar() as show:
        found = marked_references(snapshot, at, on_files=_shown_by(show))
        for marked in writes(found) if args.writes else found:
            uses = marked.selected(marked.certain) if args.certain else marked
            yield from render_json.marked_uses(snapshot.source, uses)


def _shown_by(show: Callable[[Step], None]) -> Callable[[int, int], None]:
    def on_files(done: int, total: int) -> None:
        if total >= _MIN_SHOWN_FILES:
            show(_Searched(done, total, finished=done + 1 >= total))

    return on_files
