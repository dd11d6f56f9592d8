"""How much a row teaches, from 0 to 1: a weighted mean of what can be counted."""

from __future__ import annotations

import re

from kexpert.prompt.chat import Task
from kexpert_trainer.data.claims import parse_kernel_doc
from kexpert_trainer.data.gates import new_words
from kexpert_trainer.data.rows import Row
from kexpert_trainer.data.stated_facts import FunctionFacts

#: Weights of the parts; chosen by reading rows of 6.1, not fitted.
_WEIGHTS = {"new words": 0.3, "length": 0.15, "grounded": 0.2, "complete": 0.15, "logic": 0.2}
_MANY_NEW_WORDS = 5
_MANY_DECISIONS = 8
#: Words of an answer of each task that are neither too few nor too many.
_GOOD_WORDS = {Task.SUMMARY: (4, 14), Task.KERNEL_DOC: (8, 70), Task.EXPLANATION: (10, 60), Task.ANSWER: (5, 50)}
_IDENTIFIER = re.compile(r"\b[A-Za-z]\w*_\w+\b|\b\w+(?=\(\))")


def quality(row: Row, facts: FunctionFacts | None) -> float:
    """The score of a row that passed the gates, rounded to three digits."""
    parts = {
        "new words": min(1.0, len(new_words(row.output, row.name)) / _MANY_NEW_WORDS),
        "length": _length(row),
        "grounded": _grounded(row),
        "complete": _complete(row, facts),
        "logic": min(1.0, facts.decisions / _MANY_DECISIONS) if facts else 0.5,
    }
    return round(sum(_WEIGHTS[name] * value for name, value in parts.items()), 3)


def _length(row: Row) -> float:
    words = len(row.output.split())
    least, most = _GOOD_WORDS[row.task]
    return min(1.0, words / least, most / max(words, 1))


def _grounded(row: Row) -> float:
    """Of the identifiers in the answer, the share that the input holds; 1 without any."""
    names = set(_IDENTIFIER.findall(row.output))
    given = " ".join((row.code, row.name, *(text for pair in (*row.neighbours, *row.sources) for text in pair)))
    return sum(name in given for name in names) / len(names) if names else 1.0


def _complete(row: Row, facts: FunctionFacts | None) -> float:
    """For kernel-doc: a text for each parameter, and for a value that is returned."""
    if row.task is not Task.KERNEL_DOC or facts is None:
        return 1.0
    answer = parse_kernel_doc(row.output)
    wanted = len(facts.params) + (not facts.is_void)
    return min(1.0, (len(answer.params) + bool(answer.returns and not facts.is_void)) / wanted) if wanted else 1.0
