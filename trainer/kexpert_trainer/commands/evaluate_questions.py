"""``kexpert-train evaluate questions``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "questions on the kernel made from facts, scored automatically, with and without sources"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tree612", type=Path, required=True, metavar="DIR", help="the tree with the new functions")
    parser.add_argument("--tree61", type=Path, required=True, metavar="DIR", help="the tree the adapter learnt from")
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="base model, a Hugging Face folder")
    parser.add_argument("--adapter", type=Path, metavar="DIR", help="a PEFT folder (default: the base alone)")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR",
                        help="keep questions and answers here, for another run")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="write report.json, report.md, questions.png and answers.jsonl here")  # fmt: skip
    parser.add_argument("--questions", type=int, default=200, help="default: 200")
    parser.add_argument("--without-base", action="store_true", help="leave the base model out, to save its time")
    parser.add_argument("--threads", type=int, default=0, help="default: as many as PyTorch chooses")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.evaluation.chat_model import AnswerStore, ChatModel
    from kexpert_trainer.evaluation.documentation import writers_of
    from kexpert_trainer.evaluation.questions import evaluate, plot, questions, table

    base = ChatModel(args.base, threads=args.threads)
    adapter = ChatModel(args.base, args.adapter, args.threads) if args.adapter else None
    rows = questions(args.tree612, args.tree61, args.work, args.questions)
    writers = writers_of(base, adapter)
    if args.without_base and adapter is not None:
        writers = [writer for writer in writers if writer.model is adapter]
    report, details = evaluate(rows, writers, AnswerStore(args.work / "answers.jsonl"))
    report |= {"base": base.identity, "adapter": str(args.adapter or "")}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "report.json").write_text(json.dumps(report, indent=1))
    (args.out / "answers.jsonl").write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in details))
    text = table(report)
    (args.out / "report.md").write_text(text + "\n")
    plot(report, args.out / "questions.png")
    print(text)
