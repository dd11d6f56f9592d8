"""``kexpert-train tokenizer``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "train a byte-level BPE on a tree"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="tokenizer.json to write")
    parser.add_argument("--vocabulary", type=int, default=16_384, help="entries (default: 16384)")
    parser.add_argument("--megabytes", type=float, default=120, help="text to learn from (default: 120)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.tokenizer import summary
    from kexpert_trainer.data.train_tokenizer import train_tokenizer

    print(json.dumps(summary(train_tokenizer(args.tree, args.out, args.vocabulary, args.megabytes))))
