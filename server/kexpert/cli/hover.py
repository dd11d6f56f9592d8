"""``kexpert hover FILE:LINE:COL``: the card of a name."""

from __future__ import annotations

import argparse
import contextlib
import json
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_place_command
from kexpert.cli.asked import asked_tree
from kexpert.cli.errors import OK, Failure
from kexpert.cli.terminal import print_markdown

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands


def add_arguments(commands: Commands) -> None:
    add_place_command(commands, "hover", "what the editor's card says about the name there", run)


def run(args: argparse.Namespace) -> int:
    tree, at = asked_tree(args)
    with contextlib.closing(tree):
        tree.load_voice()  # for the lines that it wrote before; it is not asked
        card = tree.snapshot().hover(at)
    if card is None:
        raise Failure(f"{args.position}: nothing is known about this place")
    from kexpert.render import json as render_json
    from kexpert.render.markdown import hover_card

    if args.json:
        print(json.dumps(render_json.hover_card(card)))
    else:
        print_markdown(hover_card(card))
    return OK
