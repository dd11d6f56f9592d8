"""``kexpert-train stats``."""

from __future__ import annotations

import argparse
from pathlib import Path

from kexpert_trainer.commands.corpus_arguments import add_data

HELP = "draw a page of plots of a chat corpus"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help=".png or .html (default: stats.html in it)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus_folder import CorpusFolder
    from kexpert_trainer.data.stats_page import write_page

    out = args.out or args.data / "stats.html"
    write_page(CorpusFolder(args.data), out)
    print(out)
