"""``kexpert-train questions``."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write questions on a tree's facts, with sources and answers, as rows for training"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", type=Path, required=True, metavar="DIR", help="a kernel tree")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON lines")
    parser.add_argument("--count", type=int, default=8_000, help="of rows (default: 8000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--unanswered", type=float, default=0.04, metavar="PART",
        help="of the rows whose sources hold no answer, which says so (default: 0.04)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.questions import question_rows
    from kexpert_trainer.data.rows import write_rows
    from kexpert_trainer.data.tree import require_tree
    from kexpert_trainer.progress import progress

    require_tree(args.tree)
    with progress("Questions", args.count) as advance:
        last = 0

        def report(done: int, total: int) -> None:
            nonlocal last
            advance(done - last, total=total)
            last = done

        rows = question_rows(args.tree, args.count, args.seed, report=report, unanswered=args.unanswered)
    count = write_rows(args.out, rows)
    print(f"{count:,} questions in {args.out}")
