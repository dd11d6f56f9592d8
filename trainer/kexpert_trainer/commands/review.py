"""``kexpert-train review``."""

from __future__ import annotations

import argparse

from kexpert_trainer.commands.corpus_arguments import TASKS, add_data

HELP = "mark rows of a chat corpus as good or bad, one after the other; publish leaves the bad ones out"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--count", type=int, default=50, metavar="N", help="rows of this session (default: 50)")
    parser.add_argument("--task", choices=TASKS, default="", help="rows of this task alone")
    parser.add_argument("--negatives", action="store_true", help="rows that were broken on purpose")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus_folder import CorpusFolder, read_corpus
    from kexpert_trainer.data.review import read_marks, review, to_review

    folder = CorpusFolder(args.data)
    marks = read_marks(folder.marks)
    path, command = (folder.negatives, "falsify") if args.negatives else (folder.curated, "curate")
    rows = to_review(read_corpus(path, command), marks, max(args.count, 0), args.task)
    given = review(rows, folder.marks, input, print)
    total = len(read_marks(folder.marks))
    print(", ".join(f"{count} {mark}" for mark, count in given.items()), f"({total} marks in all)")
