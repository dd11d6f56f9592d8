"""Completion of what a type offers: members, designators of an initialiser, enumerators."""

from __future__ import annotations

from kexpert.core.c.declarators import RECORDS, CType
from kexpert.core.c.postfix import chain_start
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.completion.item import CompletionItem, CompletionRequest, Completions
from kexpert.features.semantics.initialisers import braces_type, designated, designated_owner
from kexpert.features.semantics.records import Member
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View

_MAX_ENUMERATORS = 2000


def complete_member(request: CompletionRequest, dot: int) -> Completions:
    """Members after the ``.`` or ``->`` at token ``dot``."""
    tokens, types = request.cursor.tokens, request.cursor.types
    if designated(tokens, dot):
        return _designators(request, dot)
    if tokens[dot - 1][:1].isdigit():
        return Completions()
    owner = types.at(tokens, chain_start(tokens, dot - 1), dot, request.start)
    if owner is not None:
        found = types.members(owner)
        if found:
            return _listed(request, [(member, "5" if types.is_excluded(member) else "0") for member in found])
    return _members_of_any_struct(request)


def _listed(request: CompletionRequest, ranked: list[tuple[Member, str]], suffix: str = "") -> Completions:
    """Members in the order of their declaration within each rank; the worst matches are cut first."""
    items = []
    symbols = _Symbols(request.view)
    for order, (member, rank) in enumerate(ranked):
        for name, quality in request.matching([member.name]):
            items.append(request.item(name, "member", f"{rank}{quality}{order:04}", member.type_text,
                                      insert=name + suffix, symbol=symbols.of(member)))  # fmt: skip
    items.sort(key=lambda item: item.sort_text)
    return Completions(items[: request.limit], len(items) > request.limit)


class _Symbols:
    """Members as symbols with their lines."""

    def __init__(self, view: View) -> None:
        self._view = view

    def of(self, member: Member) -> Symbol:
        source = self._view.source(member.path)
        line = source.lines.line_of(member.name_start) if source else 0
        tag = member.struct.partition(" ")[2]
        return Symbol(member.name, Kind.MEMBER, member.path, line, member.name_start, member.start, member.end, tag)


def _members_of_any_struct(request: CompletionRequest) -> Completions:
    """Where the type is not known: members of any struct that begin with the prefix."""
    if not request.prefix:
        return Completions(incomplete=True)
    rows = request.view.lookup_prefix(request.prefix, request.limit * 2, request.source.path)
    seen: dict[str, CompletionItem] = {}
    for order, row in enumerate(rows):
        if row.kind is Kind.MEMBER and row.name not in seen:
            owner = f"struct {row.scope}".rstrip()
            seen[row.name] = request.item(row.name, "member", f"8{order:04}", owner, symbol=row)
    return Completions(list(seen.values())[: request.limit], True)


def _designators(request: CompletionRequest, dot: int) -> Completions:
    owner = designated_owner(request.cursor.types, request.cursor.tokens, dot, request.start)
    return _unset_first(request, dot, owner) if owner else _members_of_any_struct(request)


def _unset_first(request: CompletionRequest, at: int, owner: CType) -> Completions:
    """Members to initialise, those that the braces do not set yet first."""
    tokens = request.cursor.tokens
    given = _given(tokens, tokens.enclosing(at, "{"))
    ranked = [(member, "1" if member.name in given else "0") for member in request.cursor.types.members(owner)]
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


def initialiser_items(request: CompletionRequest, at: int) -> list[CompletionItem]:
    """``.member = `` for a place right after the ``{`` or ``,`` at token ``at`` in an initialiser of a struct."""
    tokens, types = request.cursor.tokens, request.cursor.types
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


def enumerator_items(request: CompletionRequest, expected: CType) -> list[CompletionItem]:
    """The enumerators of the enum that is expected."""
    if expected.derived:
        return []
    types = request.cursor.types
    enum = types.resolved(expected)
    if enum.keyword != "enum" or enum.derived:
        return []
    items = []
    for order, symbol in enumerate(_enumerators(types, enum)):
        for name, quality in request.matching([symbol.name]):
            items.append(request.item(name, "enumerator", f"0{quality}{order:04}", enum.name, symbol=symbol))
    return items


def _enumerators(types: Types, enum: CType) -> list[Symbol]:
    if enum.body:
        path, start, end = enum.body
        return _read_enumerators(types, Symbol("", Kind.ENUM, path, 0, start, start, end))
    for symbol in types.lookup(enum.tag, (Kind.ENUM,)):
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
