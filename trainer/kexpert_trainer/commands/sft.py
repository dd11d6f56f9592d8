"""``kexpert-train sft``, alone or under ``torchrun -m kexpert_trainer``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kexpert_trainer.training.sft_config import SftLimits

HELP = "fine-tune an adapter on a published chat corpus, or continue to"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--dry-run", action="store_true", help="measure a few steps: rows, tokens, memory, hours")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Arguments of every fine-tuning run."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings of the run in TOML")
    parser.add_argument("--base", metavar="DIR", help="as in the settings: Hugging Face folder of the base")
    parser.add_argument("--corpus", metavar="DIR", help="as in the settings: folder of kexpert-train publish")
    parser.add_argument("--tokens", type=float, help="as in the settings: of the whole run")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of checkpoints and log")
    add_limits(parser)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Arguments that decide how far a run goes and what it takes."""
    parser.add_argument("--minutes", type=float, default=float("inf"), help="save and stop after this wall time")
    parser.add_argument("--steps", type=int, default=0, help="save and stop after this many more (default: no limit)")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU (default: torch's choice)")
    parser.add_argument("--micro-tokens", type=int, default=0, metavar="N", help="at once on a device (default: all)")
    parser.add_argument("--checkpointing", action="store_true", help="less memory for a third more time")
    parser.add_argument("--evaluate-every", type=int, default=100, metavar="STEPS", help="default: 100")
    parser.add_argument("--evaluation-rows", type=int, default=160, metavar="ROWS", help="default: 160")
    parser.add_argument("--wandb", default="", metavar="PROJECT", help="send the curves to Weights & Biases")


def limits_of(args: argparse.Namespace) -> SftLimits:
    """The limits in a command's arguments."""
    from kexpert_trainer.training.sft_config import SftLimits

    return SftLimits(
        minutes=args.minutes, steps=args.steps, threads=args.threads, micro_tokens=args.micro_tokens,
        checkpointing=args.checkpointing, evaluate_every=args.evaluate_every, evaluation_rows=args.evaluation_rows,
        wandb=args.wandb,
    )  # fmt: skip


def settings_of(args: argparse.Namespace, kind: Any, **more: Any) -> Any:
    """The settings of a run: those of ``--config``, replaced by the options given."""
    from kexpert_trainer.training.sft_config import build, check, read_toml

    tokens = None if args.tokens is None else int(args.tokens)
    given = {"base": args.base, "corpus": args.corpus, "tokens": tokens, **more}
    given = {name: value for name, value in given.items() if value is not None}
    return check(read_toml(args.config, kind, **given) if args.config else build(kind, given, "the command's options"))


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.errors import UserError
    from kexpert_trainer.training.sft_config import SftConfig

    config = settings_of(args, SftConfig)
    if args.dry_run:
        from kexpert_trainer.training.dry_run import dry_run

        print(dry_run(config, limits_of(args)).table())
        return
    if args.out is None:
        raise UserError("give the folder of the run with --out DIR")
    from kexpert_trainer.training.sft import run

    run(config, args.out, limits_of(args))
