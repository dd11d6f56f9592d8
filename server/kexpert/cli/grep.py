"""``kexpert grep REGEX``: the functions, macros and types whose text matches an expression."""

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

_WHAT = "the functions, macros and types whose text matches an expression"


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("grep", help=_WHAT, description=f"Print {_WHAT}.")
    command.add_argument("pattern", metavar="REGEX", help="in RE2's syntax; a match may span lines")
    command.add_argument("-F", "--fixed-strings", action="store_true", help="REGEX is plain text")
    command.add_argument("-i", "--ignore-case", action="store_true")
    command.add_argument(
        "--path", metavar="PATTERN", action="append", default=[], help="files to search, as in gitignore: fs/ext4, *.h"
    )
    kinds = "function, macro, struct, union, enum, typedef, variable, declaration, tracepoint, config, syscall, label"
    command.add_argument("--kind", metavar="KIND", action="append", default=[], help=f"results to give: {kinds}")
    command.add_argument(
        "--config", metavar="OPTION", action="append", default=[], help="what the option builds or guards"
    )
    command.add_argument("--limit", metavar="N", type=positive, default=50, help="results (default: 50)")
    command.add_argument("--body", action="store_true", help="print whole definitions, not the matching lines")
    add_tree(command)
    command.add_argument("--json", action="store_true", help="with whole definitions")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from kexpert.render import grep as render
    from kexpert.workspace.saved_tree import SavedTree
    from kexpert.workspace.snapshot import Refusal

    with closing(SavedTree(find_tree(args.tree), say)) as tree:
        snapshot = tree.snapshot()
        try:
            found = snapshot.grep(
                args.pattern,
                is_fixed=args.fixed_strings,
                ignores_case=args.ignore_case,
                paths=args.path,
                kinds=args.kind,
                configs=args.config,
                max_results=args.limit,
            )
        except Refusal as reason:
            raise Failure(str(reason)) from None
        if args.json:
            print(json.dumps(render.to_json(found, snapshot.source)))
        else:
            source_of = snapshot.source if args.body else None
            for line in render.to_lines(found, lambda path: shell_path(tree.root, path), source_of):
                print(line)
    if not found.hits:
        raise Failure(f"{args.pattern}: no match in {tree.root}")
    return OK
