"""Rows broken on purpose, so that exactly one check should fail: they prove the checks, and teach what is wrong.

A corruption gives the wrong answer, or None where it cannot break a row. The choice depends on the row's id alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from kexpert.prompt.chat import Task, kernel_doc_answer
from kexpert_trainer.data.checks import CHECKS, Evidence
from kexpert_trainer.data.claims import errnos, is_about_function, parse_kernel_doc
from kexpert_trainer.data.rows import Row

Corruption = Callable[[Row, Evidence], "str | None"]

_INVENTED_PARAMS = ("ctx", "priv", "flags", "dev", "data", "opts", "state", "len", "mode", "cb")
_INVENTED_ERRNOS = ("EBUSY", "ENOSPC", "EOVERFLOW", "ENODEV", "ETIMEDOUT", "EACCES", "EAGAIN", "ENOMEM", "EINVAL")
_RETURNS = ("0 on success or a negative error code", "0 on success, negative errno otherwise", "true on success")
_LOCK = re.compile(r"lock|mutex|sem", re.I)
_PERIOD = re.compile(r"\.?$")


def unknown_parameter(row: Row, evidence: Evidence) -> str | None:
    """Rename a documented parameter to one that the function does not have."""
    facts = evidence.facts
    answer = parse_kernel_doc(row.output)
    if row.task is not Task.KERNEL_DOC or facts is None or not answer.params:
        return None
    names = [name for name in _INVENTED_PARAMS if name not in facts.params]
    at = _number(row) % len(answer.params)
    params = list(answer.params)
    params[at] = (names[_number(row) % len(names)], params[at][1])
    return kernel_doc_answer(params, answer.returns)


def return_of_void(row: Row, evidence: Evidence) -> str | None:
    """Say what a void function returns."""
    facts = evidence.facts
    if row.task is not Task.KERNEL_DOC or facts is None or not facts.is_void:
        return None
    return kernel_doc_answer(parse_kernel_doc(row.output).params, _RETURNS[_number(row) % len(_RETURNS)])


def unknown_errno(row: Row, evidence: Evidence) -> str | None:
    """Name an error that the function cannot return."""
    facts = evidence.facts
    if row.task is not Task.KERNEL_DOC or facts is None or facts.passes_values or facts.return_type != "int":
        return None
    names = [name for name in _INVENTED_ERRNOS if name not in facts.errnos]
    answer = parse_kernel_doc(row.output)
    if not names or not answer.returns:
        return None
    wrong = names[_number(row) % len(names)]
    named = sorted(errnos(answer.returns))
    text = answer.returns.replace(named[0], wrong) if named else f"{answer.returns}, or -{wrong}"
    return kernel_doc_answer(answer.params, text)


def wrong_lock(row: Row, evidence: Evidence) -> str | None:
    """Say that the caller holds a lock that the function takes, or that a function which sleeps does not."""
    facts = evidence.facts
    if row.task is not Task.EXPLANATION or facts is None or not is_about_function(row):
        return None
    locks = sorted(lock for lock in facts.taken if _LOCK.search(lock) and len(lock) > 5)
    if locks:
        return f"{_PERIOD.sub('.', row.output)} The caller must hold {locks[_number(row) % len(locks)]}."
    if facts.locking.sleeps:
        return f"{_PERIOD.sub('.', row.output)} It may be called from interrupt context."
    return None


def another_symbol(row: Row, evidence: Evidence) -> str | None:
    """Give the summary of another function nearby."""
    if row.task is not Task.SUMMARY:
        return None
    briefs = [brief for _, brief in row.neighbours if brief.lower() != row.output.lower()]
    return briefs[_number(row) % len(briefs)] if briefs else None


def other_form(row: Row, evidence: Evidence) -> str | None:
    """Leave the form of the task: go on with code after the answer, or lose the mark of a parameter."""
    if row.task is Task.KERNEL_DOC:
        return row.output.replace("@", "", 1)
    if row.task is Task.ANSWER:
        return re.sub(r" ?\[\d+\]", "", row.output)
    return f"{row.output}\n{row.code.splitlines()[0]}" if row.code else None


#: Check that should fail -> corruption. Of the check "integrity", ``misplaced`` breaks the row, not its answer.
CORRUPTIONS: dict[str, Corruption] = {
    "syntax": other_form, "parameters": unknown_parameter, "return": return_of_void, "errnos": unknown_errno,
    "locks": wrong_lock, "symbol": another_symbol,
}  # fmt: skip


def misplaced(row: Row) -> Row:
    """The row with a provenance that is not its own."""
    return replace(row, line=row.line + 1, end_line=row.end_line + 1)


def broken(row: Row, evidence: Evidence, check: str) -> tuple[Row | None, bool]:
    """(row whose ``rejected`` fails ``check`` and no other, True if the check found the corruption).

    (None, True) where the row cannot be broken so, or where another check fails too.
    """
    wrong = CORRUPTIONS[check](row, evidence)
    if wrong is None or wrong == row.output:
        return None, True
    changed = replace(row, output=wrong)
    failing = {name for name, test in CHECKS.items() if test(changed, evidence)}
    if check not in failing:
        return None, False
    only = failing <= {check, "symbol"}  # words that the comment does not have are part of every corruption
    return (replace(row, rejected=wrong, broken=check) if only else None), True


def _number(row: Row) -> int:
    return int(row.id[:8], 16)
