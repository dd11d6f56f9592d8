"""``kexpert-train embedder``."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "train the embedder and the ranker of search"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model")
    parser.add_argument("--steps", type=int, default=2500, help="without the held-out files (default: 2500)")
    parser.add_argument("--more", type=int, default=1000, help="steps with them (default: 1000)")
    parser.add_argument("--dimensions", type=int, default=256, help="default: 256")
    parser.add_argument("--questions", type=int, default=5000, help="that the ranker learns from (default: 5000)")
    parser.add_argument("--ranker-only", action="store_true", help="write the ranker alone, for the same embedder")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU; processes that read (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.embedder_pipeline import SearchTrainingConfig, train_search

    config = SearchTrainingConfig(
        steps=args.steps, more_steps=args.more, questions=args.questions, ranker_only=args.ranker_only,
        dimensions=args.dimensions, seed=args.seed, threads=args.threads,
    )  # fmt: skip
    train_search(args.tree, args.out, config)
