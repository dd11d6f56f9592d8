"""``kexpert ask QUESTION``: an answer from the tree, with its sources."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_tree, batch_lines
from kexpert.cli.asked import shell_path
from kexpert.cli.errors import OK, USAGE, Failure, say
from kexpert.workspace.find_tree import find_tree

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands

_WHAT = "an answer to a question about the kernel, with the places that bear it out"


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("ask", help=_WHAT, description=f"Print {_WHAT}.")
    command.add_argument("question", metavar="QUESTION", nargs="?", help='such as "which lock does vfs_rename take?"')
    command.add_argument("--batch", metavar="FILE", help="one question a line (-: stdin), one JSON line for each")
    add_tree(command)
    command.add_argument("--json", action="store_true")
    command.add_argument("--no-model", action="store_true", help="leave the chat model out")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if (args.question is None) == (args.batch is None):
        say("ask takes either QUESTION or --batch FILE; see kexpert ask --help")
        return USAGE
    from kexpert.render import ask as render_ask
    from kexpert.workspace.saved_tree import SavedTree

    with closing(SavedTree(find_tree(args.tree), say)) as tree:
        tree.load_vectors()
        if not args.no_model:
            tree.load_voice()
        snapshot = tree.snapshot()
        if args.batch is not None:
            for question in batch_lines(args.batch):
                found = snapshot.ask(question, use_model=not args.no_model)
                print(json.dumps(render_ask.to_json(found)), flush=True)
            return OK
        found = snapshot.ask(args.question, use_model=not args.no_model)
        if args.json:
            print(json.dumps(render_ask.to_json(found)))
        elif found.sources:
            print(render_ask.to_plain_text(found, lambda path: shell_path(tree.root, path)))
        if not found.text and not args.no_model and (why := snapshot.why_silent):
            say(why)
    if not found.sources:
        raise Failure(f"{args.question}: nothing was found in {tree.root}")
    return OK
