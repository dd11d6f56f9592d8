"""``kexpert-train evaluate questions``."""

from __future__ import annotations

import argparse

from kexpert_trainer.commands.chat_evaluation import add_effort, add_models, models_of, write_report

HELP = "questions on the kernel made from facts, scored automatically, with and without sources"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_models(parser, "questions", "questions.png")
    parser.add_argument("--questions", type=int, default=200, help="default: 200")
    add_effort(parser)


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.evaluation.chat_model import AnswerStore
    from kexpert_trainer.evaluation.questions import evaluate, plot, questions, table

    base, writers = models_of(args)
    rows = questions(args.tree612, args.tree61, args.work, args.questions)
    report, details = evaluate(rows, writers, AnswerStore(args.work / "answers.jsonl"))
    report |= {"base": base.identity, "adapter": str(args.adapter or "")}
    write_report(args.out, report, details, table(report))
    plot(report, args.out / "questions.png")
