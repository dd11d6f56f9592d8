"""``kexpert-train expert``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from kexpert_trainer.commands.corpus_arguments import add_jobs
from kexpert_trainer.commands.sft import add_limits, limits_of

HELP = "all steps from a tree and a base to an adapter that the server loads; continues where it stopped"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    parser.add_argument("--base", default="smollm2-135m", metavar="PRESET", help="preset or Hugging Face folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of everything that is made")
    parser.add_argument("--name", default="kexpert-chat", help="of the model (default: kexpert-chat)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings of sft in TOML, but for base and corpus")
    parser.add_argument("--tokens", type=float, help="of fine-tuning, as in the settings")
    parser.add_argument("--prefer-tokens", type=float, default=0, help="of preference training (default: none)")
    parser.add_argument("--commits", type=int, default=20_000, metavar="N", help="of the history (default: 20000)")
    parser.add_argument("--kinds", nargs="+", default=["Q8_0"], metavar="KIND", help="of GGUF (default: Q8_0)")
    parser.add_argument("--functions", type=int, default=200, help="to evaluate on (default: 200)")
    add_jobs(parser)
    add_limits(parser)


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.expert_pipeline import ExpertConfig, make_expert
    from kexpert_trainer.training.prefer import PreferConfig
    from kexpert_trainer.training.sft_config import SftConfig, build, check, read_toml

    given = {"base": "", "corpus": ""} | ({} if args.tokens is None else {"tokens": int(args.tokens)})
    sft = read_toml(args.config, SftConfig, **given) if args.config else build(SftConfig, given, "the options")
    wishes = None
    if args.prefer_tokens:
        wishes = PreferConfig("", "", tokens=int(args.prefer_tokens), method=sft.method, max_tokens=sft.max_tokens)
    config = ExpertConfig(
        tree=args.tree, base=args.base, out=args.out, name=args.name, sft=check(sft), prefer=wishes,
        commits=args.commits, kinds=tuple(args.kinds), evaluation_functions=args.functions, jobs=args.jobs,
    )  # fmt: skip
    for step, result in make_expert(config, limits_of(args)):
        print(json.dumps({step: result}), flush=True)
