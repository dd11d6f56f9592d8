"""Call hierarchy: the callers of a function, and the functions it calls.

Calls are read from the tokens of single functions, so that other files are not parsed. A static function is called in
its own file only, a static inline of a header from anywhere. In a file with a static of a global's name, a call of that
name means the static.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kexpert.core.c.assembly import calls_below
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.c.word_scan import NOT_CALLS
from kexpert.core.symbols import Flag, Kind, Span, Symbol
from kexpert.features.navigation.definition import name_span
from kexpert.features.navigation.indirect_calls import (
    operations_of,
    users_of_cleanup,
    wrappers_of,
    writers_of_member,
)
from kexpert.features.navigation.resolved_uses import ResolvedUses
from kexpert.features.semantics.definition_ranking import is_private, rank_definitions
from kexpert.features.semantics.resolve import resolve
from kexpert.features.semantics.variant_states import excluded_files
from kexpert.view import View

CALLABLE = (Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO, Kind.PROTOTYPE, Kind.TRACEPOINT, Kind.ASM_LABEL)
_BODIES = (Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO)
_MAX_CALLEES = 200
_MAX_CALLERS_OF_MEMBER = 120
_MAX_CALLERS_OF_MACRO = 60
#: A call through an ops member leads to its functions only if they are no more than a reader can look through.
_MAX_IMPLEMENTATIONS = 12


@dataclass(frozen=True, slots=True)
class Call:
    """One edge of the hierarchy: the function at its other end, and where the calls are written."""

    symbol: Symbol
    spans: list[Span]


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call as it is written in a body; ``member`` if it goes through ``->`` or ``.``."""

    name: str
    start: int  # of the name, in the file
    member: bool


def prepare(view: View, source: Source, offset: int) -> list[Symbol]:
    """The functions that the name at ``offset`` may mean, best first, bodies before declarations."""
    found = resolve(view, source, offset)
    if found is None or found.kind not in ("symbol", "member"):
        return []
    if found.kind == "member":
        functions = _implementing(view, source, found.name, found.member.struct if found.member else "")
        member = found.member
        if functions or member is None:
            return functions
        scope = member.struct.partition(" ")[2]
        return [row for row in view.symbols_in(member.path) if row.name_start == member.name_start] or [
            Symbol(member.name, Kind.MEMBER, member.path, 0, member.name_start, member.start, member.end, scope)
        ]
    candidates = [symbol for symbol in found.symbols if symbol.kind in CALLABLE]
    if not candidates:
        return []
    bodies = [symbol for symbol in candidates if symbol.kind in _BODIES] or _with_bodies(view, source, found.name)
    return bodies or candidates[:1]


def incoming(
    view: View, symbol: Symbol, cancelled: Callable[[], bool], known: ResolvedUses | None = None
) -> list[Call]:
    """The functions that call ``symbol``, each with its calls; its own file's first. Of a member, those that write it
    or take its address.

    A call through an operation to which the function is assigned counts, and one of a macro whose body calls it; so
    does a guard or ``__free()`` that calls it at the end of a scope.
    """
    if symbol.kind is Kind.MEMBER:
        calls = [Call(writer, spans) for writer, spans in writers_of_member(view, symbol, cancelled, known)]
    else:
        calls = _direct(view, symbol, cancelled)
        calls += _through_operations(view, symbol, cancelled)
        wrappers = wrappers_of(view, symbol, cancelled)
        for macro in wrappers.macros:
            rows = view.lookup(macro, (Kind.MACRO,), limit=1)
            calls += _direct(view, rows[0], cancelled, _MAX_CALLERS_OF_MACRO) if rows else []
        for name in wrappers.cleanups:
            calls += [Call(caller, spans) for caller, spans in users_of_cleanup(view, name, cancelled)]
    unique: dict[Symbol, list[Span]] = {}
    for call in calls:
        unique.setdefault(call.symbol, []).extend(call.spans)
    calls = [Call(caller, list(dict.fromkeys(spans))) for caller, spans in unique.items()]
    out = excluded_files(view, [call.symbol.path for call in calls])

    def key(call: Call) -> tuple[bool, bool, str, int]:
        path = call.symbol.path
        return path != symbol.path, path in out, path, call.symbol.start

    return sorted(calls, key=key)


def _through_operations(view: View, symbol: Symbol, cancelled: Callable[[], bool]) -> list[Call]:
    """The calls of members to which a function is assigned."""
    calls: list[Call] = []
    for struct, member in operations_of(view, symbol):
        for caller in view.callers(member, _MAX_CALLERS_OF_MEMBER):
            source = view.source(caller.path) if not cancelled() else None
            spans = []
            for call in written_calls(source.data, caller) if source else ():
                if call.member and call.name == member and source:
                    found = resolve(view, source, call.start)
                    owner = found.member.struct.partition(" ")[2] if found and found.member else ""
                    if owner == struct:
                        spans.append(Span(caller.path, call.start, call.start + len(member)))
            if spans:
                calls.append(Call(caller, spans))
    return calls


def _direct(view: View, symbol: Symbol, cancelled: Callable[[], bool], limit: int = 1000) -> list[Call]:
    """The functions that call ``symbol`` by its name."""
    own_file_only = is_private(symbol)
    elsewhere_static = {
        other.path for other in view.lookup(symbol.name, _BODIES) if is_private(other) and other.path != symbol.path
    }
    calls: list[Call] = []
    for caller in view.callers(symbol.name, limit):
        if cancelled():
            break
        if caller.path in elsewhere_static or (own_file_only and caller.path != symbol.path):
            continue
        source = view.source(caller.path)
        if source is None:
            continue
        spans = [
            Span(caller.path, call.start, call.start + len(symbol.name))
            for call in _calls_of(view, source.data, caller)
            if call.name == symbol.name and not call.member
        ]
        if not spans and caller.flags & Flag.IDIOM:  # a macro makes the caller with the call
            spans = [name_span(view, caller)]
        if spans:
            calls.append(Call(caller, spans))
    return calls


def _calls_of(view: View, data: bytes, caller: Symbol) -> Iterator[WrittenCall]:
    """The calls in the body of a function, or below a label of an assembly file."""
    if caller.kind is not Kind.ASM_LABEL:
        yield from written_calls(data, caller)
        return
    for name, at in calls_below(data, caller, view.symbols_in(caller.path)):
        yield WrittenCall(name, at, False)


def outgoing(view: View, symbol: Symbol) -> list[Call]:
    """The functions that ``symbol`` calls, in the order of their first calls.

    A call through an ops member leads to the functions assigned to it, if they are few.
    """
    source = view.source(symbol.path)
    if source is None:
        return []
    sites: dict[tuple[str, bool], list[WrittenCall]] = {}
    for call in written_calls(source.data, symbol):
        sites.setdefault((call.name, call.member), []).append(call)
    calls: list[Call] = []
    for (name, member), written in list(sites.items())[:_MAX_CALLEES]:
        spans = [Span(symbol.path, call.start, call.start + len(name)) for call in written]
        if member:
            calls += [Call(target, spans) for target in through_member(view, source, written[0])]
        else:
            target = best_callee(view, source, name, written[0].start)
            if target is not None:
                calls.append(Call(target, spans))
    return calls


def written_calls(data: bytes, symbol: Symbol) -> Iterator[WrittenCall]:
    """The calls in the body of a function, or in the text of a macro, of the file ``data``."""
    text = data[symbol.start : symbol.end]
    if symbol.kind == Kind.MACRO:
        tokens, first = Tokens(_macro_body(text)), 1
    else:
        tokens = Tokens(text)
        first = next((at for at in range(len(tokens)) if tokens[at] == "{"), len(tokens)) + 1
    for at in range(first, len(tokens) - 1):
        name = tokens[at]
        if tokens[at + 1] != "(" or not tokens.is_word(at) or name.encode("latin-1") in NOT_CALLS:
            continue
        if not _declares(tokens, at):
            yield WrittenCall(name, symbol.start + tokens.start(at), tokens[at - 1] in ("->", "."))


def best_callee(view: View, source: Source, name: str, offset: int = -1) -> Symbol | None:
    """The function or macro that a call of ``name`` in ``source`` reaches, its own file's first."""
    found = view.lookup(name, CALLABLE, limit=50)
    if not found:
        return None
    own = [symbol for symbol in found if symbol.path == source.path and symbol.kind in _BODIES]
    return rank_definitions(view, own or found, source, offset)[0]


def _macro_body(text: bytes) -> bytes:
    """A ``#define`` as plain code of the same length: the directive and the line joins are blanked."""
    head = text.find(b"define") + len(b"define")
    return b" " * head + text[head:].replace(b"\\\n", b" \n")


def _declares(tokens: Tokens, at: int) -> bool:
    """True if the word before ``(`` is declared there (``struct foo bar(``) and not called."""
    return (
        tokens.is_word(at - 1)
        and tokens[at - 1] not in ("return", "else", "do", "case", "goto")
        and tokens[at - 2] in (";", "{", "}")
    )


def _with_bodies(view: View, source: Source, name: str) -> list[Symbol]:
    return rank_definitions(view, view.lookup(name, _BODIES), source)


def _implementing(view: View, source: Source, member: str, struct: str) -> list[Symbol]:
    """The functions assigned to a member of an ops struct, each once."""
    tag = struct.removeprefix("struct ").removeprefix("union ")
    assigned = view.implementations(tag, member, limit=_MAX_IMPLEMENTATIONS + 1)
    names: dict[str, str] = {assignment.function: assignment.path for assignment in assigned}
    if not names or len(assigned) > _MAX_IMPLEMENTATIONS:
        return []
    targets: list[Symbol] = []
    for name, path in names.items():
        found = view.lookup(name, _BODIES, limit=50)
        own = [symbol for symbol in found if symbol.path == path] or rank_definitions(view, found, source)
        targets += own[:1]
    return targets


def through_member(view: View, source: Source, call: WrittenCall) -> list[Symbol]:
    """The functions that a call through an operation reaches; none if they are many or the operation is not known."""
    return operation_of_call(view, source, call)[1]


def operation_of_call(view: View, source: Source, call: WrittenCall) -> tuple[str, list[Symbol]]:
    """(the tag of the struct whose member is called, "" if not known; the functions that it reaches, none if many)."""
    found = resolve(view, source, call.start)
    if found is None or found.kind != "member" or found.member is None:
        return "", []
    return found.member.struct.partition(" ")[2], _implementing(view, source, call.name, found.member.struct)
