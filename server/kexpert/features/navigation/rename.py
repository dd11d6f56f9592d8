"""Renaming locals, parameters, labels, the statics of a ``.c`` file, and members of structs.

Anything else is refused with a reason: the index knows names, not builds, and a rename in the whole tree that misses
an arch is worse than none. Members are renamed in all files, see ``member_rename``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.lex import blank_comments, is_member_use
from kexpert.core.c.scope import Local, occurrences
from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import comment_above
from kexpert.core.symbols import Flag, Kind, Span, Symbol
from kexpert.core.text import decode, identifier_at
from kexpert.features.navigation.member_rename import is_member_name, member_refusal, renamed_member
from kexpert.features.navigation.occurrences import in_file, words
from kexpert.features.navigation.resolved_uses import ResolvedUses
from kexpert.features.semantics.resolve import Resolved, resolve
from kexpert.view import View

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*\Z", re.A)
_RENAMABLE = (Kind.FUNCTION, Kind.VARIABLE, Kind.PROTOTYPE)
_MAX_OTHER_FILES = 200


class RenameError(Exception):
    """The reason for which a rename is refused, in one line for the user."""


def prepare_rename(view: View, source: Source, offset: int) -> tuple[int, int, str] | None:
    """The (start, end, name) that can be renamed at ``offset``; None where no name is. Raises RenameError."""
    span = identifier_at(source.data, offset)
    if span is None:
        return None
    found = resolve(view, source, offset)
    if found is not None and is_member_name(found):
        _refuse_if(member_refusal(view, found))
    else:
        _target(view, source, found)
    return (*span, decode(source.data[span[0] : span[1]]))


def rename(
    view: View,
    source: Source,
    offset: int,
    new_name: str,
    known: ResolvedUses | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Span]:
    """The spans to replace by ``new_name``, in order. Raises RenameError if that is not safe."""
    if not _IDENTIFIER.match(new_name):
        raise RenameError(f"'{new_name}' is not a C identifier")
    if new_name in KEYWORDS:
        raise RenameError(f"'{new_name}' is a C keyword")
    found = resolve(view, source, offset)
    if found is not None and new_name == found.name:
        return []
    if found is not None and is_member_name(found):
        _refuse_if(member_refusal(view, found))
        _refuse_macro(view, new_name)
        places, reason = renamed_member(view, source, found, new_name, known or ResolvedUses(), cancelled)
        _refuse_if(reason)
        return places
    target = _target(view, source, found)
    if isinstance(target, Local):
        _refuse_local_clash(view, source, target, new_name)
        spans = {*occurrences(source, target), *_parameter_documentation(source, target)}
    else:
        _refuse_file_clash(view, source, new_name)
        spans = {*in_file(source, target.name), *_function_documentation(view, source, target)}
    return [Span(source.path, *span) for span in sorted(spans)]


def _refuse_if(reason: str) -> None:
    if reason:
        raise RenameError(reason)


def _target(view: View, source: Source, found: Resolved | None) -> Local | Symbol:
    if found is None:
        raise RenameError("nothing here can be renamed")
    if found.local is not None:
        return found.local
    if found.kind != "symbol" or not found.symbols:
        raise RenameError(f"'{found.name}' is no local and no static of this file")
    symbol = found.symbols[0]
    if symbol.path != source.path or symbol.path.endswith(".h") or not symbol.flags & Flag.STATIC:
        raise RenameError(f"'{found.name}' is not static in this file: other files may use it")
    if symbol.kind not in _RENAMABLE:
        raise RenameError(f"'{found.name}' is neither a function nor a variable")
    if maker := _made_by_macro(view, source, symbol):
        raise RenameError(f"a macro call forms '{found.name}' from '{maker}'")
    if user := _included_by(view, source, symbol.name):
        raise RenameError(f"'{found.name}' is also used by {user}, which includes this file")
    return symbol


def _made_by_macro(view: View, source: Source, symbol: Symbol) -> str:
    """``foo`` if ``DEVICE_ATTR_RO(foo)`` makes or uses ``symbol`` (dev_attr_foo, foo_show); "" otherwise."""
    for other in view.symbols_in(source.path):
        if not other.flags & Flag.IDIOM:
            continue
        span = identifier_at(source.data, other.name_start)
        written = decode(source.data[span[0] : span[1]]) if span else ""
        if written != other.name and (symbol.name == other.name or symbol.name.startswith(written + "_")):
            return written
    return ""


def _included_by(view: View, source: Source, name: str) -> str:
    """A file that mentions ``name`` and includes this ``.c`` file; "" if none does."""
    base = source.path.rpartition("/")[2].encode()
    include = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*[\"<](?:[^\">\n]*/)?" + re.escape(base) + rb"[\">]", re.M)
    for path in view.files_mentioning(name)[:_MAX_OTHER_FILES]:
        other = view.source(path) if path != source.path and path.endswith((".c", ".h")) else None
        if other is not None and include.search(other.data):
            return path
    return ""


def _refuse_local_clash(view: View, source: Source, local: Local, new_name: str) -> None:
    function = enclosing_function(source, local.name_start)
    if function is not None:
        code = blank_comments(source.data[function.start : function.end])
        if any(not is_member_use(code, start) for start, _ in words(code, new_name)):
            raise RenameError(f"'{new_name}' is already used in this function")
    _refuse_macro(view, new_name)


def _refuse_file_clash(view: View, source: Source, new_name: str) -> None:
    if any(not is_member_use(source.data, start) for start, _ in words(blank_comments(source.data), new_name)):
        raise RenameError(f"'{new_name}' is already used in this file")
    _refuse_macro(view, new_name)
    kinds = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.VARIABLE, Kind.DECLARATION, Kind.TYPEDEF, Kind.ENUMERATOR)
    for other in view.lookup(new_name, kinds):
        if other.path.startswith("include/"):
            raise RenameError(f"'{new_name}' is already declared in {other.path}")


def _refuse_macro(view: View, new_name: str) -> None:
    for other in view.lookup(new_name, (Kind.MACRO,)):
        if other.path.startswith("include/"):
            raise RenameError(f"'{new_name}' is a macro in {other.path}")


def _parameter_documentation(source: Source, local: Local) -> list[tuple[int, int]]:
    """``@name`` of a parameter in the kernel-doc comment of its function."""
    function = enclosing_function(source, local.name_start)
    if local.kind != "parameter" or function is None:
        return []
    return _in_comment(source.data, function.start, rb"(?<=@)%s\b", local.name)


def _function_documentation(view: View, source: Source, symbol: Symbol) -> list[tuple[int, int]]:
    """The function's name in the kernel-doc comment above it."""
    spans: list[tuple[int, int]] = []
    for row in view.lookup(symbol.name, _RENAMABLE):
        if row.path == source.path:
            spans += _in_comment(source.data, row.start, rb"(?<![\w@])%s\b", symbol.name)
    return spans


def _in_comment(data: bytes, below: int, pattern: bytes, name: str) -> list[tuple[int, int]]:
    span = comment_above(data, below)
    if span is None or not data.startswith(b"/**", span[0]):
        return []
    word = re.compile(pattern % re.escape(name.encode("utf-8", "surrogateescape")))
    return [match.span() for match in word.finditer(data, *span)]
