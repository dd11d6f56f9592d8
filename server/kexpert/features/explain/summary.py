"""One sentence of what a function does: by its author, else made from facts. No model is asked."""

from __future__ import annotations

import re

from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import KernelDoc, comment_above, comment_text
from kexpert.core.kernel.lock_calls import LOCK_CALLS
from kexpert.core.kernel.resource_calls import ALLOCATORS, FREES, REFERENCES
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.explain.body import Body
from kexpert.features.explain.explanation import Explanation, FactKind, Location, Summary, as_code, listed
from kexpert.features.explain.flow import Flow
from kexpert.features.explain.remarks import first_sentence
from kexpert.features.explain.state import WRITERS
from kexpert.features.explain.step_words import is_worth_telling
from kexpert.view import View

_NAMED = re.compile(r"\w{1,80}(?:\(\))? - ")  # "dput - release a dentry"
_GIVEN = ("is passed to", "is assigned to")
_MAX_CHARS = 240
_MAX_CALLS = 3


def summary_of(
    view: View, source: Source, body: Body, symbol: Symbol | None, doc: KernelDoc | None, doc_line: int,
    found: Explanation, flow: Flow,
) -> Summary:  # fmt: skip
    """kernel-doc's summary, the first sentence of a comment, or a sentence made from facts."""
    if doc is not None and doc.summary and _fits(doc.name, body.name):
        text = " ".join(doc.summary.split())
        return Summary(text.replace("`", "'"), "documentation", (Location(body.path, doc_line),))
    comment = _comment(source, symbol.start if symbol else body.start)
    if comment is not None and doc is None:
        text, line = comment
        return Summary(text, "documentation", (Location(body.path, line),))
    return _from_facts(view, body, found, flow)


def _fits(documented: str, name: str) -> bool:
    return documented.removesuffix("()").removeprefix("sys_") == name.removeprefix("sys_")


def _comment(source: Source, start: int) -> tuple[str, int] | None:
    """The first sentence of the comment above a definition."""
    span = comment_above(source.data, start)
    text = comment_text(source.data[span[0] : span[1]]) if span else ""
    paragraph = " ".join(text.split("\n\n", 1)[0].split()).replace("`", "'")
    paragraph = _NAMED.sub("", paragraph, count=1) if _NAMED.match(paragraph) else paragraph
    if span is None or len(paragraph) < 15 or "SPDX-License" in text or paragraph.startswith(("Return", "return", "@")):
        return None
    return first_sentence(paragraph.partition(" @")[0], _MAX_CHARS), source.lines.line_of(span[0])


def _from_facts(view: View, body: Body, found: Explanation, flow: Flow) -> Summary:
    passed = [fact for fact in found.facts if fact.kind is FactKind.ENTRY and fact.text.startswith(_GIVEN)]
    entries = [fact for fact in found.facts if fact.kind is FactKind.ENTRY and fact not in passed]
    sources: list[Location] = []
    parts: list[str] = []
    what = {"function": "A function", "system call": "A system call", "macro": "A macro"}.get(body.what, "Code")
    contexts = [fact for fact in found.facts if fact.kind is FactKind.CONTEXT and fact.text.startswith("runs as")]
    if entries and body.what == "system call":
        what = f"The {entries[0].text.removeprefix('is the ')}"
    elif entries or contexts or passed:
        first = (entries or contexts or passed)[0]
        what = f"{what} that {first.text}"
        sources.append(Location(first.path, first.line))
    calls: dict[str, int] = {}
    for point in flow.points:
        for call in point.calls:
            known = call.name in LOCK_CALLS or call.name in ALLOCATORS or call.name in FREES or call.name in REFERENCES
            if not (known or call.member) and is_worth_telling(call.name) and call.name not in WRITERS:
                calls.setdefault(call.name, call.line)
    own = {symbol.name for symbol in view.symbols_in(body.path) if symbol.kind is Kind.FUNCTION}
    calls = dict(sorted(calls.items(), key=lambda pair: pair[0] not in own))
    if calls:
        shown = list(calls)[:_MAX_CALLS]
        parts.append("calls " + listed([as_code(f"{name}()") for name in calls], _MAX_CALLS))
        sources += [Location(body.path, calls[name]) for name in shown]
    states = (fact.text.removeprefix("writes ") for fact in found.facts if fact.kind is FactKind.STATE)
    written = list(dict.fromkeys(states))
    if written and len(parts) < 2:
        parts.append("writes " + listed(written, 2))
    if not parts and found.returns:
        rows = [row.value for row in found.returns]
        parts.append("returns " + listed(rows, 3, "or"))
    text = f"{what}: {'; '.join(parts)}" if parts else what
    return Summary(text, "facts", tuple(dict.fromkeys(sources)) or (Location(body.path, body.first_line),))
