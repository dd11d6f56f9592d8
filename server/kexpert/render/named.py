"""Answers about names as plain text that an agent reads: one fact a line, every place as ``path:line``.

The first line says what the answer is about, how much of it is shown and how it was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kexpert.core.docs.kerneldoc import KernelDoc
from kexpert.core.symbols import Assignment, Kind, Symbol
from kexpert.features.hover.card import Documentation, HoverCard, Place, PlainText, RestructuredText
from kexpert.features.named.certainty import Certainty
from kexpert.render import plain_text
from kexpert.render.documentation import write_documentation
from kexpert.render.hover_card import layout_table, rule_lines

if TYPE_CHECKING:
    from kexpert.features.ask.ask import Answer
    from kexpert.features.callgraph.pointers import PassedOn
    from kexpert.features.explain.explanation import Statement
    from kexpert.features.named.callers import Callee, Callees, Callers
    from kexpert.features.named.definitions import Definitions
    from kexpert.features.named.details import Definition, DefinitionText, Locking, Responsible
    from kexpert.features.named.uses import Filled, Uses
    from kexpert.features.search.search import SearchResult

_KIND_WORDS = {
    Kind.PROTOTYPE: "declaration", Kind.SYSCALL: "system call", Kind.CONFIG: "configuration option",
    Kind.ASM_LABEL: "assembly function", Kind.MODULE_PARAM: "module parameter", Kind.DECLARATION: "declaration",
}  # fmt: skip
_MAX_LINES = 6
_MAX_STATEMENT_PLACES = 4
_MAX_HEAD_CHARS = 300
_MAX_BRIEF_CHARS = 400


def place(path: str, line: int) -> str:
    """``line`` counts from 0."""
    return f"{path}:{line + 1}"


def head(what: str, certainty: Certainty | str, shown: int = 0, total: int = 0, at_least: bool = False) -> str:
    """``12 callers of foo (10 shown, by name only)``."""
    notes = [f"first {shown} shown"] if shown < total else []
    notes.append(str(certainty))
    return f"{what} ({', '.join(notes)})" + (", perhaps more" if at_least else "")


def kind_word(symbol: Symbol) -> str:
    return _KIND_WORDS.get(symbol.kind, symbol.kind.name.lower())


def no_such_name(what: str, name: str, nearest: Sequence[Symbol]) -> str:
    """One line, with the nearest names."""
    close = ", ".join(f"{each.name} ({kind_word(each)}, {place(each.path, each.line)})" for each in nearest)
    return f"no {what} named {name}" + (f"; nearest names: {close}" if close else "; no similar name either")


# -- definitions ---------------------------------------------------------------------------------


def definitions(
    found: Definitions,
    first: Definition,
    card: HoverCard | None,
    others: Sequence[Definition],
    text: DefinitionText | None,
) -> str:
    """The best definition with its conditions, its card if one is given, its text, then a line for each other."""
    best = first.symbol
    counted = f", definition 1 of {found.total}" if found.total > 1 else ""
    where = f"{place(best.path, best.line)}{conditions(first.place)}"
    parts = [head(f"{full_name(best)}: {kind_word(best)}, {where}{counted}", Certainty.EXACT)]
    if card is not None:
        shown = replace(with_brief(card), place=None, variants=(), more_variants=0)
        if text is not None:
            shown = replace(shown, code="")
        facts = plain_text.hover_card(shown).replace("\n\n", "\n")
        facts = facts.partition("\n")[2] if text is not None else facts  # its first line is the name again
        parts += [facts] if facts else []
    if text is not None:
        parts.append(definition_text(text))
    if others:
        more = found.total - 1 - len(others)
        parts += ["Other definitions:", *map(definition_line, others)] + ([f"- {more} more"] if more > 0 else [])
    if found.members:
        parts.append(f"Also a member of {found.members} structs; give struct.{found.name} for one")
    return "\n".join(parts)


def definition_line(found: Definition) -> str:
    """``- path:line struct foo when CONFIG_X: its declaration``."""
    symbol = found.symbol
    code = " ".join(found.head.split())
    code = code if len(code) <= _MAX_HEAD_CHARS else code[: _MAX_HEAD_CHARS - 1] + "…"
    what = f"{place(symbol.path, symbol.line)} {kind_word(symbol)}{conditions(found.place)}"
    return f"- {what}: {code}" if code else f"- {what}"


def definition_text(found: DefinitionText) -> str:
    text = f"{found.path}:{found.first_line + 1}-{found.last_line + 1}:\n{found.text}"
    return f"{text}\n({found.more_lines} more lines)" if found.more_lines else text


def full_name(symbol: Symbol) -> str:
    """``struct file``, ``file_operations.open``, ``vfs_read``."""
    if symbol.kind in (Kind.STRUCT, Kind.UNION, Kind.ENUM):
        return f"{symbol.kind.name.lower()} {symbol.name}"
    return f"{symbol.scope}.{symbol.name}" if symbol.kind is Kind.MEMBER and symbol.scope else symbol.name


def conditions(where: Place) -> str:
    return f" when {', '.join(where.conditions)}" if where.conditions else ""


def with_brief(card: HoverCard) -> HoverCard:
    """A card with the first sentence of its documentation."""
    brief: tuple[Documentation, ...] = ()
    match card.documentation[:1]:
        case (KernelDoc() as doc,):
            brief = (KernelDoc(kind=doc.kind, name=doc.name, summary=doc.summary),)
        case (PlainText(text),):
            brief = (PlainText(_first_paragraph(text)),)
        case (RestructuredText(text),):
            brief = (RestructuredText(_first_paragraph(text)),)
        case other:
            brief = other
    return replace(card, documentation=brief)


def _first_paragraph(text: str) -> str:
    first = text.partition("\n\n")[0]
    return first if len(first) <= _MAX_BRIEF_CHARS else f"{first[:_MAX_BRIEF_CHARS]}…"


def documentation(symbol: Symbol, card: HoverCard) -> str:
    """All that the author wrote about a symbol."""
    text = write_documentation(card.documentation, plain_text.MARKUP)
    title = head(f"documentation of {full_name(symbol)}, {place(symbol.path, symbol.line)}", Certainty.EXACT)
    return f"{title}\n{text or 'Nothing is written about it; explain_function says what its code does.'}"


def layout(symbol: Symbol, card: HoverCard, max_fields: int) -> str:
    """Offsets, sizes and holes; ``~`` where approximate."""
    found = card.layout
    title = f"{full_name(symbol)}, {place(symbol.path, symbol.line)}"
    if card.place is not None:
        title += conditions(card.place)
    if found is None:
        return f"{head(title, 'not known')}\nIts layout cannot be computed; find_type shows its text."
    exact = "exact for LP64" if found.exact and found.size is not None else "approximate where ~, unknown where ?"
    exact += f", options of {found.configuration}" if found.configuration else ""
    more = len(found.fields) - max_fields
    tail = f"\n{more} more members" if more > 0 else ""
    return f"{head(title, exact)}\n{layout_table(found, max_fields)}{tail}"


# -- calls and uses ------------------------------------------------------------------------------


def callers(found: Callers) -> str:
    symbol = found.symbol
    count = f"{found.total:,} caller{'' if found.total == 1 else 's'} of {symbol.name}"
    title = f"{count}, {place(symbol.path, symbol.line)}"
    lines = [head(title, found.certainty, len(found.rows), found.total, found.at_least)]
    for row in found.rows:
        where = place(row.symbol.path, row.lines[0])
        again = f" (also line{'s' * (len(row.lines) > 2)} {_numbers(row.lines[1:])})" if len(row.lines) > 1 else ""
        lines.append(f"{where} {row.symbol.name}(){again}")
    if found.total > len(found.rows):
        lines.append(f"{found.total - len(found.rows):,} more; path= or limit= shows others")
    if found.macros:
        lines.append(f"Macros that call it: {', '.join(found.macros)}; ask for their callers too")
    if found.tables:
        lines.append("Assigned to operations, through which it is called:")
        lines += [_assignment(row) for row in found.tables[:_MAX_LINES]]
        if len(found.tables) > _MAX_LINES:
            lines.append(f"{len(found.tables) - _MAX_LINES} more")
    pointers = found.passed_on
    if pointers.places:
        lines.append("Passed on or stored as a pointer, through which it may be called (by syntax):")
        lines += [passed_on(each) for each in pointers.places[:_MAX_LINES]]
        if len(pointers.places) > _MAX_LINES:
            lines.append(f"{len(pointers.places) - _MAX_LINES} more")
    if pointers.unread_files:
        lines.append(f"Not looked for in {pointers.unread_files:,} files: where it is passed on as a pointer")
    return "\n".join(lines)


def passed_on(row: PassedOn) -> str:
    around = f" in {row.around}" if row.around else ""
    return f"{place(row.path, row.line)}{around}: {row.text}"


def callees(found: Callees) -> str:
    symbol = found.symbol
    title = f"{found.total} calls in {symbol.name}, {place(symbol.path, symbol.line)}"
    lines = [head(title, Certainty.BY_SYNTAX, len(found.rows), found.total)]
    lines += map(_callee, found.rows)
    if found.total > len(found.rows):
        lines.append(f"{found.total - len(found.rows)} more")
    return "\n".join(lines)


def _callee(row: Callee) -> str:
    at = f"line{'s' * (len(row.lines) > 1)} {_numbers(row.lines)}"
    if row.symbol is None:
        unknown = "see find_implementations" if row.operation else "no definition is known"
        return f"- {row.operation or row.name}() [{at}]: {unknown}"
    through = f" through {row.operation}" if row.operation else ""
    return f"{place(row.symbol.path, row.symbol.line)} {row.name}(){through} [{at}]"


def _numbers(lines: Sequence[int]) -> str:
    shown = ", ".join(str(line + 1) for line in lines[:_MAX_LINES])
    return f"{shown}, …" if len(lines) > _MAX_LINES else shown


def uses(found: Uses) -> str:
    symbol = found.symbol
    title = f"{found.total:,} uses of {full_name(symbol)} in {found.files} files"
    lines = [head(title, found.certainty, len(found.rows), found.total)]
    lines += [f"{place(row.path, row.line)}: {row.text}" for row in found.rows]
    if found.total > len(found.rows):
        lines.append(f"{found.total - len(found.rows):,} more in these files; path= or limit= shows others")
    if found.more_files:
        lines.append(f"{found.more_files:,} more files mention the name and were not read; path= chooses others")
    return "\n".join(lines)


def filled(what: str, found: Filled) -> str:
    lines = [head(f"{found.total:,} assignments: {what}", Certainty.BY_SYNTAX, len(found.rows), found.total)]
    lines += map(_assignment, found.rows)
    if found.total > len(found.rows):
        lines.append(f"{found.total - len(found.rows):,} more; path= or limit= shows others")
    return "\n".join(lines)


def _assignment(row: Assignment) -> str:
    struct = f" of struct {row.struct}" if row.struct else ""
    table = f" in {row.table}" if row.table else ""
    return f"{place(row.path, row.line)} {row.function}() is .{row.member}{struct}{table}"


# -- rules, people, search -----------------------------------------------------------------------


def locking(found: Locking) -> str:
    symbol = found.symbol
    how = Certainty.BY_SYNTAX if found.complete else f"{Certainty.BY_SYNTAX}, not all paths could be followed"
    lines = [head(f"locks and contexts of {symbol.name}, {place(symbol.path, symbol.line)}", how)]
    rules = found.card.rules if found.card is not None else None
    said = [f"- {line[:1].upper()}{line[1:]}" for line in rule_lines(rules, plain_text.MARKUP)] if rules else []
    if found.card is not None and found.card.sleeps_through:
        said.append("- May sleep: calls " + ", ".join(f"{name}()" for name in found.card.sleeps_through))
    statements = [f"- {statement(each)}" for each in found.statements]
    known = {line.partition(":")[0] for line in statements}
    lines += statements + [line for line in said if line.partition(":")[0] not in known]
    if len(lines) == 1:
        lines.append("No lock, context or sleeping call is known; its callees were looked at one level deep.")
    return "\n".join(lines)


def statement(found: Statement) -> str:
    """A sentence and its places."""
    places = ", ".join(place(each.path, each.line) for each in found.locations[:_MAX_STATEMENT_PLACES])
    more = ", …" if len(found.locations) > _MAX_STATEMENT_PLACES else ""
    return f"{found.text.replace('`', '')}" + (f" ({places}{more})" if places else "")


def responsible(found: Responsible) -> str:
    lines = [head(f"maintainers of {found.path}", Certainty.EXACT)]
    for entry in found.entries:
        lines.append(f"{entry.title} (MAINTAINERS:{entry.line + 1})")
        for letter, word in (("M", "maintainer"), ("R", "reviewer"), ("L", "list"), ("S", "status"), ("T", "tree")):
            lines += [f"  {word}: {value}" for value in entry.values(letter)[:12]]
    if not found.entries:
        lines.append("No entry of MAINTAINERS covers it.")
    return "\n".join(lines)


def sources(found: Answer) -> str:
    """The places that answer a question, what answers it most directly first."""
    lines = [head("places that answer the question, best first", "facts by syntax, texts by meaning")]
    lines += [f"{place(each.path, each.line)} {each.text}" for each in (*found.citations, *found.others)]
    return "\n".join(lines)


def search_results(query: str, found: Iterable[SearchResult], how: str) -> str:
    rows = list(found)
    lines = [head(f"{len(rows)} results by meaning for {query!r}, best first", how)]
    for row in rows:
        lines.append(f"{place(row.path, row.line)} {row.kind.name.lower()} {row.name}".rstrip())
        lines += [f"  {place(row.path, number)}: {text}" for number, text in row.lines]
    return "\n".join(lines)
