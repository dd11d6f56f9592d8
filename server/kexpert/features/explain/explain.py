"""``explain``: the function, macro or selection at a place, as an ``Explanation``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import KernelDoc, comment_above, parse_kerneldoc
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.explain.body import Body, body_around, body_of
from kexpert.features.explain.callee_effects import CalleeEffects
from kexpert.features.explain.callees import Briefs
from kexpert.features.explain.contexts import context_facts, context_statements
from kexpert.features.explain.explanation import (
    Explanation,
    Fact,
    FactKind,
    Location,
    Statement,
    Step,
    Summary,
    as_code,
    listed,
)
from kexpert.features.explain.flow import Flow
from kexpert.features.explain.locks import lock_facts, lock_rules, lock_statements, lock_uses
from kexpert.features.explain.resources import ownership, resource_facts, resource_uses
from kexpert.features.explain.returns import ReturnAnalysis, return_facts, return_table
from kexpert.features.explain.state import state_facts, state_statements, writes
from kexpert.features.explain.steps import steps_of
from kexpert.features.explain.summary import summary_of
from kexpert.features.explain.surroundings import (
    config_conditions,
    config_facts,
    config_statements,
    documentation_facts,
    similar_facts,
)
from kexpert.features.explain.users import Users, users
from kexpert.features.hover.code_card import declaration_head, syscall_prototype
from kexpert.features.semantics.resolve import resolve
from kexpert.view import View

_EXPLAINED = (Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO)
_NO_USERS = Users((), None, (), ())
_MAX_FUNCTIONS = 8  # of a selection over several
#: Before a definition on its line: blanks, and attributes that do not belong to its text (``asmlinkage``).
_WORDS = re.compile(rb"[\w \t]*+")


def explain(view: View, source: Source, start: int, end: int) -> Explanation | None:
    """Explain what a range of bytes selects; for an empty range, the function or macro around ``start``.

    A name outside any function that is a function somewhere is explained there. None if there is no code to explain.
    """
    start, end = sorted((min(max(start, 0), len(source.data)), min(max(end, 0), len(source.data))))
    if start == end:
        return _at(view, source, start)
    start, end = _trimmed(source.data, start, end)
    if start == end:
        return None
    touched = [symbol for symbol in _symbols(view, source) if symbol.start < end and start < symbol.end]
    inner = [symbol for symbol in touched if symbol.kind is not Kind.MACRO] or touched
    if len(inner) > 1:
        return _several(view, source, inner, start, end)
    if not inner:
        body = body_around(source, start)
        return _explanation(view, source, body, None, (start, end)) if body else None
    symbol = inner[0]
    whole = start <= symbol.start and symbol.end <= end
    return _explanation(view, source, body_of(source, symbol), symbol, None if whole else (start, end))


def _at(view: View, source: Source, offset: int) -> Explanation | None:
    symbol = _around(view, source, offset)
    if symbol is not None:
        return _explanation(view, source, body_of(source, symbol), symbol, None)
    found = resolve(view, source, offset)
    for candidate in found.symbols if found is not None else ():
        if candidate.kind in _EXPLAINED:
            other = source if candidate.path == source.path else view.source(candidate.path)
            if other is not None:
                return _explanation(view, other, body_of(other, candidate), candidate, None)
    body = body_around(source, offset)
    return _explanation(view, source, body, None, None) if body is not None else None


def explanation_of(view: View, source: Source, symbol: Symbol) -> Explanation:
    """Explain a function or macro of ``source``, without "See also", which takes a search."""
    return _explanation(view, source, body_of(source, symbol), symbol, None, with_related=False)


def _symbols(view: View, source: Source) -> list[Symbol]:
    return [symbol for symbol in view.symbols_in(source.path) if symbol.kind in _EXPLAINED]


def _around(view: View, source: Source, offset: int) -> Symbol | None:
    """The smallest definition around an offset; the line of its beginning and its end count as well."""
    data = source.data
    line = source.lines.line_of(offset)
    around = [
        symbol
        for symbol in _symbols(view, source)
        if symbol.start <= offset <= symbol.end
        or (symbol.start > offset and symbol.line == line and _WORDS.fullmatch(data, offset, symbol.start))
    ]
    return min(around, key=lambda symbol: symbol.end - symbol.start, default=None)


def _trimmed(data: bytes, start: int, end: int) -> tuple[int, int]:
    text = data[start:end]
    stripped = text.lstrip()
    begin = end - len(stripped)
    return begin, begin + len(stripped.rstrip())


def _explanation(
    view: View,
    source: Source,
    body: Body,
    symbol: Symbol | None,
    span: tuple[int, int] | None,
    with_related: bool = True,
) -> Explanation:
    """``span``: explain this part of the body alone."""
    body.effects = CalleeEffects(view, source)
    flow = Flow(body)
    analysis = ReturnAnalysis(body, flow)
    locks, resources, state = lock_uses(body, flow), resource_uses(body, flow), writes(view, body, flow)
    rules, contexts = lock_rules(body, flow, locks), context_statements(body, flow)
    doc, doc_line = _documentation(source, symbol.start if symbol else body.start)
    documented = _documented(doc, doc_line, body.path)
    used = users(view, symbol) if symbol is not None and span is None else _NO_USERS
    conditions: tuple[list[str], list[str]] = config_conditions(view, body) if span is None else ([], [])
    related: list[Fact] = []
    if symbol is not None and span is None and with_related:
        related = [*documentation_facts(view, symbol.name), *similar_facts(view, body, symbol)]
    signature, line = _signature(source, symbol), symbol.line if symbol else body.first_line
    found = Explanation(
        name=body.name or "?",
        what=body.what,
        path=body.path,
        line=line,
        end_line=body.last_line,
        signature=signature,
        summary=Summary("", "facts"),
        facts=(
            *([Fact(FactKind.SIGNATURE, as_code(" ".join(signature.split())), body.path, line)] if signature else []),
            *documented,
            *return_facts(body, analysis),
            *lock_facts(body, locks, rules),
            *context_facts(body, contexts),
            *resource_facts(body, resources),
            *state_facts(body, state),
            *used.facts,
            *config_facts(body, *conditions),
            *related,
        ),
        built=config_statements(body, *conditions),
        calling=(
            *_statements(documented),
            *lock_statements(body, flow, locks, rules),
            *contexts,
            *ownership(body, resources),
            *state_statements(body, state),
        ),
        returns=return_table(body, analysis) if body.what != "macro" else (),
        steps=steps_of(body, Briefs(view, source), locks, span),
        users=used.statements,
        related=_statements(related),
        gaps=_gaps(body, flow, analysis),
    )
    if span is not None:
        return _narrowed(found, source, span)
    return replace(found, summary=summary_of(view, source, body, symbol, doc, doc_line, found, flow))


def _statements(facts: Sequence[Fact]) -> tuple[Statement, ...]:
    return tuple(
        Statement(fact.text[:1].upper() + fact.text[1:], (Location(fact.path, fact.line),)) for fact in facts
    )


def _narrowed(whole: Explanation, source: Source, span: tuple[int, int]) -> Explanation:
    """The facts that lie on the selected lines."""
    first, last = source.lines.line_of(span[0]), source.lines.line_of(max(span[1] - 1, span[0]))

    def inside(place: Location) -> bool:
        return place.path == whole.path and first <= place.line <= last

    def kept(statements: Sequence[Statement]) -> tuple[Statement, ...]:
        found = (replace(each, locations=tuple(filter(inside, each.locations))) for each in statements)
        return tuple(each for each in found if each.locations)

    facts = tuple(fact for fact in whole.facts if inside(Location(fact.path, fact.line)))
    rows = tuple(replace(row, when=when) for row in whole.returns if (when := kept(row.when)))
    name = f"{whole.name}, lines {first + 1} to {last + 1}" if first != last else f"{whole.name}, line {first + 1}"
    text = f"Part of the {whole.what} {as_code(whole.name)}" if whole.name != "?" else "Part of a function"
    sources = (Location(whole.path, whole.line),)
    calling = tuple(each for each in kept(whole.calling) if "released before it returns" not in each.text)
    return replace(
        whole, name=name, what="selection", line=first, end_line=last, summary=Summary(text, "facts", sources),
        facts=facts, calling=calling, returns=rows, signature="",
    )  # fmt: skip


def _several(view: View, source: Source, symbols: Sequence[Symbol], start: int, end: int) -> Explanation:
    """A selection over several functions: a step for each, which says what it does."""
    steps, facts = [], []
    for symbol in symbols[:_MAX_FUNCTIONS]:
        each = _explanation(view, source, body_of(source, symbol), symbol, None)
        steps.append(Step(f"{as_code(symbol.name)}: {each.summary.text}", symbol.line))
        facts += [fact for fact in each.facts if fact.path == source.path and fact.kind is not FactKind.CALLER]
    names = listed([as_code(symbol.name) for symbol in symbols], 4)
    first, last = source.lines.line_of(start), source.lines.line_of(max(end - 1, start))
    more = len(symbols) - _MAX_FUNCTIONS
    gaps = (f"{more} more functions are selected; explain a smaller part",) if more > 0 else ()
    text = f"{len(symbols)} definitions: {names}"
    return Explanation(
        f"Lines {first + 1} to {last + 1}", "selection", source.path, first, last, "",
        Summary(text, "facts", (Location(source.path, first),)), tuple(facts), steps=tuple(steps), gaps=gaps,
    )  # fmt: skip


def _documentation(source: Source, start: int) -> tuple[KernelDoc | None, int]:
    span = comment_above(source.data, start)
    doc = parse_kerneldoc(source.data[span[0] : span[1]]) if span else None
    return (doc if doc and doc.kind != "doc" else None), (source.lines.line_of(span[0]) if span else 0)


def _documented(doc: KernelDoc | None, line: int, path: str) -> list[Fact]:
    """What kernel-doc says about context, locks and the returned value, in its own words."""
    if doc is None:
        return []
    parts = [(FactKind.CONTEXT, "context", doc.context), (FactKind.RETURN, "return value", doc.returns)]
    parts += [(FactKind.LOCK, title, text) for title, text in doc.sections if title.lower().startswith("lock")]
    return [
        Fact(kind, f"{title.lower()}, by its documentation: {' '.join(text.replace('`', chr(39)).split())}", path, line)
        for kind, title, text in parts
        if text
    ]


def _signature(source: Source, symbol: Symbol | None) -> str:
    if symbol is None:
        return ""
    text = declaration_head(source.data, symbol)
    if symbol.kind is Kind.SYSCALL:
        return syscall_prototype(text, symbol.name) or text
    if symbol.kind is Kind.MACRO:
        line = source.data[symbol.start : symbol.end].split(b"\n", 1)[0]
        return line.rstrip(b" \t\r\\").decode("utf-8", "replace")[:200]
    return text


def _gaps(body: Body, flow: Flow, analysis: ReturnAnalysis) -> tuple[str, ...]:
    gaps = []
    if body.root is None:
        gaps.append("No body could be read here")
    elif not flow.complete:
        gaps.append("Not all paths through this code could be followed: facts and steps may be missing")
    if analysis.exhausted:
        gaps.append("Too long to follow every returned value")
    return tuple(gaps)
