"""A first look at a chat model: summaries of the test split's functions, beside the base and the name in words.

``kexpert-train evaluate documentation`` measures more, on functions of a newer tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kexpert.prompt.chat import Task
from kexpert_trainer.data.corpus_folder import CorpusFolder, read_corpus
from kexpert_trainer.data.rows import Row
from kexpert_trainer.data.splits import split_rows
from kexpert_trainer.evaluation.chat_model import AnswerStore, ChatModel
from kexpert_trainer.evaluation.documentation import first_sentence, prompt_of
from kexpert_trainer.evaluation.metrics import mean
from kexpert_trainer.evaluation.rivals import name_in_words
from kexpert_trainer.evaluation.text_metrics import chrf
from kexpert_trainer.progress import progress

_SUMMARY_TOKENS = 40


def test_rows(folder: CorpusFolder, count: int) -> list[Row]:
    """The first ``count`` summaries of functions in the test split of a curated corpus."""
    rows = list(read_corpus(folder.curated, "curate"))
    splits = split_rows(rows)
    wanted = (row for row in rows if row.task is Task.SUMMARY and row.kind == "function" and splits[row.id] == "test")
    return [row for _, row in zip(range(count), wanted, strict=False)]


def measure(rows: Sequence[Row], base: Path, adapter: Path, store: Path, threads: int = 0) -> dict[str, Any]:
    """Mean chrF of the first sentences of base and adapter, and of the name in words. Answers are kept in ``store``."""
    references = [row.output for row in rows]
    prompts = [prompt_of(row, True, _SUMMARY_TOKENS) for row in rows]
    found: dict[str, Any] = {"functions": len(rows)}
    if not rows:
        return found
    found["chrf_name_in_words"] = round(mean(map(chrf, map(name_in_words, rows), references)), 2)
    answers = AnswerStore(store)
    with progress("summaries of the test split", 2 * len(rows)) as advance:
        for name, model in (("base", ChatModel(base, None, threads)), ("adapter", ChatModel(base, adapter, threads))):
            written = model.answers(prompts, answers, advance)
            texts = [first_sentence(answer.text, row) for answer, row in zip(written, rows, strict=True)]
            found[f"chrf_{name}"] = round(mean(map(chrf, texts, references)), 2)
    return found
