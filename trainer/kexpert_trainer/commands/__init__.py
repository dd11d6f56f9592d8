"""One module a command: ``HELP``, ``add_arguments(parser)`` and ``run(args)``.

They translate arguments and print results; the work is elsewhere. ``run`` imports what it needs (torch, numpy).
"""

from __future__ import annotations

import argparse
from typing import Protocol

from kexpert_trainer.commands import (
    ablate,
    base,
    corpus,
    curate,
    embedder,
    evaluate_documentation,
    evaluate_inline,
    evaluate_questions,
    evaluate_search,
    expert,
    export,
    falsify,
    inspect,
    merge,
    mine,
    model,
    pack,
    parts,
    prefer,
    pretrain,
    publish,
    questions,
    review,
    sft,
    stats,
    tokenizer,
)


class Command(Protocol):
    """The interface of a module of this folder."""

    @property
    def HELP(self) -> str: ...

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> None: ...


#: Name -> module, in the order of ``--help``.
COMMANDS: dict[str, Command] = {
    "base": base, "embedder": embedder, "model": model, "tokenizer": tokenizer, "corpus": corpus, "pack": pack,
    "pretrain": pretrain, "export": export, "parts": parts,
    "mine": mine, "questions": questions, "curate": curate, "falsify": falsify, "publish": publish, "inspect": inspect,
    "stats": stats, "review": review,
    "sft": sft, "prefer": prefer, "ablate": ablate, "merge": merge, "expert": expert,
}  # fmt: skip
#: The same for ``kexpert-train evaluate WHAT``.
EVALUATIONS: dict[str, Command] = {
    "search": evaluate_search, "inline": evaluate_inline, "documentation": evaluate_documentation,
    "questions": evaluate_questions,
}  # fmt: skip
