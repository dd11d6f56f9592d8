"""A branch in one sentence: what its calls do, what it writes, how it leaves."""

from __future__ import annotations

from tree_sitter import Node

from kexpert.features.explain.body import Body
from kexpert.features.explain.explanation import as_code, listed
from kexpert.features.explain.sentences import LEAVES, Sentences
from kexpert.features.explain.statements import conditional, unconditional
from kexpert.features.explain.step_words import MAX_RUN, Change, called, change, several_changes

_MAX_KNOWN = 3


def branch_text(body: Body, say: Sentences, statements: list[Node]) -> str:
    """What the statements do, in clauses: "calls `a()`; sets `x` to `1`; returns `0`"; "" if there is nothing."""
    parts = _parts(body, say, statements, within=False)
    if further := _parts(body, say, statements, within=True):
        parts.append(f"on further conditions {further[0]}")
        parts += further[1:]
    if not parts:
        changes = [found for node in statements if (found := change(body, node))]
        parts = [several_changes(changes)] if changes else []
    if not parts:
        changed = dict.fromkeys(name for node in conditional(statements) for name in say.changed(node))
        parts = [f"changes {listed([as_code(name) for name in changed], 3)} on further conditions"] * bool(changed)
    if statements and statements[-1].type in LEAVES:
        parts.append(say.leave(statements[-1]))
    return "; ".join(parts)


def _parts(body: Body, say: Sentences, statements: list[Node], within: bool) -> list[str]:
    """What statements do, apart from how they leave. ``within``: what they do under conditions of their own."""
    known: list[str] = []
    calls: list[str] = []
    changes: list[Change] = []
    for node in conditional(statements) if within else unconditional(statements):
        if node.type in LEAVES:
            continue
        for call in body.calls_in(node):
            if text := say.known_call(call):
                known.append(text[:1].lower() + text[1:].removesuffix("."))
            elif say.worth_telling(call):
                calls.append(as_code(called(body, call) + "()"))
        if errno := say.errno_set(node):
            changes.append(errno)
        changes += say.written(node)
    parts = list(dict.fromkeys(known))[:_MAX_KNOWN]
    if calls:
        parts.append(f"calls {listed(list(dict.fromkeys(calls)), MAX_RUN)}")
    if changes:
        parts.append(several_changes(changes))
    return parts
