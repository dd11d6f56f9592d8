"""``kexpert-train evaluate documentation``."""

from __future__ import annotations

import argparse
from pathlib import Path

from kexpert_trainer.commands.chat_evaluation import add_effort, add_models, models_of, write_report

HELP = "summaries and kernel-doc of functions that 6.12 has and 6.1 has not, by a chat model and its rivals"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_models(parser, "functions", "chrf.png")
    parser.add_argument("--held-out", type=Path, metavar="FILE",
                        help="rows of 6.1 that the adapter did not see (default: the held-out subsystems)")  # fmt: skip
    parser.add_argument("--embedder", type=Path, metavar="DIR", help="default: the one that ships with kexpert")
    parser.add_argument("--functions", type=int, default=300, help="that 6.12 alone has (default: 300; 0: all)")
    parser.add_argument("--held-out-functions", type=int, default=60, help="of 6.1, for the gate too (default: 60)")
    parser.add_argument("--kernel-docs", type=int, default=40, help="whole kernel-doc comments (default: 40)")
    parser.add_argument("--candidates", type=int, default=0, metavar="N",
                        help="judge the most agreed of N answers too (default: as when served; 1: no)")  # fmt: skip
    add_effort(parser)


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.evaluation.chat_model import AnswerStore
    from kexpert_trainer.evaluation.documentation import evaluate
    from kexpert_trainer.evaluation.documentation_report import plot, tables
    from kexpert_trainer.evaluation.documented_functions import function_sets
    from kexpert_trainer.evaluation.rivals import Embeddings, shipped_embedder

    base, writers = models_of(args, args.candidates)
    sets, fitting = function_sets(
        args.tree612, args.tree61, args.work, args.held_out, args.functions, args.held_out_functions
    )
    embeddings = Embeddings(args.embedder or shipped_embedder(), args.work)
    report, details = evaluate(
        sets, fitting, writers, embeddings, AnswerStore(args.work / "answers.jsonl"), args.kernel_docs
    )
    report |= {"base": base.identity, "adapter": str(args.adapter or ""), "gate": report.get("gate")}
    write_report(args.out, report, details, tables(report))
    plot(report, args.out / "chrf.png")
