"""``kexpert-train ablate``."""

from __future__ import annotations

import argparse

from kexpert_trainer.commands.sft import add_run, limits_of, settings_of

HELP = "compare ranks, learning rates, targets and full fine-tuning on small runs: a table and a plot"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="r4 r8 r16 r32 mlp full (default: all)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.errors import UserError
    from kexpert_trainer.evaluation.ablation import ablate, table
    from kexpert_trainer.training.sft_config import SftConfig

    if args.out is None:
        raise UserError("give the folder of the results with --out DIR")
    print(table(ablate(settings_of(args, SftConfig), args.out, limits_of(args), args.only)))
