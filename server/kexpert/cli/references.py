"""``kexpert references FILE:LINE:COL``: every use of a name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_place_command
from kexpert.cli.asked import asked_about
from kexpert.cli.spans import print_spans

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands


def add_arguments(commands: Commands) -> None:
    add_place_command(commands, "references", "every use of the name there, in the whole tree", run)


def run(args: argparse.Namespace) -> int:
    snapshot, at = asked_about(args)
    spans = [use for file in snapshot.references(at) for use in file]
    return print_spans(args, snapshot, spans, "no uses of the name there are known")
