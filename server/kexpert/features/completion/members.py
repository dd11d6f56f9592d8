"""Completion of what a type offers: members, designators of an initialiser, enumerators."""

from __future__ import annotations

from kexpert.core.c.declarators import RECORDS, CType
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.completion.item import Completions, Item, Request
from kexpert.features.semantics.initialisers import braces_type, designated, designated_owner
from kexpert.features.semantics.records import Member
from kexpert.features.semantics.resolve import chain_start
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View

_MAX_ENUMERATORS = 2000


def complete_member(request: Request, types: Types, tokens: Tokens, dot: int) -> Completions:
    """Behind the ``.`` or ``->`` at token ``dot``."""
    if designated(tokens, dot):
        return _designators(request, types, tokens, dot)
    if tokens[dot - 1][:1].isdigit():
        return Completions()
    owner = types.at(tokens, chain_start(tokens, dot - 1), dot, request.start)
    if owner is not None:
        found = types.members(owner)
        if found:
            return _listed(request, [(member, "0") for member in found])
    return _guessed(request)


def _listed(request: Request, ranked: list[tuple[Member, str]], suffix: str = "") -> Completions:
    """Members in the order of their declaration within each rank; those that match badly are cut first."""
    items = []
    symbols = _Symbols(request.view)
    for order, (member, rank) in enumerate(ranked):
        for name, quality in request.matching([member.name]):
            items.append(request.item(name, "member", f"{rank}{quality}{order:04}", member.type_text,
                                      insert=name + suffix, symbol=symbols.of(member)))  # fmt: skip
    items.sort(key=lambda item: item.sort_text)
    return Completions(items[: request.limit], len(items) > request.limit)


class _Symbols:
    """Members as symbols; the lines of each file are counted once."""

    def __init__(self, view: View) -> None:
        self._view = view

    def of(self, member: Member) -> Symbol:
        source = self._view.source(member.path)
        line = source.lines.line_of(member.name_start) if source else 0
        tag = member.struct.partition(" ")[2]
        return Symbol(member.name, Kind.MEMBER, member.path, line, member.name_start, member.start, member.end, tag)


def _guessed(request: Request) -> Completions:
    """The type is not known: members of any struct whose name begins as typed."""
    if not request.prefix:
        return Completions(incomplete=True)
    rows = request.view.lookup_prefix(request.prefix, request.limit * 2, request.source.path)
    seen: dict[str, Item] = {}
    for order, row in enumerate(rows):
        if row.kind is Kind.MEMBER and row.name not in seen:
            owner = f"struct {row.scope}".rstrip()
            seen[row.name] = request.item(row.name, "member", f"8{order:04}", owner, symbol=row)
    return Completions(list(seen.values())[: request.limit], True)


def _designators(request: Request, types: Types, tokens: Tokens, dot: int) -> Completions:
    owner = designated_owner(types, tokens, dot, request.start)
    return _unset_first(request, types, tokens, dot, owner) if owner else _guessed(request)


def _unset_first(request: Request, types: Types, tokens: Tokens, at: int, owner: CType) -> Completions:
    """Members to initialise, those that the braces do not give yet first."""
    given = _given(tokens, tokens.enclosing(at, "{"))
    ranked = [(member, "1" if member.name in given else "0") for member in types.members(owner)]
    follows = request.source.data[request.offset : request.offset + 40].lstrip(b" \t\n")
    return _listed(request, ranked, "" if follows.startswith((b"=", b".", b"[")) else " = ")


def _given(tokens: Tokens, brace: int) -> set[str]:
    """Names designated directly in the braces."""
    found: set[str] = set()
    at, stop = brace + 1, tokens.past(brace) if tokens.partner(brace) >= 0 else len(tokens)
    while at < stop:
        if tokens[at] in ("{", "(", "["):
            at = tokens.past(at)
            continue
        if tokens[at] == "." and tokens[at - 1] in ("{", ",") and tokens[at + 2] in ("=", ".", "["):
            found.add(tokens[at + 1])
        at += 1
    return found


def initialiser_items(request: Request, types: Types, tokens: Tokens, at: int) -> list[Item]:
    """``.member = `` for a place right behind ``{`` or ``,`` in an initialiser of a struct."""
    brace = at if tokens[at] == "{" else tokens.enclosing(at, "{")
    owner = braces_type(types, tokens, brace, request.start)
    if owner is None or owner.derived or types.resolved(owner).keyword not in RECORDS:
        return []
    given = _given(tokens, brace)
    return [
        request.item(f".{member.name}", "member", f"0{order:04}", member.type_text, insert=f".{member.name} = ")
        for order, member in enumerate(types.members(owner))
        if member.name not in given
    ][: request.limit]


def enumerator_items(request: Request, types: Types, wanted: CType) -> list[Item]:
    """The enumerators of the enum that is expected."""
    if wanted.derived:
        return []
    of = types.resolved(wanted)
    if of.keyword != "enum" or of.derived:
        return []
    items = []
    for order, symbol in enumerate(_enumerators(types, of)):
        for name, quality in request.matching([symbol.name]):
            items.append(request.item(name, "enumerator", f"0{quality}{order:04}", of.name, symbol=symbol))
    return items


def _enumerators(types: Types, of: CType) -> list[Symbol]:
    if of.body:
        path, start, end = of.body
        return _read_enumerators(types, Symbol("", Kind.ENUM, path, 0, start, start, end))
    for symbol in types.lookup(of.tag, (Kind.ENUM,)):
        found = _read_enumerators(types, symbol)
        if found:
            return found
    return []


def _read_enumerators(types: Types, enum: Symbol) -> list[Symbol]:
    text = types.view.text(enum)
    tokens = Tokens(text, base=enum.start)
    brace = next((at for at in range(len(tokens)) if tokens[at] == "{"), len(tokens))
    found = []
    for start, stop in tokens.commas(brace + 1, tokens.past(brace) - 1)[:_MAX_ENUMERATORS]:
        if tokens.is_word(start):
            place = tokens.start(start)
            line = enum.line + text.count(b"\n", 0, place - enum.start)
            found.append(Symbol(tokens[start], Kind.ENUMERATOR, enum.path, line, place, place, tokens.stop(stop - 1),
                                enum.name))  # fmt: skip
    return found
