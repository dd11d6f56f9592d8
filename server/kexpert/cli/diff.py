"""``kexpert diff [REV|-|FILE]``: what a patch touches, who depends on it, and who maintains it."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_tree
from kexpert.cli.asked import shell_path
from kexpert.cli.errors import OK, Failure, say
from kexpert.workspace.find_tree import find_tree

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands

_WHAT = "the functions, types, tables and options that a patch touches, their callers and maintainers"


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("diff", help=_WHAT, description=f"Print {_WHAT}.")
    command.add_argument(
        "patch",
        metavar="REV|-|FILE",
        nargs="?",
        default="HEAD",
        help="a revision of git (REV against the files, REV..REV), - for a diff on stdin, or a file (default: HEAD)",
    )
    add_tree(command)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from kexpert.render import patch as render
    from kexpert.workspace.refusal import Refusal
    from kexpert.workspace.saved_tree import SavedTree

    with closing(SavedTree(find_tree(args.tree), say)) as tree:
        snapshot = tree.snapshot()
        try:
            data = _given(args.patch)
            found = snapshot.patch(data) if data is not None else snapshot.patch_of_revision(args.patch)
        except Refusal as reason:
            raise Failure(str(reason)) from None
        if args.json:
            print(json.dumps(render.to_json(found)))
        else:
            for line in render.to_lines(found, lambda path: shell_path(tree.root, path)):
                print(line)
    if not found.files and not args.json:
        say("the diff names no file of the tree" if data is None or data.strip() else "the diff is empty")
    return OK


def _given(patch: str) -> bytes | None:
    """The bytes of a diff on stdin or in a file; None for a revision."""
    from kexpert.core.unified_diff import MAX_DIFF_BYTES

    if patch == "-":
        return sys.stdin.buffer.read(MAX_DIFF_BYTES + 1)
    path = Path(patch)
    if not path.is_file():
        if path.suffix in (".patch", ".diff"):
            raise Failure(f"{patch}: no such file")
        return None
    with path.open("rb") as file:
        return file.read(MAX_DIFF_BYTES + 1)
