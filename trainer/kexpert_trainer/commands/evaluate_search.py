"""``kexpert-train evaluate search``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "find functions that 6.12 has and 6.1 has not, by their kernel-doc summaries"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree612", type=Path, required=True, metavar="DIR", help="the tree that is searched")
    parser.add_argument("--tree61", type=Path, required=True, metavar="DIR", help="the tree the embedder learnt from")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep copies and indexes here, for another run")
    parser.add_argument("--functions", type=int, default=119_000, help="in the pool (default: 119000; 0: all)")
    parser.add_argument("--questions", type=int, default=0, help="maximum (default: all)")
    parser.add_argument("--method", action="append", metavar="NAME", help="repeat it for several (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON line")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.evaluation.search import METHODS, evaluate, table

    methods = args.method or METHODS
    report = evaluate(args.tree612, args.tree61, args.work, args.functions, args.questions, methods)
    print(json.dumps(report.as_json()) if args.json else table(report))
