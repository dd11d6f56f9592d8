"""``kexpert-train falsify``."""

from __future__ import annotations

import argparse
from pathlib import Path

from kexpert_trainer.commands.corpus_arguments import add_data, add_jobs, show_failing

HELP = "try to break a curated chat corpus; makes the negatives for preference training"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--tree", type=Path, metavar="DIR", help="where the tree is now (default: where it was mined)")
    add_jobs(parser)


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus_folder import CorpusFolder
    from kexpert_trainer.data.falsify import falsify
    from kexpert_trainer.errors import UserError

    folder = CorpusFolder(args.data)
    report = falsify(folder, args.tree, args.jobs)
    print(report.table())
    if report.refused:
        show_failing(folder, report.refused)
        raise UserError(f"too few rows pass {', '.join(report.refused)}; all of them are in {folder.failing}")
