"""``kexpert-train corpus``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "write a tree as token shards; continues where it stopped"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="FILE", help="tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the corpus")
    parser.add_argument("--sequence", type=int, default=2048, help="tokens of the longest document (default: 2048)")
    parser.add_argument("--megabytes", type=float, default=0, help="maximum of text (default: the whole tree)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other windows and holes (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus import CorpusConfig, build
    from kexpert_trainer.data.tokenizer import load

    config = CorpusConfig(sequence=args.sequence, megabytes=args.megabytes, seed=args.seed)
    print(json.dumps(build(args.tree, load(args.tokenizer), args.out, config, args.jobs).summary))
