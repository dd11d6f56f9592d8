"""``kexpert-train pack``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "copy as much of a corpus as fits a size limit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="the whole corpus")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder; a corpus in it is replaced")
    parser.add_argument("--megabytes", type=float, default=50, help="maximum of files (default: 50)")
    parser.add_argument("--skip", type=int, default=0, help="training shards that earlier packs held (default: 0)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus import pack

    packed = pack(args.corpus, args.out, int(args.megabytes * 1e6), args.skip)
    print(json.dumps(packed.summary))
