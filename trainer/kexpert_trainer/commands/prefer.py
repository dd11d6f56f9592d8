"""``kexpert-train prefer``, alone or under ``torchrun -m kexpert_trainer``."""

from __future__ import annotations

import argparse

from kexpert_trainer.commands.sft import add_run, limits_of, settings_of

HELP = "train an adapter further to prefer right answers to the wrong ones of kexpert-train falsify"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--adapter", metavar="DIR", help="as in the settings: …/best of a run of sft")
    parser.add_argument("--beta", type=float, help="as in the settings: smaller moves further (default: 0.1)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.errors import UserError
    from kexpert_trainer.training.prefer import PreferConfig, run

    if args.out is None:
        raise UserError("give the folder of the run with --out DIR")
    run(settings_of(args, PreferConfig, adapter=args.adapter, beta=args.beta), args.out, limits_of(args))
