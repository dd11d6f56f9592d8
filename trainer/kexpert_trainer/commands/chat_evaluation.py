"""What ``evaluate documentation`` and ``evaluate questions`` share: trees, models, and the files of a report."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kexpert_trainer.evaluation.chat_model import ChatModel
    from kexpert_trainer.evaluation.documentation import Writer


def add_models(parser: argparse.ArgumentParser, asked: str, plot: str) -> None:
    """Arguments before those of a command. ``asked``: what ``--work`` keeps; ``plot``: the name of the plot."""
    parser.add_argument("--tree612", type=Path, required=True, metavar="DIR", help="the tree with the new functions")
    parser.add_argument("--tree61", type=Path, required=True, metavar="DIR", help="the tree the adapter learnt from")
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="base model, a Hugging Face folder")
    parser.add_argument("--adapter", type=Path, metavar="DIR", help="a PEFT folder (default: the base alone)")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR",
                        help=f"keep {asked} and answers here, for another run")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help=f"write report.json, report.md, {plot} and answers.jsonl here")  # fmt: skip


def add_effort(parser: argparse.ArgumentParser) -> None:
    """Arguments after those of a command."""
    parser.add_argument("--without-base", action="store_true", help="leave the base model out, to save its time")
    parser.add_argument("--threads", type=int, default=0, help="default: as many as PyTorch chooses")


def models_of(args: argparse.Namespace, candidates: int = 1) -> tuple[ChatModel, list[Writer]]:
    """The base, and who answers: base and adapter, each with and without retrieval; for ``candidates`` see
    ``writers_of``."""
    from kexpert_trainer.evaluation.chat_model import ChatModel
    from kexpert_trainer.evaluation.documentation import writers_of

    base = ChatModel(args.base, threads=args.threads)
    adapter = ChatModel(args.base, args.adapter, args.threads) if args.adapter else None
    writers = writers_of(base, adapter, candidates)
    if args.without_base and adapter is not None:
        writers = [writer for writer in writers if writer.model is adapter]
    return base, writers


def write_report(out: Path, report: dict[str, Any], details: Sequence[dict[str, Any]], text: str) -> None:
    """Write and print a report; ``details``: one entry for each answer."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report, indent=1))
    (out / "answers.jsonl").write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in details))
    (out / "report.md").write_text(text + "\n")
    print(text)
