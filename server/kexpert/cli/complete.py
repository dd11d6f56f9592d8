"""``kexpert complete``: what the model would write at a place."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_tree, batch_lines, file_position
from kexpert.cli.asked import asked_about
from kexpert.cli.errors import OK, USAGE, Failure, say
from kexpert.workspace.find_tree import find_tree

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("complete", help="what the model would write there, as inline completion shows it")
    command.add_argument("position", metavar="FILE:LINE:COL", type=file_position, nargs="?", help="count from 1")
    questions = 'questions {"path", "before", "after"} as JSON lines (-: stdin), one JSON line for each'
    command.add_argument("--batch", metavar="FILE", help=questions)
    command.add_argument("--model", metavar="PATH|URL", default="", help="instead of the one in the settings")
    add_tree(command)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if (args.position is None) == (args.batch is None):
        say("complete takes either FILE:LINE:COL or --batch FILE; see kexpert complete --help")
        return USAGE
    from kexpert.workspace.complete import Failed, Refused, complete, complete_batch, settings_for
    from kexpert.workspace.saved_tree import SavedTree

    try:
        if args.batch is not None:
            root = find_tree(args.tree)
            SavedTree(root, say)
            for answer in complete_batch(root, batch_lines(args.batch), settings_for(root, args.model)):
                print(json.dumps(answer), flush=True)
            return OK
        snapshot, at = asked_about(args)
        found = complete(snapshot, at, settings_for(snapshot.root, args.model))
    except (Refused, Failed) as reason:
        raise Failure(str(reason)) from None
    if args.json:
        from kexpert.render import json as render_json

        print(json.dumps(render_json.suggestion(found)))
    elif found is None:
        raise Failure(f"{args.position}: nothing is completed there")
    elif found.hidden_reason:
        why = f"{found.hidden_reason}: {found.hidden_detail or 'nothing'}"
        raise Failure(f"{args.position}: nothing sure enough to show ({why})")
    else:
        print(found.text)
    return OK
