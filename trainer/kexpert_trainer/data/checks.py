"""Checks that try to show that a row is wrong. They share as little as possible with the code that made it.

A check returns None if it says nothing about a row, "" if the row passes, otherwise the reason why it fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kexpert.core.kernel.locking_context import LockingRules
from kexpert.prompt.chat import Task
from kexpert_trainer.data.claims import (
    errnos,
    is_about_function,
    lock_claims,
    mentioned_params,
    parse_kernel_doc,
    same_errno,
    subject,
)
from kexpert_trainer.data.origins import Origin
from kexpert_trainer.data.rows import Row, row_id
from kexpert_trainer.data.stated_facts import FunctionFacts, syntax_errors


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a check may use beside the row. ``origin`` is None where the tree has no such symbol."""

    facts: FunctionFacts | None
    origin: Origin | None


Check = Callable[[Row, Evidence], "str | None"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffd\ud800-\udfff]")
_WORD = re.compile(r"\w+")
_CITED = re.compile(r"\[(\d+)\]")
_SENTENCE = re.compile(r"(?<=[a-z0-9)]\.)\s+")
_RETURNS = re.compile(
    r"(?:this (?:function|routine) )?(?:will )?returns?\b(?! (?:to|from|early|immediately|if|when)\b)", re.I
)
#: Calls that decide at run time whether to sleep.
_CONDITIONAL_SLEEPERS = frozenset(("might_sleep_if", "cond_resched", "cond_resched_lock", "might_alloc"))
_ASKS_CONTEXT = re.compile(r"\b(?:in_atomic|in_interrupt|in_irq|in_task|irqs_disabled|can_sleep|preemptible|gfp\w*)\b")
_WITHOUT_TREE = ("commit",)


def integrity(row: Row, evidence: Evidence) -> str | None:
    """Every entry is there and has its form; the code is what the tree has at that place."""
    name = str(row.notes.get("commit", "")) or row.name
    if row.id != row_id(row.tree, row.path, name, row.line, row.task):
        return "the id does not follow from the provenance"
    if not (row.tree and row.path and row.licence and row.line >= 1 and row.end_line >= row.line):
        return "provenance is incomplete"
    if not row.output.strip() or not 0 <= row.quality <= 1:
        return "no answer, or a quality that is not in 0 to 1"
    if _CONTROL.search(row.output):
        return "the answer has characters that are no text"
    if row.task is not Task.ANSWER and not row.code:
        return "no code"
    if row.kind in _WITHOUT_TREE:
        return ""
    if evidence.origin is None:
        return "the tree has no such symbol at this place"
    if row.code and not evidence.origin.code.startswith(row.code):
        return "the tree has other code at this place"
    return ""


def syntax(row: Row, evidence: Evidence) -> str | None:
    """Code that parses, and an answer of its task's form."""
    if evidence.facts is not None and evidence.facts.parse_errors:
        return "the code has syntax errors"
    if row.kind in ("struct", "union", "enum") and syntax_errors(row.code + ";"):
        return "the code has syntax errors"
    if row.task is Task.KERNEL_DOC:
        malformed = parse_kernel_doc(row.output).malformed
        return f"a line of another form: {malformed[0][:60]}" if malformed else ""
    if "\n" in row.output:
        return "the answer has more than one line"
    if row.task is Task.ANSWER:
        cited = {int(number) for number in _CITED.findall(row.output)}
        if not cited or any(not 1 <= number <= len(row.sources) for number in cited):
            return "the answer cites no source, or one that is not there"
    return ""


def parameters(row: Row, evidence: Evidence) -> str | None:
    """Documented parameters exist."""
    facts = evidence.facts
    if facts is None or not is_about_function(row):
        return None
    if row.task is Task.KERNEL_DOC:
        names = [name for name, _ in parse_kernel_doc(row.output).params]
        unknown = [name for name in names if name not in facts.params]
        repeated = [name for name in names if names.count(name) > 1]
        if not names:
            return None
        return f"no parameter {unknown[0]}" if unknown else f"{repeated[0]} twice" if repeated else ""
    marked = mentioned_params(row.output)
    if not marked:
        return None
    words = set(_WORD.findall(row.code))
    unknown = sorted(marked - words)
    return f"no parameter {unknown[0]}" if unknown else ""


def returns(row: Row, evidence: Evidence) -> str | None:
    """A return value only where the function has one."""
    facts = evidence.facts
    if facts is None or not is_about_function(row) or not facts.return_type:
        return None
    claimed = parse_kernel_doc(row.output).returns if row.task is Task.KERNEL_DOC else _RETURNS.match(row.output)
    if not claimed:
        return None
    return "the function returns void" if facts.is_void else ""


def errors_named(row: Row, evidence: Evidence) -> str | None:
    """Errors named as returned can be returned by the body. Nothing is said where the body passes other values on."""
    facts = evidence.facts
    if facts is None or not is_about_function(row):
        return None
    if row.task is Task.KERNEL_DOC:
        text = parse_kernel_doc(row.output).returns
    else:
        text = " ".join(part for part in _SENTENCE.split(row.output) if re.search(r"\breturn", part, re.I))
    named = errnos(text)
    if not named or (facts.passes_values and not facts.is_void):
        return None
    known = {same_errno(name) for name in facts.errnos}
    unknown = sorted(named - known) if facts.may_return_error else sorted(named)
    return f"cannot return {unknown[0]}" if unknown else ""


def locks(row: Row, evidence: Evidence) -> str | None:
    """What is said about locks and sleeping agrees with what the body does."""
    facts = evidence.facts
    if facts is None or not is_about_function(row):
        return None
    claims = lock_claims(row.output)
    if not claims:
        return None
    rules = facts.locking
    if both := claims.held & facts.taken:
        return f"takes {min(both)}, which the caller is said to hold"
    if both := claims.not_held & _required(rules):
        return f"requires {min(both)}, which the caller is said not to hold"
    if claims.never_sleeps and _sleeps(row.code, rules):
        return f"calls {_sleeps(row.code, rules)}, which may sleep"
    if claims.interrupts_off and "interrupts enabled" in rules.context:
        return "requires interrupts enabled"
    if claims.interrupts_on and "interrupts disabled" in rules.context:
        return "requires interrupts disabled"
    return ""


def symbol(row: Row, evidence: Evidence) -> str | None:
    """The answer is about the symbol below: its words are those of the comment there, and it names no other."""
    if row.kind in _WITHOUT_TREE:
        return None
    origin = evidence.origin
    if origin is None:
        return "the tree has no such symbol at this place"
    named = subject(row.output)
    if named and row.kind == "function" and row.task is not Task.ANSWER and named.strip("_") != row.name.strip("_"):
        other = named not in row.code
        if other:
            return f"is about {named}"
    said = set(_WORD.findall(_CITED.sub("", row.output))) - {"Return", "…"}
    missing = said - set(_WORD.findall(origin.comment))
    if missing:
        return f"the comment above does not say “{min(missing)}”"
    return ""


def _required(rules: LockingRules) -> set[str]:
    """The last words of the locks that a function says its caller holds."""
    held = [*rules.must_hold, *(lock for lock, state in rules.asserts if state.startswith("held"))]
    return {words[-1] for lock in held if (words := _WORD.findall(lock.removesuffix(" (shared)")))}


def _sleeps(code: str, rules: LockingRules) -> str:
    """A call that sleeps for certain; "" if there is none, or if the body looks at its context first."""
    certain = [name for name in rules.sleeps if name not in _CONDITIONAL_SLEEPERS]
    return certain[0] if certain and not _ASKS_CONTEXT.search(code) else ""


#: Name -> check, in the order of the report.
CHECKS: dict[str, Check] = {
    "integrity": integrity, "syntax": syntax, "parameters": parameters, "return": returns, "errnos": errors_named,
    "locks": locks, "symbol": symbol,
}  # fmt: skip
