"""``kexpert-train pretrain``, alone or under ``torchrun -m kexpert_trainer``."""

from __future__ import annotations

import argparse
from pathlib import Path

from kexpert_trainer.models.sizes import SIZES

HELP = "train a model, or continue training it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus", required=True, metavar="DIR", help="folder of token shards")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of checkpoint and log")
    parser.add_argument("--size", choices=sorted(SIZES), default="2m", help="default: 2m")
    parser.add_argument("--tokens", type=float, default=10e6, help="of the whole run (default: 10e6)")
    parser.add_argument("--batch-rows", type=int, default=16, help="rows of a step on all devices (default: 16)")
    parser.add_argument("--micro-batch", type=int, default=16, help="rows at once on one device (default: 16)")
    parser.add_argument("--muon-lr", type=float, default=0.02, help="learning rate of Muon (default: 0.02)")
    parser.add_argument("--embedding-lr", type=float, default=3e-3, help="that of AdamW (default: 0.003)")
    parser.add_argument("--decay", type=float, default=0.3, help="last part of the tokens (default: 0.3)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="save and stop after this wall time")
    parser.add_argument("--steps", type=int, default=0, help="save and stop after this many more (default: no limit)")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU (default: torch's choice)")
    attentions = ("masked", "each", "varlen", "triton")
    parser.add_argument("--attention", choices=attentions, default="", help="default: by device")
    parser.add_argument("--evaluate-every", type=int, default=100, metavar="STEPS", help="default: 100")
    parser.add_argument("--evaluation-rows", type=int, default=256, metavar="ROWS", help="default: 256")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.training.pretrain import PretrainConfig, RunLimits, run

    config = PretrainConfig(
        corpus=args.corpus, size=args.size, tokens=int(args.tokens), batch_rows=args.batch_rows,
        micro_batch=args.micro_batch, muon_lr=args.muon_lr, embedding_lr=args.embedding_lr,
        decay=args.decay, seed=args.seed,
    )  # fmt: skip
    limits = RunLimits(
        minutes=args.minutes, steps=args.steps, threads=args.threads, attention=args.attention,
        evaluate_every=args.evaluate_every, evaluation_rows=args.evaluation_rows,
    )  # fmt: skip
    run(config, args.out, limits)
