"""``kexpert-train mine``."""

from __future__ import annotations

import argparse
from pathlib import Path

from kexpert_trainer.commands.corpus_arguments import add_data, add_jobs

HELP = "write the rows of a chat corpus from a kernel tree; continues where it stopped"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    add_data(parser)
    add_jobs(parser)
    parser.add_argument(
        "--commits", type=int, default=20_000, metavar="N",
        help="newest commits to read where the tree has a git history; 0 for none (default: 20000)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus_folder import CorpusFolder
    from kexpert_trainer.data.mine_tree import mine_tree

    record = mine_tree(args.tree, CorpusFolder(args.data), args.jobs, max(args.commits, 0))
    for kind, count in record["rows"].items():
        print(f"{kind:30} {count:9,}")
    print(f"{'rows':30} {sum(record['rows'].values()):9,}")
