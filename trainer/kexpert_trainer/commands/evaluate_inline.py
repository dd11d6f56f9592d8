"""``kexpert-train evaluate inline``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "fill holes in functions that 6.12 has and 6.1 has not, through the serving path"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree612", type=Path, required=True, metavar="DIR", help="the tree with the holes, indexed")
    parser.add_argument("--tree61", type=Path, required=True, metavar="DIR", help="the tree the model learnt from")
    parser.add_argument("--model", default="", metavar="PATH|URL", help="instead of kexpert's choice")
    parser.add_argument("--count", type=int, default=100, help="holes of each kind (default: 100)")
    parser.add_argument("--files", type=int, default=400, help="files to look for functions in (default: 400)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other holes (default: 1)")
    parser.add_argument("--details", type=Path, metavar="FILE", help="write every hole and answer, a JSON line each")
    parser.add_argument("--json", action="store_true", help="print one JSON line")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.evaluation.inline import evaluate, table
    from kexpert_trainer.progress import say

    report = evaluate(
        args.tree612, args.tree61, args.model, args.count, args.files, args.seed, say=say, details=args.details
    )
    print(json.dumps(report) if args.json else table(report))
