"""``kexpert-train export``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "write a checkpoint as GGUF with model.json and a model card"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="DIR", help="…/last of a run")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model")
    parser.add_argument("--name", required=True, help="of the model")
    parser.add_argument("--provenance", required=True, help="one sentence: what trained it, and for how long")
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="what it was trained on")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="JSON object of measurements")
    parser.add_argument("--kinds", nargs="+", default=["Q8_0"], metavar="KIND", help="first is served (default: Q8_0)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.release.export import export, origin_of, read_figures

    figures = read_figures(args.figures) if args.figures else {}
    origin = origin_of(args.checkpoint, args.corpus, args.name, args.provenance, figures)
    manifest = export(args.checkpoint, args.out, origin, args.kinds)
    print(json.dumps({"base": manifest.base, "sha256": manifest.base_sha256}))
