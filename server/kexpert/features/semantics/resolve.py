"""The meaning of an identifier at a place: a local, member, symbol, file or option."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from tree_sitter import Node

from kexpert.core.c.cursor_context import comment_start, enclosing_tokens, lexical_class
from kexpert.core.c.declarators import CType
from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.idioms import idiom_of
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.postfix import chain_start
from kexpert.core.c.scope import Local, local_binding, locals_at
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.paths import is_build_file, is_kconfig, is_makefile
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import identifier_at
from kexpert.features.build_files.objects import object_at
from kexpert.features.semantics.definition_ranking import rank_definitions
from kexpert.features.semantics.derived_names import makers_of
from kexpert.features.semantics.include_paths import includes_of, resolve_include
from kexpert.features.semantics.initialisers import designated, designated_owner
from kexpert.features.semantics.kconfig_names import option_at, sourced_file
from kexpert.features.semantics.macro_members import argument_member, macro_member
from kexpert.features.semantics.records import Member
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View

__all__ = ["Member", "Resolved", "members", "resolve", "resolve_include", "type_of"]

ResolvedKind = Literal["local", "label", "member", "symbol", "include", "config", "document"]

TAGS: dict[str, tuple[Kind, ...]] = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,), "enum": (Kind.ENUM,)}
_ALL_TAGS = (Kind.STRUCT, Kind.UNION, Kind.ENUM)
#: Kinds that an ordinary identifier cannot mean.
_OTHER_NAMESPACES = frozenset({*_ALL_TAGS, Kind.MEMBER, Kind.CONFIG})
_CALLED = frozenset({Kind.FUNCTION, Kind.PROTOTYPE, Kind.MACRO, Kind.SYSCALL, Kind.TRACEPOINT, Kind.VARIABLE,
                     Kind.DECLARATION, Kind.ASM_LABEL})  # fmt: skip
_DOCUMENT = re.compile(rb"Documentation/[\w./+-]*\w")
#: A file in MAINTAINERS.
_LISTED = re.compile(rb"[FXN]:\s*(\S+)")
#: A file of the tree in reStructuredText.
_DIRECTIVE = re.compile(rb"\.\.[ \t]+(?:kernel-doc|kernel-include)::[ \t]+(\S+)")
_TAG_BEFORE = re.compile(rb"\b(struct|union|enum)\s+&?$")
#: ``SYSCALL_DEFINE3(open, …)``: the macro before the argument that names what it makes.
_MAKER = re.compile(rb"^(?:static[ \t]+)?(\w+)[ \t]*\((?:[ \t]*\w+[ \t]*,)*[ \t]*\Z", re.M)
#: Marks of a name among the words of a comment.
_NAME_MARKS = re.compile(r"[_0-9]|.[A-Z]")
_MAX_LINE_BYTES = 4096
_MAX_MEMBER_ROWS = 200
_MAX_GAP_BYTES = 80


@dataclass(frozen=True, slots=True)
class Resolved:
    """The meaning of the name under the cursor. ``kind`` says which field holds it."""

    kind: ResolvedKind
    name: str  # as written: "open", "linux/fs.h", "CONFIG_NUMA", "Documentation/foo.rst"
    start: int
    end: int
    local: Local | None = None  # kind "local" and "label" (goto labels)
    member: Member | None = None  # kind "member"
    symbols: list[Symbol] = field(default_factory=list)  # best first: "symbol", "config"
    path: str | None = None  # "include", "document": tree path, None when there is no such file


def resolve(view: View, source: Source, offset: int) -> Resolved | None:
    """The meaning of the identifier, include or document path at ``offset``; None if nothing is known."""
    data = source.data
    if is_kconfig(source.path):
        return _in_kconfig(view, source, offset)
    path = _path_at(view, source, offset)
    if path:
        return path
    if is_makefile(source.path) and (found := object_at(view, source, offset)) is not None:
        return Resolved("include", *found[:3], path=found[3])
    span = identifier_at(data, offset)
    if span is None:
        return None
    start, end = span
    name = data[start:end].decode("latin-1")
    if name in KEYWORDS or data[max(start - _MAX_GAP_BYTES, 0) : start].rstrip(b" \t").endswith(b"#"):
        return None
    if not name.startswith("CONFIG_") and is_build_file(source.path):
        return None
    if name.startswith("CONFIG_"):
        options = view.lookup(name, (Kind.CONFIG,))
        if not options and name.endswith("_MODULE"):
            options = view.lookup(name.removesuffix("_MODULE"), (Kind.CONFIG,))
        return Resolved("config", name, start, end, symbols=rank_definitions(view, options, source, start))
    where = lexical_class(data, start)
    if where == "string":
        return None
    if where == "comment":
        return _in_comment(view, source, name, start, end)
    return _in_code(view, source, name, start, end)


def _in_kconfig(view: View, source: Source, offset: int) -> Resolved | None:
    sourced = sourced_file(view, source, offset)
    if sourced:
        pattern, start, end, path = sourced
        return Resolved("include", pattern, start, end, path=path)
    option = option_at(view, source, offset)
    if option is None:
        return None
    name, start, end, entries = option
    return Resolved("config", name, start, end, symbols=rank_definitions(view, entries, source, start))


def _path_at(view: View, source: Source, offset: int) -> Resolved | None:
    for include in includes_of(source):
        if include.start - 1 <= offset <= include.end:  # also on the first quote
            path = resolve_include(view, source, include.name, include.quoted)
            return Resolved("include", include.name, include.start, include.end, path=path)
        if include.start > offset:
            break
    data = source.data
    begin = max(data.rfind(b"\n", 0, offset) + 1, offset - _MAX_LINE_BYTES)
    end = data.find(b"\n", offset, offset + _MAX_LINE_BYTES)
    stop = end if end >= 0 else offset + _MAX_LINE_BYTES
    listed = _LISTED.match(data, begin, stop) if source.path == "MAINTAINERS" else None
    if listed and listed.start(1) <= offset <= listed.end(1):
        name = listed[1].decode("latin-1")
        return Resolved("document", name, *listed.span(1), path=name if view.exists(name) else None)
    quoted = _DIRECTIVE.search(data, begin, stop) if source.path.endswith(".rst") else None
    if quoted and quoted.start(1) <= offset <= quoted.end(1):
        name = quoted[1].decode("latin-1")
        return Resolved("document", name, *quoted.span(1), path=name if view.exists(name) else None)
    for match in _DOCUMENT.finditer(data, begin, end if end >= 0 else offset + _MAX_LINE_BYTES):
        if match.start() <= offset <= match.end():
            name = match[0].decode("latin-1")
            return Resolved("document", name, match.start(), match.end(), path=name if view.exists(name) else None)
    return None


def _in_comment(view: View, source: Source, name: str, start: int, end: int) -> Resolved | None:
    """Names in comments: ``&struct foo``, ``foo()``, ``@parameter`` of the function below, and plain ones."""
    data = source.data
    if data[start - 1 : start] == b"@":
        close = data.find(b"*/", start)
        below = re.compile(rb"\s*").match(data, close + 2) if close >= 0 else None
        function = enclosing_function(source, below.end()) if below else None
        if comment_start(data, start) is not None and function:
            for local in locals_at(source, function.body_start):
                if local.name == name and local.kind == "parameter":
                    return Resolved("local", name, start, end, local=local)
    tag = _TAG_BEFORE.search(data, max(start - 20, 0), start)
    if tag:
        return _symbol(view, source, name, start, end, TAGS[tag[1].decode()])
    called = data[end : end + 1] == b"("
    if not called and data[start - 1 : start] not in (b"&", b"%", b"@") and not _NAME_MARKS.search(name):
        return None  # a word of a sentence, even if some driver has a variable "the"
    return _symbol(view, source, name, start, end, _CALLED if called else ())


def _in_code(view: View, source: Source, name: str, start: int, end: int) -> Resolved | None:
    tokens = enclosing_tokens(source, start)
    at = tokens.at_offset(start)
    if tokens.start(at) != start:  # the name of a #define, or a word of an #if
        return _symbol(view, source, name, start, end, ())
    before = tokens[at - 1]
    if before in (".", "->"):
        member = _member_at(Types(view, source), tokens, at, start)
        member = member or argument_member(Types(view, source), tokens, at, start)
        if member:
            return Resolved("member", name, start, end, member=member)
        if not tokens.begins_line(at):
            return _symbol(view, source, name, start, end, (Kind.MEMBER,))
    if before in TAGS:
        return _symbol(view, source, name, start, end, TAGS[before])
    own = _declared_member(view, source, name, start)
    if own:
        return Resolved("member", name, start, end, member=own)
    types = Types(view, source)
    local = local_binding(source, start)
    member = macro_member(types, tokens, at, types.scope_at(start)) if tokens.enclosing(at, "(") > 0 else None
    if local and not member:
        return Resolved("label" if local.kind == "label" else "local", name, start, end, local=local)
    member = member or argument_member(types, tokens, at, start)
    if member:
        return Resolved("member", name, start, end, member=member)
    if local := types.local_by_macro(name, start):
        return Resolved("local", name, start, end, local=local)
    return _symbol(view, source, name, start, end, _CALLED if tokens[at + 1] == "(" else ())


def _symbol(
    view: View, source: Source, name: str, start: int, end: int, kinds: Collection[Kind]
) -> Resolved | None:
    """Symbols of a name, of these kinds or, without any, of those that a plain identifier can be."""
    found = _made_here(view, source, name, start) or view.lookup(name)
    here = [row for row in found if row.path == source.path and row.name_start == start]
    if here:
        kinds = _namespace(here[0].kind)
    fitting = [row for row in found if (row.kind in kinds if kinds else row.kind not in _OTHER_NAMESPACES)]
    if not fitting and kinds and not here:
        fitting = view.lookup(name, tuple(kinds))
        if not set(kinds) <= set(_ALL_TAGS):  # after ``struct`` nothing but a struct can be meant
            fitting = fitting or [row for row in found if row.kind is not Kind.MEMBER] or found
    elif not kinds:
        fitting = fitting or found
    if not fitting:
        fitting = makers_of(view, name)
    ranked = rank_definitions(view, fitting, source, start)
    return Resolved("symbol", name, start, end, symbols=ranked) if ranked else None


def _made_here(view: View, source: Source, name: str, start: int) -> list[Symbol]:
    """The symbols that a macro forms from the argument at ``start``: sys_open, trace_sched_switch."""
    line = source.data.rfind(b"\n", max(start - _MAX_LINE_BYTES, 0), start) + 1
    maker = _MAKER.match(source.data, line, start)
    idiom = idiom_of(maker[1].decode("latin-1")) if maker else None
    for template in idiom.names if idiom else ():
        rows = view.lookup(template.format(name)) if template != "{}" else []
        if any(row.path == source.path and row.name_start == start for row in rows):
            return rows
    return []


def _namespace(kind: Kind) -> Collection[Kind]:
    if kind in _ALL_TAGS or kind is Kind.MEMBER:
        return (kind,)
    return ()


def _declared_member(view: View, source: Source, name: str, start: int) -> Member | None:
    """The member whose own declaration holds the cursor."""
    if enclosing_function(source, start):
        return None
    rows = view.lookup(name, (Kind.MEMBER,), _MAX_MEMBER_ROWS)
    if len(rows) == _MAX_MEMBER_ROWS:  # a common name: there are more
        rows = view.symbols_in(source.path)
    for row in rows:
        if row.kind is Kind.MEMBER and row.path == source.path and row.name_start == start:
            declared = Types(view, source).declared(row) or CType("")
            keyword = "union" if any(
                s.path == row.path and s.start <= start < s.end for s in view.lookup(row.scope, (Kind.UNION,))
            ) else "struct"  # fmt: skip
            return Member(name, declared, row.path, start, f"{keyword} {row.scope}".rstrip(), row.start, row.end)
    return None


def _member_at(types: Types, tokens: Tokens, at: int, offset: int) -> Member | None:
    """The member after ``.`` or ``->``, in an expression or a designated initialiser."""
    name = tokens[at]
    if designated(tokens, at - 1):
        owner = designated_owner(types, tokens, at - 1, offset)
    else:
        owner = types.at(tokens, chain_start(tokens, at - 2), at - 1, offset)
    return types.member(owner, name) if owner else None


def type_of(view: View, source: Source, place: Node | int) -> CType | None:
    """The type of an expression: of a node, or of what ends with the identifier at an offset (``a->b`` for ``b``)."""
    types = Types(view, source)
    if isinstance(place, Node):
        tokens = enclosing_tokens(source, place.start_byte)
        start, stop = tokens.at_offset(place.start_byte), tokens.at_offset(max(place.end_byte - 1, 0)) + 1
        return types.at(tokens, start, stop, place.start_byte)
    span = identifier_at(source.data, place)
    if span is None:
        return None
    tokens = enclosing_tokens(source, span[0])
    at = tokens.at_offset(span[0])
    if tokens.start(at) != span[0]:
        return None
    if tokens[at - 1] in TAGS:
        return CType(f"{tokens[at - 1]} {tokens[at]}")
    if tokens[at - 1] in (".", "->") and designated(tokens, at - 1):
        member = _member_at(types, tokens, at, span[0])
        return member.type if member else None
    local = local_binding(source, span[0])
    if local and local.name_start == span[0]:
        return local.type
    return types.at(tokens, chain_start(tokens, at), at + 1, span[0])


def members(view: View, ctype: CType, source: Source) -> list[Member]:
    """Members of the struct or union that a type in ``source`` is or points to; anonymous records flattened."""
    return list(Types(view, source).members(ctype))
