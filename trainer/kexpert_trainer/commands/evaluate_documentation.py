"""``kexpert-train evaluate documentation``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "summaries and kernel-doc of functions that 6.12 has and 6.1 has not, by a chat model and its rivals"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree612", type=Path, required=True, metavar="DIR", help="the tree with the new functions")
    parser.add_argument("--tree61", type=Path, required=True, metavar="DIR", help="the tree the adapter learnt from")
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="base model, a Hugging Face folder")
    parser.add_argument("--adapter", type=Path, metavar="DIR", help="a PEFT folder (default: the base alone)")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR",
                        help="keep functions and answers here, for another run")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="write report.json, report.md, chrf.png and answers.jsonl here")  # fmt: skip
    parser.add_argument("--held-out", type=Path, metavar="FILE",
                        help="rows of 6.1 that the adapter did not see (default: the held-out subsystems)")  # fmt: skip
    parser.add_argument("--embedder", type=Path, metavar="DIR", help="default: the one that ships with kexpert")
    parser.add_argument("--functions", type=int, default=300, help="that 6.12 alone has (default: 300; 0: all)")
    parser.add_argument("--held-out-functions", type=int, default=60, help="of 6.1, for the gate too (default: 60)")
    parser.add_argument("--kernel-docs", type=int, default=40, help="whole kernel-doc comments (default: 40)")
    parser.add_argument("--without-base", action="store_true", help="leave the base model out, to save its time")
    parser.add_argument("--threads", type=int, default=0, help="default: as many as PyTorch chooses")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.evaluation.chat_model import AnswerStore, ChatModel
    from kexpert_trainer.evaluation.documentation import evaluate, writers_of
    from kexpert_trainer.evaluation.documentation_report import plot, tables
    from kexpert_trainer.evaluation.documented_functions import function_sets
    from kexpert_trainer.evaluation.rivals import Embeddings, shipped_embedder

    base = ChatModel(args.base, threads=args.threads)
    adapter = ChatModel(args.base, args.adapter, args.threads) if args.adapter else None
    sets, fitting = function_sets(
        args.tree612, args.tree61, args.work, args.held_out, args.functions, args.held_out_functions
    )
    embeddings = Embeddings(args.embedder or shipped_embedder(), args.work)
    writers = writers_of(base, adapter)
    if args.without_base and adapter is not None:
        writers = [writer for writer in writers if writer.model is adapter]
    report, details = evaluate(
        sets, fitting, writers, embeddings, AnswerStore(args.work / "answers.jsonl"), args.kernel_docs
    )
    report |= {"base": base.identity, "adapter": str(args.adapter or ""), "gate": report.get("gate")}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "report.json").write_text(json.dumps(report, indent=1))
    (args.out / "answers.jsonl").write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in details))
    text = tables(report)
    (args.out / "report.md").write_text(text + "\n")
    plot(report, args.out / "chrf.png")
    print(text)
