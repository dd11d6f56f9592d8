"""``kexpert kerneldoc FILE:LINE``: a kernel-doc comment for the definition there."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_tree
from kexpert.cli.asked import asked_tree
from kexpert.cli.errors import OK, Failure, say
from kexpert.cli.explain import FileLines, asked_position, file_lines, shown_place

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands
    from kexpert.workspace.snapshot import Position, Snapshot

_WHAT = "a kernel-doc comment for a function, macro or struct, or what completes the one it has"


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("kerneldoc", help=_WHAT, description=f"Print {_WHAT}. No file is changed.")
    place = "a definition, by a line of it; lines count from 1"
    command.add_argument("lines", metavar="FILE:LINE[:COL]", type=file_lines, help=place)
    add_tree(command)
    command.add_argument("--json", action="store_true", help="print the comment and the origin of each text as JSON")
    command.add_argument("--no-model", action="store_true", help="leave the chat model out")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    args.position = args.lines.position
    tree, at = asked_tree(args)
    with closing(tree):
        if not args.no_model:
            tree.load_voice()
        return _print(tree.snapshot(), at, args)


def _print(snapshot: Snapshot, at: Position, args: argparse.Namespace) -> int:
    from kexpert.workspace.snapshot import Refusal

    asked: FileLines = args.lines
    at = asked_position(snapshot, asked, at)
    try:
        target = snapshot.kernel_doc_target(at)
        found = snapshot.kernel_doc(at, use_model=not args.no_model)
    except Refusal as reason:
        raise Failure(f"{shown_place(asked)}: {reason}") from None
    if target is None:
        raise Failure(f"{shown_place(asked)}: there is no function, macro or struct")
    if found is None:
        raise Failure(f"{shown_place(asked)}: {target.declaration.title} has a kernel-doc comment that lacks nothing")
    from kexpert.render import kernel_doc as render_kernel_doc

    if args.json:
        print(json.dumps(render_kernel_doc.to_json(found)))
        return OK
    print(found.comment())
    if written := render_kernel_doc.written_by(found):
        say(written)
    if found.stale:
        say(f"it describes {', '.join(found.stale)}, which {found.name} does not have")
    return OK
