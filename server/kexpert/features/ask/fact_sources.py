"""Facts about what a question names, worded as sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import comment_above, comment_text, parse_kerneldoc
from kexpert.core.kernel.kbuild import object_conditions
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.ask.question import Question, Topic
from kexpert.features.explain.callee_effects import body_in_tree
from kexpert.features.explain.contexts import context_facts, context_statements
from kexpert.features.explain.explanation import Fact, FactKind, as_code
from kexpert.features.explain.flow import Flow
from kexpert.features.explain.locks import lock_facts, lock_rules, lock_uses
from kexpert.features.explain.resources import resource_facts, resource_uses
from kexpert.features.explain.returns import ReturnAnalysis, return_facts
from kexpert.features.explain.state import state_facts, writes
from kexpert.features.explain.users import users
from kexpert.features.hover.code_card import declaration_head
from kexpert.features.named.definitions import CODE
from kexpert.prompt.sources import built_source, config_sources, function_source, plain
from kexpert.view import View

_MAX_DEFINITIONS = 8  # of one name; which of them is meant, a condition or a value may tell
_MAX_MEMBERS = 12
_TOPIC_OF = {
    FactKind.RETURN: Topic.RETURN, FactKind.ERRNO: Topic.RETURN, FactKind.LOCK: Topic.LOCK,
    FactKind.CONTEXT: Topic.CONTEXT, FactKind.ALLOCATION: Topic.MEMORY, FactKind.REFERENCE: Topic.MEMORY,
    FactKind.STATE: Topic.STATE, FactKind.CALLER: Topic.CALLERS, FactKind.ENTRY: Topic.TABLE,
}  # fmt: skip
_HELD = re.compile(r"the caller (?:holds|must|ensures)|requires:|which the caller holds", re.I)


@dataclass(frozen=True, slots=True)
class FoundSource:
    """A source before it has a number. ``subject``: the name of the question that led to it. Lines are 0-based.

    ``total``: how many sources of its topic there would be; 0 if these are all.
    """

    subject: str
    topic: Topic | None
    text: str
    path: str
    line: int
    total: int = 0


def fact_sources(view: View, question: Question) -> list[FoundSource]:
    """Facts about the names, options and files of a question, in the order of their names."""
    found: list[FoundSource] = []
    for option in question.options:
        found += option_sources(view, option)
    for path in question.files:
        found += build_sources(view, path)
    for name in question.names:
        found += _of_name(view, name, question)
    return list(dict.fromkeys(found))


def _of_name(view: View, name: str, question: Question) -> Iterator[FoundSource]:
    symbols = [each for path in question.files for each in view.symbols_in(path) if each.name == name]
    symbols = [each for each in symbols if each.kind in CODE] or view.lookup(name, CODE, 50)
    symbols = symbols or view.lookup(f"sys_{name}", (Kind.SYSCALL,), 4)
    for symbol in _meant(symbols, question.files)[:_MAX_DEFINITIONS]:
        source = view.source(symbol.path)
        if source is not None:
            yield from _function(view, source, symbol, name)
    for table in _meant(view.lookup(name, (Kind.VARIABLE,), 20), question.files)[:_MAX_DEFINITIONS]:
        yield from table_sources(view, table, question.members)


def _meant(symbols: list[Symbol], files: tuple[str, ...]) -> list[Symbol]:
    """Those of the files that a question names; else those of the kernel proper, if there are any, functions first."""
    if inside := [symbol for symbol in symbols if symbol.path in files]:
        return inside
    kernel = [symbol for symbol in symbols if not symbol.path.startswith(("tools/", "samples/", "scripts/"))]
    return sorted(
        kernel or symbols,
        key=lambda each: (
            each.kind is Kind.MACRO,
            each.path.startswith("arch/") and not each.path.startswith("arch/x86/"),
        ),
    )


def definition_source(source: Source, symbol: Symbol, subject: str) -> FoundSource:
    """What a definition is: the summary of its comment, else its head."""
    span = comment_above(source.data, symbol.start)
    comment = source.data[span[0] : span[1]] if span else b""
    doc = parse_kerneldoc(comment)
    text = doc.summary if doc is not None else comment_text(comment).partition("\n\n")[0] if comment else ""
    name = f"{symbol.name}()" if symbol.kind in CODE else symbol.name
    line = source.lines.line_of(span[0]) if span and text else symbol.line
    said = f"{name}: {plain(text)}" if text else plain(declaration_head(source.data, symbol))
    return FoundSource(subject, None, said, symbol.path, line)


def _function(view: View, source: Source, symbol: Symbol, subject: str) -> Iterator[FoundSource]:
    yield definition_source(source, symbol, subject)
    body = body_in_tree(view, source, symbol)
    flow = Flow(body)
    locks = lock_uses(body, flow)
    facts: list[Fact] = list(return_facts(body, ReturnAnalysis(body, flow))) if body.what != "macro" else []
    facts += lock_facts(body, locks, lock_rules(body, flow, locks))
    facts += context_facts(body, context_statements(body, flow))
    facts += resource_facts(body, resource_uses(body, flow))
    facts += state_facts(body, writes(view, body, flow))
    used = users(view, symbol)
    for fact in (*facts, *used.facts):
        topic = _TOPIC_OF.get(fact.kind)
        if topic is Topic.LOCK and _HELD.search(fact.text):
            topic = Topic.HELD
        total = used.count or 0 if topic is Topic.CALLERS else 0
        yield FoundSource(subject, topic, function_source(symbol.name, fact.text), fact.path, fact.line, total)


def table_sources(view: View, table: Symbol, members: tuple[str, ...] = ()) -> Iterator[FoundSource]:
    """The functions of a table, those of the members asked for first."""
    source = view.source(table.path)
    rows = [row for row in source.facts.assignments if row.table == table.name] if source is not None else []
    rows.sort(key=lambda row: row.member not in members)
    for row in rows[:_MAX_MEMBERS]:
        of = f" of {as_code('struct ' + row.struct)}" if row.struct else ""
        text = function_source(row.function, f"is {as_code('.' + row.member)}{of} in {as_code(row.table)}")
        topic = Topic.MEMBER if row.member in members else None
        yield FoundSource(table.name, topic, text, row.path, row.line)


def option_sources(view: View, option: str) -> Iterator[FoundSource]:
    """What the entries of an option say."""
    for symbol in view.lookup(f"CONFIG_{option}", (Kind.CONFIG,), 4):
        data = view.data(symbol.path)
        for entry in parse_kconfig(data, symbol.path).named(option) if data else ():
            for text in config_sources(entry):
                relation = text.partition(" ")[2]
                topic = (
                    Topic.DEPENDS if relation.startswith("depends on")
                    else Topic.SELECTS if relation.startswith(("selects", "implies")) else None
                )  # fmt: skip
                yield FoundSource(f"CONFIG_{option}", topic, text, symbol.path, entry.line)


def build_sources(view: View, path: str) -> Iterator[FoundSource]:
    """Which options build a file, at the line of its Makefile."""
    conditions = [each for each in object_conditions(path, view.data) if "CONFIG_" in each]
    folder, _, name = path.rpartition("/")
    wanted = re.compile(rb"(?<![\w-])" + re.escape(name.rpartition(".")[0].encode()) + rb"\.o\b")
    for makefile in (f"{folder}/Kbuild", f"{folder}/Makefile"):
        data = view.data(makefile) if conditions else None
        match = wanted.search(data) if data else None
        if data is not None and match is not None:
            line = data.count(b"\n", 0, match.start())
            yield FoundSource(path, Topic.BUILDS, built_source(path, conditions), makefile, line)
            return
