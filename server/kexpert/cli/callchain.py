"""``kexpert callchain NAME``: who calls a function and what it calls, or the shortest chain to another."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_tree, positive
from kexpert.cli.asked import shell_path
from kexpert.cli.errors import OK, Failure, say
from kexpert.workspace.find_tree import find_tree

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands

_WHAT = "the callers above a function and the callees below it, direct and through ops tables"


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("callchain", help=_WHAT, description=f"Print {_WHAT}.")
    command.add_argument("name", metavar="NAME", help="a function or macro; a system call also by its short name")
    command.add_argument("--up", metavar="N", type=_levels, default=2, help="levels of callers (default: 2)")
    command.add_argument("--down", metavar="N", type=_levels, default=3, help="levels of callees (default: 3)")
    command.add_argument("--to", metavar="OTHER", help="the shortest chain between NAME and OTHER instead")
    command.add_argument("--limit", metavar="N", type=positive, default=12, help="calls of one function (default: 12)")
    command.add_argument("--max-nodes", metavar="N", type=positive, default=150, help="of one direction (default: 150)")
    add_tree(command)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def _levels(text: str) -> int:
    if not text.isdecimal() or int(text) > 10:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 10")
    return int(text)


def run(args: argparse.Namespace) -> int:
    from kexpert.render import call_chain as render
    from kexpert.workspace.saved_tree import SavedTree

    with closing(SavedTree(find_tree(args.tree), say)) as tree:
        snapshot = tree.snapshot()

        def place_of(path: str) -> str:
            return shell_path(tree.root, path)

        if args.to:
            path = snapshot.call_path(args.name, args.to)
            if path is None:
                missing = next(n for n in (args.name, args.to) if not snapshot.is_function(n))
                raise Failure(f"{missing}: no function or macro of such a name in {tree.root}")
            print(json.dumps(render.path_to_json(path)) if args.json else render.path_to_plain_text(path, place_of))
            return OK
        chain = snapshot.call_chain(
            args.name, up=args.up, down=args.down, width=args.limit, max_nodes=args.max_nodes
        )
        if chain is None:
            raise Failure(f"{args.name}: no function or macro of such a name in {tree.root}")
        print(json.dumps(render.to_json(chain)) if args.json else render.to_plain_text(chain, place_of))
    return OK
