"""Evaluation of a chat model's documentation: ``kexpert-train evaluate documentation``.

A function's own kernel-doc is taken out, everything else stays as a user has it; the prompts are those of serving. The
answers stand beside those of rivals that need no model: the name in words, comments of other functions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kexpert.features.explain.agreement import CANDIDATES, agreed_summary, most_agreed
from kexpert.features.explain.check import Evidence
from kexpert_trainer.data.rows import Row
from kexpert_trainer.evaluation.answer_checks import (
    check_kernel_doc,
    invented,
    parameter_names,
    returns_something,
)
from kexpert_trainer.evaluation.chat_model import Answer, AnswerStore, ChatModel, Prompt
from kexpert_trainer.evaluation.documented_functions import FunctionSet
from kexpert_trainer.evaluation.gate import fit_gate, gated
from kexpert_trainer.evaluation.metrics import mean
from kexpert_trainer.evaluation.rivals import Embeddings, name_in_words, nearest, neighbour_of_file, ranks_of_true
from kexpert_trainer.evaluation.text_metrics import bleu4, chrf, chrf_corpus, paired_bootstrap, rouge_l
from kexpert_trainer.progress import progress

#: Tokens that the server lets a model write.
_SUMMARY_TOKENS, _KERNEL_DOC_TOKENS = 40, 120
NAME, FILE = "name in words", "neighbour of the file"
NEAREST, ELSEWHERE = "nearest comment", "nearest comment of another file"
SIMPLE = (NAME, FILE, NEAREST, ELSEWHERE)
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)])[.!?](?:\s|$)")

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Writer:
    """A model with the name that the tables give it, and whether it is shown documented neighbours."""

    name: str
    model: ChatModel
    retrieval: bool
    #: Answers, of which the one counts that the others agree with most.
    candidates: int = 1


def writers_of(base: ChatModel, adapter: ChatModel | None, candidates: int = 1) -> list[Writer]:
    """Base and adapter. With more than one candidate, or 0 for as many as when a small model is served, also the
    adapter with so many answers."""
    candidates = candidates or CANDIDATES
    found = [Writer("base", base, False), Writer("base + retrieval", base, True)]
    if adapter is not None:
        found += [Writer("adapter", adapter, False), Writer("adapter + retrieval", adapter, True)]
        if candidates > 1:
            found.append(Writer(f"adapter + retrieval, most agreed of {candidates}", adapter, True, candidates))
    return found


def evaluate(
    sets: Sequence[FunctionSet], fitting: FunctionSet | None, writers: Sequence[Writer], embeddings: Embeddings,
    store: AnswerStore, kernel_docs: int,
) -> tuple[Report, list[dict[str, Any]]]:  # fmt: skip
    """The report, and every answer with its scores. ``fitting``: the set that the gate is fitted on, and not judged."""
    report: Report = {"sets": {}, "kernel_doc": {}}
    details: list[dict[str, Any]] = []
    last = writers[-1]
    threshold = None
    if fitting is not None and fitting.functions:
        _prepare(fitting, embeddings)
        report["gate"] = _fitted(fitting, last, store)
        threshold = report["gate"]["cosine"]
    for test in sets:
        _prepare(test, embeddings)
        texts: dict[str, list[str]] = {
            NAME: [name_in_words(row) for row in test.rows],
            FILE: [neighbour_of_file(row) for row in test.rows],
            NEAREST: [test.pool[at].summary.output for at in test.nearest],
            ELSEWHERE: [test.pool[at].summary.output for at in test.elsewhere],
        }
        raw: dict[str, list[list[Answer]]] = {}
        for writer in writers:
            raw[writer.name] = _summaries(writer, test.rows, store)
            texts[writer.name] = [
                _agreed(answers, row) for answers, row in zip(raw[writer.name], test.rows, strict=True)
            ]
        if threshold is not None and test is not fitting:
            texts["gate"] = gated(threshold, test.cosines, texts[NEAREST], texts[last.name])
        by_writer = {w.name: w for w in writers}
        section = {}
        for name, written in texts.items():
            shows = by_writer[name].retrieval if name in by_writer else name != NAME
            section[name] = _metrics(written, test, embeddings, shows)
            if name in raw:
                section[name] |= _shown(raw[name], test.rows, by_writer[name].retrieval)
            details += _details(test, name, written)
        report["sets"][test.name] = {
            "functions": len(test.rows), "pool": len(test.pool), "writers": section,
            "differences": differences(texts, test.rows),
        }  # fmt: skip
    judged = [test for test in sets if test is not fitting]
    report["kernel_doc"] = {
        test.name: found for test in judged if (found := _kernel_docs(test, writers, store, kernel_docs, details))
    }
    return report, details


def _prepare(test: FunctionSet, embeddings: Embeddings) -> None:
    if test.vectors is not None:
        return
    pool = embeddings.of_functions([each.summary for each in test.pool])
    named: dict[str, list[int]] = defaultdict(list)
    filed: dict[str, list[int]] = defaultdict(list)
    for at, each in enumerate(test.pool):
        named[each.summary.name].append(at)
        filed[each.summary.path].append(at)
    test.vectors = embeddings.of_functions(test.rows)
    copies = [named[row.name] for row in test.rows]  # a function of the same name is the same one, in tools/ perhaps
    test.nearest, test.cosines = nearest(test.vectors, copies, pool)
    beside = [[*own, *filed[row.path]] for own, row in zip(copies, test.rows, strict=True)]
    test.elsewhere, _ = nearest(test.vectors, beside, pool)


def _fitted(fitting: FunctionSet, last: Writer, store: AnswerStore) -> dict[str, Any]:
    written = _summaries(last, fitting.rows, store)
    model = [chrf(_agreed(answers, row), row.output)
             for answers, row in zip(written, fitting.rows, strict=True)]  # fmt: skip
    copied = [chrf(fitting.pool[at].summary.output, row.output)
              for at, row in zip(fitting.nearest, fitting.rows, strict=True)]  # fmt: skip
    cosine = fit_gate(fitting.cosines, copied, model)
    return {"cosine": cosine, "fitted_on": fitting.name, "functions": len(fitting.rows), "model": last.name}


def prompt_of(row: Row, retrieval: bool, max_tokens: int) -> Prompt:
    """The prompt of serving; without ``retrieval`` no documented neighbours are shown."""
    return Prompt(tuple((row if retrieval else replace(row, neighbours=())).messages()), max_tokens)


def _summaries(writer: Writer, rows: Sequence[Row], store: AnswerStore) -> list[list[Answer]]:
    """For each row the answers of a writer, the likeliest first."""
    prompts = [
        replace(prompt_of(row, writer.retrieval, _SUMMARY_TOKENS), seed=seed)
        for seed in range(writer.candidates) for row in rows
    ]  # fmt: skip
    with progress(f"Summaries by {writer.name}", len(prompts)) as advance:
        answers = writer.model.answers(prompts, store, lambda count: advance(count))
    return [answers[at :: len(rows)] for at in range(len(rows))]


def _agreed(answers: Sequence[Answer], row: Row) -> str:
    """What most of the answers say."""
    texts = [first_sentence(answer.text, row) for answer in answers]
    return texts[most_agreed(texts)[0]]


def first_sentence(text: str, row: Row) -> str:
    """The first sentence of the first line, without the function's name before it and the full stop."""
    line = next((line.strip() for line in text.split("\n") if line.strip()), "")
    line = re.sub(rf"^{re.escape(row.name)}(?:\(\))?\s*[-:]+\s*", "", line)
    return _SENTENCE_END.split(line, maxsplit=1)[0].strip(' ."\'')


def _metrics(texts: Sequence[str], test: FunctionSet, embeddings: Embeddings, shows: bool) -> dict[str, float]:
    references = [row.output for row in test.rows]
    ranks = ranks_of_true(embeddings.of_texts(texts), test.vectors)
    names = [invented(text, _evidence(row, shows)) for text, row in zip(texts, test.rows, strict=True)]
    return {
        "chrf": mean(map(chrf, texts, references)),
        "chrf_corpus": chrf_corpus(texts, references),
        "bleu4": mean(map(bleu4, texts, references)),
        "rouge_l": mean(map(rouge_l, texts, references)),
        "invented": mean(float(bool(found)) for found in names),
        "rank_first": mean(float(rank == 1) for rank in ranks),
        "rank_mrr": mean(1 / rank for rank in ranks),
        "words": mean(float(len(text.split())) for text in texts),
    }


def _evidence(row: Row, retrieval: bool) -> tuple[str, ...]:
    neighbours = [f"{name} {brief}" for name, brief in row.neighbours] if retrieval else []
    return (row.name, row.path, row.code, *neighbours)


def _shown(written: Sequence[Sequence[Answer]], rows: Sequence[Row], retrieval: bool) -> dict[str, float]:
    """What is left after the server's check: how often it shows a line, and how good that is."""
    pairs = []
    for answers, row in zip(written, rows, strict=True):
        evidence = Evidence(_evidence(row, retrieval))
        briefs = [brief for _, brief in row.neighbours] if retrieval else []
        said = [(answer.text, answer.ended) for answer in answers]
        if line := agreed_summary(said, evidence, row.name, row.code, briefs):
            pairs.append((line, row))
    return {
        "shown": len(pairs) / max(len(rows), 1),
        "shown_chrf": mean(chrf(line, row.output) for line, row in pairs),
        "shown_invented": mean(float(bool(invented(line, _evidence(row, retrieval)))) for line, row in pairs),
    }


def _details(test: FunctionSet, writer: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"set": test.name, "writer": writer, "path": row.path, "name": row.name, "text": text, "reference": row.output,
         "chrf": round(chrf(text, row.output), 2)}
        for text, row in zip(texts, test.rows, strict=True)
    ]  # fmt: skip


def differences(texts: dict[str, list[str]], rows: Sequence[Row]) -> dict[str, Any]:
    """Sentence chrF of each writer minus that of the best simple rival, and minus that of the base, with p-values."""
    scores = {name: [chrf(text, row.output) for text, row in zip(written, rows, strict=True)]
              for name, written in texts.items()}  # fmt: skip
    best = max(SIMPLE, key=lambda name: mean(scores[name]))
    found: dict[str, Any] = {}
    for name in texts:
        for rival in dict.fromkeys((best, "base")):
            if name not in SIMPLE and name != rival and rival in scores:
                each = paired_bootstrap(scores[name], scores[rival])
                found[f"{name} - {rival}"] = {"mean": each.mean, "low": each.low, "high": each.high, "p": each.p}
    return found


def _kernel_docs(
    test: FunctionSet, writers: Sequence[Writer], store: AnswerStore, count: int, details: list[dict[str, Any]]
) -> dict[str, Any]:
    rows = [each.kernel_doc for each in test.functions if each.kernel_doc is not None][:count]
    found: dict[str, Any] = {}
    for writer in [each for each in writers if each.candidates == 1] if rows else ():
        prompts = [prompt_of(row, writer.retrieval, _KERNEL_DOC_TOKENS) for row in rows]
        with progress(f"Kernel-doc by {writer.name}", len(prompts)) as advance:
            answers = writer.model.answers(prompts, store, lambda by, advance=advance: advance(by))  # type: ignore[misc]
        checks = [
            check_kernel_doc(answer.text, parameter_names(row.output), returns_something(row.code, row.name))
            for answer, row in zip(answers, rows, strict=True)
        ]
        found[writer.name] = {
            "functions": len(rows),
            "complete": mean(float(check.complete) for check in checks),
            "added": mean(float(bool(check.added)) for check in checks),
            "return_right": mean(float(check.return_right) for check in checks),
            "chrf": mean(chrf(answer.text, row.output) for answer, row in zip(answers, rows, strict=True)),
        }
        details += [
            {"set": test.name, "writer": writer.name, "task": "kernel-doc", "path": row.path, "name": row.name,
             "text": answer.text, "reference": row.output}
            for answer, row in zip(answers, rows, strict=True)
        ]  # fmt: skip
    return found
