"""Jumps to definitions, declarations, types and implementations. All return spans of names, best first."""

from __future__ import annotations

from collections.abc import Iterable

from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.source import Source
from kexpert.core.symbols import Assignment, Flag, Kind, Span, Symbol
from kexpert.core.text import decode, identifier_at
from kexpert.features.build_files.objects import parts_of
from kexpert.features.navigation.assigned_in_code import assigned_in_code
from kexpert.features.semantics.definition_ranking import kernel_first, rank_definitions
from kexpert.features.semantics.resolve import Resolved, resolve, type_of
from kexpert.features.semantics.type_inference import Types
from kexpert.features.semantics.variant_states import excluded_files
from kexpert.view import View

_DECLARING = (Kind.PROTOTYPE, Kind.DECLARATION)
_BODIES = (Kind.FUNCTION, Kind.SYSCALL, Kind.ASM_LABEL)
_RECORDS = (Kind.STRUCT, Kind.UNION, Kind.ENUM)
#: Kinds that mention a name and do not define it.
_MENTIONS = (Kind.EXPORT, Kind.INITCALL)
#: Kinds whose name in the index is not the text in the file.
_RENAMED = (Kind.SYSCALL, Kind.TRACEPOINT, Kind.CONFIG, Kind.MODULE_PARAM)


def definition(view: View, source: Source, offset: int) -> list[Span]:
    """The definitions of the name at ``offset`` in the file that is most likely meant.

    Several are variants under ``#if``: an editor jumps to a single place and lists more. ``implementation`` finds the
    variants in other files. On a definition: its declarations and other variants; itself if it has none.
    """
    found = resolve(view, source, offset)
    if found is None:
        return []
    if found.kind != "symbol":
        return _places(view, source, found)
    taken = functions_taken(view, source, found.start)
    if taken:
        return spans_of(view, taken)
    symbols = [symbol for symbol in found.symbols if symbol.kind not in _MENTIONS] or found.symbols
    here = [symbol for symbol in symbols if symbol.path == source.path and symbol.name_start == found.start]
    if not here:
        ranked = kernel_first(symbols, lambda path: _data(view, path))
        meant = [symbol for symbol in ranked if symbol.kind not in _DECLARING] or ranked[:1]
        return spans_of(view, [symbol for symbol in meant if symbol.path == meant[0].path])
    if here[0].kind in _DECLARING:
        bodies = [symbol for symbol in symbols if symbol.kind not in _DECLARING and symbol not in here]
        return spans_of(view, bodies or _declarations(view, source, here[0].name, symbols) or here)
    others = _declarations(view, source, here[0].name, symbols)
    others += [symbol for symbol in symbols if symbol not in here and symbol not in others]
    return spans_of(view, others or here)


def functions_taken(view: View, source: Source, start: int) -> list[Symbol]:
    """The functions of this file that a macro takes by its argument at ``start``: x_show, x_store of x."""
    if enclosing_function(source, start):
        return []
    word = identifier_at(source.data, start)
    written = decode(source.data[start : word[1]]) if word else ""
    names = dict.fromkeys(
        each.function for each in source.facts.assignments if each.start == start and each.function != written
    )
    return [row for name in names for row in view.lookup(name, (Kind.FUNCTION,)) if row.path == source.path]


def declaration(view: View, source: Source, offset: int) -> list[Span]:
    """The prototypes and ``extern`` declarations of a name; its definition if it has none."""
    found = resolve(view, source, offset)
    if found is None:
        return []
    if found.kind == "symbol":
        declared = _declarations(view, source, found.symbols[0].name if found.symbols else found.name, found.symbols)
        if declared:
            return spans_of(view, declared)
    return _places(view, source, found)


def type_definition(view: View, source: Source, offset: int) -> list[Span]:
    """The struct, union or enum that the type of the expression at ``offset`` is in the end; the typedef of another."""
    ctype = type_of(view, source, offset)
    if ctype is None:
        return []
    below = Types(view, source).resolved(ctype)
    if below.tag:
        ctype = below
    name = ctype.tag or ctype.name
    kinds = _RECORDS if ctype.tag else (Kind.TYPEDEF,)
    symbols = view.lookup(name, kinds) if name else []
    return spans_of(view, rank_definitions(view, symbols, source))


def implementation(view: View, source: Source, offset: int) -> list[Span]:
    """The bodies of a name: the functions assigned to an ops member, or all definitions of a function."""
    found = resolve(view, source, offset)
    if found is None:
        return []
    if found.kind == "member":
        struct = found.member.struct if found.member else ""
        assigned = view.implementations(tag_of(struct), found.name)
        return _assigned(view, assigned + assigned_in_code(view, source, struct, found.name))
    if found.kind != "symbol":
        return []
    if found.symbols[0].kind == Kind.MEMBER:  # of a struct that is not known
        return _assigned(view, view.implementations("", found.name))
    bodies = [symbol for symbol in found.symbols if symbol.kind in _BODIES]
    name = found.symbols[0].name if found.symbols else found.name
    known = {(symbol.path, symbol.start) for symbol in bodies}
    rest = [symbol for symbol in view.lookup(name, _BODIES) if (symbol.path, symbol.start) not in known]
    if bodies and bodies[0].flags & Flag.STATIC:
        rest = []
    return spans_of(view, bodies + rank_definitions(view, rest, source))


def tag_of(struct: str) -> str:
    """``struct file_operations`` -> ``file_operations``; "" for a struct without a tag."""
    return struct.partition(" ")[2] if struct.startswith(("struct ", "union ")) else ""


def spans_of(view: View, symbols: Iterable[Symbol]) -> list[Span]:
    """The spans of the names of symbols, each once, in their order."""
    return list(dict.fromkeys(name_span(view, symbol) for symbol in symbols))


def name_span(view: View, symbol: Symbol) -> Span:
    """Where the name of a symbol is written: ``open`` for the syscall ``sys_open``."""
    end = symbol.name_start + len(symbol.name.encode("utf-8", "surrogateescape"))
    if symbol.kind in _RENAMED or symbol.flags & Flag.IDIOM:
        source = view.source(symbol.path)
        written = identifier_at(source.data, symbol.name_start) if source else None
        end = written[1] if written else symbol.name_start
    return Span(symbol.path, symbol.name_start, end)


def _places(view: View, source: Source, found: Resolved) -> list[Span]:
    if found.local is not None:
        return [Span(source.path, found.local.name_start, found.local.name_start + len(found.local.name))]
    if found.kind in ("include", "document"):
        # a composite object of a Makefile: the list of its parts
        at = parts_of(source, found.name) if found.path == source.path else None
        return [] if found.path is None else [Span(found.path, at or 0, at or 0)]
    if found.member is not None:
        member = found.member
        return [Span(member.path, member.name_start, member.name_start + len(member.name))]
    return spans_of(view, found.symbols)


def _declarations(view: View, source: Source, name: str, definitions: list[Symbol]) -> list[Symbol]:
    """Declarations of a name; for a static function, those of its own file."""
    declared = view.lookup(name, _DECLARING)
    if definitions and definitions[0].flags & Flag.STATIC:
        declared = [symbol for symbol in declared if symbol.path == definitions[0].path]
    return rank_definitions(view, declared, source)


def _data(view: View, path: str) -> bytes | None:
    source = view.source(path)
    return source.data if source else None


def _assigned(view: View, assignments: list[Assignment]) -> list[Span]:
    """The definitions of the assigned functions; the place of the assignment if none is known."""
    spans: dict[Span, None] = {}
    seen: set[tuple[str, str]] = set()
    out = excluded_files(view, [assignment.path for assignment in assignments])
    for assignment in sorted(assignments, key=lambda each: each.path in out):
        if (assignment.function, assignment.path) in seen:
            continue
        seen.add((assignment.function, assignment.path))
        bodies = view.lookup(assignment.function, (*_BODIES, Kind.MACRO), limit=50)
        own = [symbol for symbol in bodies if symbol.path == assignment.path]
        shared = [symbol for symbol in bodies if not symbol.flags & Flag.STATIC or symbol.path.endswith(".h")]
        end = assignment.start + len(assignment.function)
        for span in spans_of(view, own or shared) or [Span(assignment.path, assignment.start, end)]:
            spans[span] = None
    return list(spans)
