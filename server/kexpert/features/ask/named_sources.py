"""What the definitions of a question's names say: place, meaning, size, operations; and who maintains them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kexpert.core.docs.kerneldoc import KernelDoc
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.kernel.maintainers import MaintainerEntry
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.ask.fact_sources import FoundSource
from kexpert.features.ask.protection import protected_names, protection_sources
from kexpert.features.ask.question import Question, Topic
from kexpert.features.explain.remarks import first_sentence
from kexpert.features.hover.card import HoverCard, OptionHelp, Title
from kexpert.features.named.definitions import AskedName, definitions, inside
from kexpert.features.named.details import card_of, layout_card, named_maintainers, responsible
from kexpert.features.semantics.definition_ranking import NOT_KERNEL
from kexpert.prompt.sources import plain
from kexpert.view import View

_MAX_PLACES = 4
_MAX_OPERATIONS = 12
_MAX_ASSIGNMENTS = 2000
_MAX_ENTRIES = 2
_MAX_CHARS = 300
_EVERYTHING = "THE REST"
_CALLED = (Kind.FUNCTION, Kind.SYSCALL, Kind.PROTOTYPE)
_TAGGED = {Kind.STRUCT: "struct ", Kind.UNION: "union ", Kind.ENUM: "enum "}


def named_sources(view: View, question: Question) -> list[FoundSource]:
    """Sources of the topics ``NAMED``, in the order of the names."""
    topics = question.topics
    found: list[FoundSource] = []
    if Topic.MAINTAINERS in topics:
        found += _maintainers(view, question)
    if Topic.PROTECTION in topics:
        for name, struct in protected_names(view, question.text):
            found += protection_sources(view, name, struct)
    for module, parameter in question.parameters:
        found += _parameter(view, module, parameter)
    for name in question.names:
        symbols = _definitions(view, name)
        if Topic.PLACE in topics:
            found += [_place(symbol, name) for symbol in symbols]
        if symbols and Topic.MEANING in topics:
            members = [member for each in question.members for member in _definitions(view, each, name)[:1]]
            found += [source for symbol in members or symbols[:1] for source in _meaning(view, symbol, name)]
        if symbols and Topic.ARGUMENT in topics:
            found += _arguments(view, symbols[0], question)
        if symbols and Topic.CONTEXT in topics:
            found += _context(view, symbols[0], name)
        if symbols and Topic.SIZE in topics:
            found += _size(view, symbols[0], question)
        if Topic.IMPLEMENTS in topics:
            found += _operations(view, name, question)
    if Topic.MEANING in topics:
        for option in question.options:
            found += _option(view, option)
    return found


def _definitions(view: View, name: str, owner: str = "") -> list[Symbol]:
    """The definitions of a name, best first; those of programs beside the kernel only where there are no others."""
    found = list(definitions(view, AskedName(name, owner), max_symbols=_MAX_PLACES).symbols)
    return [symbol for symbol in found if not symbol.path.startswith(NOT_KERNEL)] or found


def _shown(symbol: Symbol) -> str:
    """``struct foo``, ``foo()``, ``FOO``, ``foo.member``."""
    if symbol.kind is Kind.MEMBER:
        return f"{symbol.scope}.{symbol.name}"
    return f"{_TAGGED.get(symbol.kind, '')}{symbol.name}{'()' if symbol.kind in _CALLED else ''}"


def _place(symbol: Symbol, subject: str) -> FoundSource:
    return FoundSource(subject, Topic.PLACE, f"{_shown(symbol)} is defined in {symbol.path}", symbol.path, symbol.line)


def _meaning(view: View, symbol: Symbol, subject: str) -> Iterator[FoundSource]:
    """The author's first sentence; of a constant without one, its text or its value."""
    card = card_of(view, symbol)
    if card is None:
        return
    said = _said(card)
    shown = _shown(symbol)
    if said:
        text = said if said.startswith(symbol.name) else f"{shown}: {said}"
    elif symbol.kind is Kind.ENUMERATOR:
        text = f"{shown} is an enumerator{f' of {card.owner}' if card.owner else ''}"
        text += f" with the value {card.value}" if card.value is not None else ""
    elif symbol.kind in (Kind.MACRO, Kind.MEMBER) and "\n" not in card.code:
        text = card.code if symbol.kind is Kind.MACRO else f"{shown} is declared as {' '.join(card.code.split())}"
    else:
        return
    yield FoundSource(subject, Topic.MEANING, plain(text), symbol.path, symbol.line)


def _said(card: HoverCard) -> str:
    """The first sentence of a card's documentation."""
    for piece in card.documentation:
        if isinstance(piece, OptionHelp | Title):
            continue
        text = (piece.summary or piece.description) if isinstance(piece, KernelDoc) else piece.text
        if text.strip():
            return _sentence(text)
    return ""


def _sentence(text: str) -> str:
    """The first sentence on one line, without its full stop."""
    return first_sentence(" ".join(text.split()), _MAX_CHARS).rstrip(".")


def _kernel_doc(view: View, symbol: Symbol) -> KernelDoc | None:
    card = card_of(view, symbol)
    return next((piece for piece in card.documentation if isinstance(piece, KernelDoc)), None) if card else None


def _arguments(view: View, symbol: Symbol, question: Question) -> Iterator[FoundSource]:
    """What kernel-doc says of the parameters that a question names; of all, if it names none."""
    doc = _kernel_doc(view, symbol)
    params = [param for param in doc.params if param.text] if doc else []
    words = set(re.findall(r"\w+", question.text))
    for param in [param for param in params if param.name in words] or params:
        text = plain(f"{_shown(symbol)}, {param.name}: {_sentence(param.text)}")
        yield FoundSource(symbol.name, Topic.ARGUMENT, text, symbol.path, symbol.line)


def _context(view: View, symbol: Symbol, subject: str) -> Iterator[FoundSource]:
    """The section "Context" of kernel-doc."""
    doc = _kernel_doc(view, symbol)
    if doc is not None and doc.context:
        text = f"{_shown(symbol)}: context, by its documentation: {' '.join(doc.context.split()).rstrip('.')}"
        yield FoundSource(subject, Topic.CONTEXT, plain(text), symbol.path, symbol.line)


def _size(view: View, symbol: Symbol, question: Question) -> Iterator[FoundSource]:
    """The size of a type, and where the members are that a question names."""
    card = layout_card(view, symbol) if symbol.kind in (Kind.STRUCT, Kind.UNION) else None
    layout = card.layout if card is not None else None
    if layout is None:
        return
    words = set(re.findall(r"[\w.]+", question.text)) - {symbol.name}
    for member in (each for each in layout.fields if each.name in words and each.offset is not None):
        about = "" if member.offset_exact else "about "
        text = f"{member.name} is at offset {about}{member.offset} of {_shown(symbol)}"
        yield FoundSource(symbol.name, Topic.SIZE, text, symbol.path, symbol.line)
    if layout.size is not None:
        view_of = f" with {layout.configuration}" if layout.configuration else ""
        text = f"{_shown(symbol)} has {'' if layout.exact else 'about '}{layout.size} bytes{view_of}"
        yield FoundSource(symbol.name, Topic.SIZE, text, symbol.path, symbol.line)


def _operations(view: View, struct: str, question: Question) -> Iterator[FoundSource]:
    """The functions that are an operation of a struct, in the folders or files that a question names."""
    takes = [inside(path) for path in (*question.folders, *question.files)]
    for member in question.members:
        rows = view.implementations(struct, member, _MAX_ASSIGNMENTS)
        rows = [row for row in rows if not takes or any(taken(row.path) for taken in takes)]
        for row in sorted(rows, key=lambda row: (row.path, row.line))[:_MAX_OPERATIONS]:
            table = f" in {row.table}" if row.table else ""
            text = f"{row.function}() is .{member} of struct {struct}{table}"
            yield FoundSource(struct, Topic.IMPLEMENTS, text, row.path, row.line, len(rows))


def _parameter(view: View, module: str, name: str) -> Iterator[FoundSource]:
    """What MODULE_PARM_DESC says of a module parameter."""
    found = view.lookup(name, (Kind.MODULE_PARAM,), 20)
    of_module = [row for row in found if row.path.rpartition("/")[2].rpartition(".")[0].replace("-", "_") == module]
    for symbol in (of_module or found)[:_MAX_PLACES]:
        card = card_of(view, symbol)
        said = _said(card) if card is not None else ""
        if said:
            text = f"{module + '.' if module else ''}{name}: {said}"
            yield FoundSource(name, Topic.PARAMETER, plain(text), symbol.path, symbol.line)


def _option(view: View, option: str) -> Iterator[FoundSource]:
    """The prompt of an option and the first sentence of its help."""
    for symbol in view.lookup(f"CONFIG_{option}", (Kind.CONFIG,), 4):
        data = view.data(symbol.path)
        for entry in parse_kconfig(data, symbol.path).named(option) if data else ():
            parts = [entry.prompt, _sentence(entry.help)]
            text = ". ".join([f"CONFIG_{option}: {parts[0]}", *parts[1:]] if all(parts) else parts)
            if any(parts):
                yield FoundSource(symbol.name, Topic.MEANING, text, symbol.path, entry.line)


def _maintainers(view: View, question: Question) -> Iterator[FoundSource]:
    """The entries of MAINTAINERS for the files, folders and definitions that a question names, or by their title."""
    paths = [*question.files, *question.folders]
    if not paths:
        for name in question.names[:1]:
            paths += [symbol.path for symbol in definitions(view, AskedName(name), max_symbols=1).symbols]
    if not paths:
        yield from _worded("", named_maintainers(view, question.text))
    for path in paths:
        found = responsible(view, path)
        entries = found.entries if found is not None else ()
        yield from _worded(path, [entry for entry in entries if entry.title != _EVERYTHING] or entries)


def _worded(path: str, entries: Sequence[MaintainerEntry]) -> Iterator[FoundSource]:
    for entry in entries[:_MAX_ENTRIES]:
        people = ", ".join(entry.maintainers or entry.reviewers) or "nobody"
        lists = ", ".join(address.partition(" ")[0] for address in entry.lists)
        text = f"{path or entry.title} is maintained by {people}{f' ({entry.title})' if path else ''}"
        text += f"; patches go to {lists}" if lists else ""
        yield FoundSource(path, Topic.MAINTAINERS, text, "MAINTAINERS", entry.line)
