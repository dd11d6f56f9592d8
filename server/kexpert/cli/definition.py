"""``kexpert definition FILE:LINE:COL``: where a name is defined."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_place_command
from kexpert.cli.asked import asked_about
from kexpert.cli.spans import print_spans

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands


def add_arguments(commands: Commands) -> None:
    add_place_command(commands, "definition", "where the name there is defined", run)


def run(args: argparse.Namespace) -> int:
    snapshot, at = asked_about(args)
    return print_spans(args, snapshot, snapshot.definition(at), "no definition of the name there is known")
