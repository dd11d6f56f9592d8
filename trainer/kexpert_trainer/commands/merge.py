"""``kexpert-train merge``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "merge an adapter into its base in 16 bits, and measure what that changes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="Hugging Face folder of the base")
    parser.add_argument("--adapter", type=Path, required=True, metavar="DIR", help="…/best of a run")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the merged model")
    parser.add_argument("--dtype", choices=("float16", "bfloat16"), default="float16", help="default: float16")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU (default: torch's choice)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.release.merge import merge

    print(json.dumps(merge(args.base, args.adapter, args.out, args.dtype, args.threads).as_dict()))
