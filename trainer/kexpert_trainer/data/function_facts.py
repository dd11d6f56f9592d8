"""Facts of the functions and ops tables of one file, worded as the server words them.

The analysis is ``kexpert.features.explain``'s, which is pure: what a model is trained to read is what it is given when
served.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from kexpert.core.c.source import Source
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.features.explain.body import Body, body_of
from kexpert.features.explain.explanation import as_code
from kexpert.features.explain.flow import Flow
from kexpert.features.explain.locks import lock_facts, lock_rules, lock_uses
from kexpert.features.explain.returns import ReturnAnalysis, return_facts, return_table
from kexpert.prompt.sources import function_source, plain
from kexpert_trainer.data.tree_facts import Asked, Form, TreeFact

_MAX_FUNCTION_BYTES = 12_000
_CONSTANT = re.compile(r"-E[A-Z0-9]+|ERR_PTR\(-E[A-Z0-9]+\)|NULL|true|false|0")
_ERRNO = re.compile(r"-(E[A-Z0-9]+)")
_HOLDS = re.compile(r"The caller holds `([^`]+)`(?: for \w+)?")


def function_facts(path: str, data: bytes) -> Iterator[TreeFact]:
    """The facts of one C file: locks, returned values, callers within the file, members of ops tables."""
    source = Source(path, data)
    symbols = source.facts.symbols
    functions = [each for each in symbols if each.kind is Kind.FUNCTION]
    names = Counter(each.name for each in functions)
    for symbol in functions:
        if names[symbol.name] == 1 and symbol.end - symbol.start <= _MAX_FUNCTION_BYTES:
            body = body_of(source, symbol)
            flow = Flow(body)
            if flow.complete:
                yield from _returns(body, flow, symbol)
                yield from _locks(body, flow, symbol)
    yield from _callers(source, names)
    yield from _tables(source, names)


def _returns(body: Body, flow: Flow, symbol: Symbol) -> Iterator[TreeFact]:
    analysis = ReturnAnalysis(body, flow)
    if analysis.exhausted:
        return
    table = return_table(body, analysis)
    conditions = Counter(plain(when.text) for row in table for when in row.when)
    asked: dict[str, tuple[Asked, ...]] = {}
    for row in table:
        value = plain(row.value)
        for when in row.when:
            condition = plain(when.text)
            if not condition or not _CONSTANT.fullmatch(value) or "…" in condition or ": " in condition:
                continue
            text = f"returns {row.value} if {when.text}"
            forms = []
            if conditions[condition] == 1:
                forms.append(Asked(Form.VALUE, condition, value, (_key(value),)))
            if len(row.when) == 1 and " where " not in condition and " and " not in condition:
                forms.append(Asked(Form.CONDITION, value, condition, (condition,)))
            asked[text] = tuple(forms)
    for fact in return_facts(body, analysis):
        yield TreeFact(
            (symbol.name,), fact.path, fact.line, function_source(symbol.name, fact.text), asked.get(fact.text, ())
        )


def _key(value: str) -> str:
    """What an answer must hold: ``EINVAL`` for ``-EINVAL`` and ``ERR_PTR(-EINVAL)``."""
    errno = _ERRNO.search(value)
    return errno[1] if errno else value


def _locks(body: Body, flow: Flow, symbol: Symbol) -> Iterator[TreeFact]:
    uses = lock_uses(body, flow)
    rules = lock_rules(body, flow, uses)
    taken = {use.key: use for use in uses if use.call.action != "release" and use.lock and len(use.lock) < 50}
    only = next(iter(taken.values())) if len({use.key for use in uses}) == len(taken) == 1 else None
    holds = [match[1] for rule in rules if (match := _HOLDS.fullmatch(rule.text))]
    answered = False
    for fact in lock_facts(body, uses, rules):
        asked: tuple[Asked, ...] = ()
        held = _HOLDS.fullmatch(fact.text)
        if held and len(holds) == 1:
            asked = (Asked(Form.HELD, "", held[1], (held[1].lstrip("&"),)),)
        elif only is not None and not answered and fact.text.startswith(("takes", "tries")):
            kind = only.call.kind
            asked = (Asked(Form.LOCK, kind, f"{only.lock} ({kind})", (only.lock.lstrip("&"),)),)
            answered = True
        yield TreeFact((symbol.name,), fact.path, fact.line, function_source(symbol.name, fact.text), asked)


def _callers(source: Source, names: Counter[str]) -> Iterator[TreeFact]:
    """Who calls a static function: its callers are all in the file."""
    symbols = source.facts.symbols
    static = {
        each.name for each in symbols
        if each.kind is Kind.FUNCTION and each.flags & Flag.STATIC and names[each.name] == 1
    } - {each.function for each in source.facts.assignments}  # fmt: skip
    callers: dict[str, list[Symbol]] = {}
    for at, callee in source.facts.calls:
        if callee in static and symbols[at].kind is Kind.FUNCTION and symbols[at].name != callee:
            callers.setdefault(callee, []).append(symbols[at])
    for callee, found in callers.items():
        for caller in found:
            asked: Sequence[Asked] = ()
            if len(found) == 1:
                asked = (Asked(Form.CALLER, "", f"{caller.name}()", (caller.name,)),)
            text = function_source(callee, f"called by {as_code(caller.name + '()')}")
            yield TreeFact((callee,), caller.path, caller.line, text, tuple(asked))


def _tables(source: Source, names: Counter[str]) -> Iterator[TreeFact]:
    """Functions of the file in ops tables of the file."""
    rows = [
        row for row in source.facts.assignments
        if row.struct and row.table and "." not in row.struct and names[row.function] == 1
    ]  # fmt: skip
    members = Counter((row.table, row.member) for row in rows)
    uses = Counter(row.function for row in source.facts.assignments)
    for row in rows:
        asked = []
        if members[row.table, row.member] == 1:
            asked.append(Asked(Form.MEMBER, f"{row.member} {row.table}", f"{row.function}()", (row.function,)))
        if uses[row.function] == 1:
            asked.append(Asked(Form.TABLE, f"{row.member} {row.struct}", row.table, (row.table,)))
        text = f"is {as_code('.' + row.member)} of {as_code('struct ' + row.struct)} in {as_code(row.table)}"
        yield TreeFact(
            (row.function, row.table), row.path, row.line, function_source(row.function, text), tuple(asked)
        )
