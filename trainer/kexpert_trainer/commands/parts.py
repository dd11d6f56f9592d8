"""``kexpert-train parts``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "split a checkpoint's weights into files of a limited size, or join them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="DIR", help="to read; with --join to write")
    parser.add_argument("--parts", type=Path, required=True, metavar="DIR", help="folder of the parts")
    parser.add_argument("--megabytes", type=float, default=16, help="maximum of a part (default: 16)")
    parser.add_argument("--join", action="store_true", help="make the checkpoint from its parts")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.release.checkpoint_parts import join, split

    if args.join:
        join(args.parts, args.checkpoint)
    else:
        print(json.dumps({"parts": split(args.checkpoint, args.parts, int(args.megabytes * 1e6))}))
