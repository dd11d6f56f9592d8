"""``kexpert references FILE:LINE:COL``: every use of a name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_tree, file_position
from kexpert.cli.asked import asked_about
from kexpert.cli.spans import print_spans

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands

_WHAT = "every use of the name there, in the whole tree"


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("references", help=_WHAT, description=f"Print {_WHAT}.")
    command.add_argument("position", metavar="FILE:LINE:COL", type=file_position, help="line and column count from 1")
    add_tree(command)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    snapshot, at = asked_about(args)
    spans = [use for file in snapshot.references(at) for use in file]
    return print_spans(args, snapshot, spans, "no uses of the name there are known")
