"""``kexpert-train model``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from kexpert_trainer.models.sizes import SIZES

HELP = "all steps from a tree to GGUF; continues where it stopped"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of everything that is made")
    parser.add_argument("--size", choices=sorted(SIZES), default="100m", help="default: 100m")
    parser.add_argument("--tokens", type=float, default=400e6, help="of the whole run (default: 400e6)")
    parser.add_argument("--vocabulary", type=int, default=16_384, help="entries (default: 16384)")
    parser.add_argument("--sequence", type=int, default=2048, help="tokens of the longest document (default: 2048)")
    parser.add_argument("--megabytes", type=float, default=0, help="maximum of text (default: the whole tree)")
    parser.add_argument("--batch-rows", type=int, default=128, help="rows of a step (default: 128)")
    parser.add_argument("--micro-batch", type=int, default=32, help="rows at once on one device (default: 32)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="save and stop training after this time")
    parser.add_argument("--kinds", nargs="+", default=["Q4_K_M"], metavar="KIND", help="of GGUF (default: Q4_K_M)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus import CorpusConfig
    from kexpert_trainer.pipeline import Folders, train_model
    from kexpert_trainer.training.pretrain import PretrainConfig, RunLimits

    folders = Folders(args.out)
    pretrain = PretrainConfig(
        corpus=str(folders.corpus), size=args.size, tokens=int(args.tokens), batch_rows=args.batch_rows,
        micro_batch=args.micro_batch,
    )  # fmt: skip
    corpus = CorpusConfig(sequence=args.sequence, megabytes=args.megabytes)
    limits = RunLimits(minutes=args.minutes)
    for result in train_model(args.tree, folders, args.vocabulary, corpus, pretrain, limits, args.kinds):
        print(json.dumps(result), flush=True)
