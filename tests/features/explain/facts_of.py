"""Explanations of small fixtures, and the facts that their comments say they must give.

A comment ``//= kind: text`` in a fixture expects a fact of that kind on its line whose text is exactly that; alone on a
line, on the line above. Of the kinds that a fixture names, and of those in ``kinds``, there must be no other facts.
"""

from __future__ import annotations

import re

from kexpert.features.explain.explain import explain
from kexpert.features.explain.explanation import Explanation
from tests.support.memory_view import MemoryView, files_of

_EXPECTED = re.compile(r"[ \t]*//= (.*)")


def explained(fixture: str, name: str = "f", path: str = "") -> Explanation:
    """The explanation of the function of this name in a fixture."""
    view = MemoryView(files_of(fixture))
    symbol = next(
        symbol for symbol in view.lookup(name) if (not path or symbol.path == path) and symbol.kind.name != "PROTOTYPE"
    )
    source = view.source(symbol.path)
    assert source is not None
    found = explain(view, source, symbol.name_start, symbol.name_start)
    assert found is not None
    return found


def check(fixture: str, *kinds: str, name: str = "f") -> Explanation:
    """Compare the facts with the marks of a fixture of one file."""
    expected: set[tuple[int, str, str]] = set()
    lines: list[str] = []
    for line in fixture.split("\n"):
        match = _EXPECTED.search(line)
        if match is None or match.start():
            lines.append(_EXPECTED.sub("", line))
        for mark in match[1].split(" ; ") if match else ():
            kind, _, text = mark.partition(": ")
            expected.add((len(lines) - 1, kind, text))
    found = explained("\n".join(lines), name)
    looked_at = {kind for _, kind, _ in expected} | set(kinds)
    facts = {(fact.line, fact.kind.value, fact.text) for fact in found.facts if fact.kind.value in looked_at}
    assert facts == expected
    return found
