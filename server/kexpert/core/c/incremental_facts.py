"""Updates the facts of a file after an edit inside one function body, without a new extraction.

Most typing happens there. An edit without braces, quotes, comments or directives changes only the calls of that
function and the offsets of everything after it. Other edits need a new extraction.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.skeleton import MARGIN_CODE, has_designator, has_record
from kexpert.core.c.word_scan import callees, identifiers, may_sleep
from kexpert.core.symbols import Assignment, FileFacts, Flag, Kind, Symbol
from kexpert.core.text import changed_range

_STRUCTURE = re.compile(rb"[{}\"'#/*\\\r]")
_CONDITIONAL = re.compile(rb"\n[ \t]*#[ \t]*(?:if|el|endif)")
_FUNCTIONS = (Kind.FUNCTION, Kind.SYSCALL)


def updated_facts(old: bytes, facts: FileFacts, new: bytes) -> FileFacts | None:
    """The facts of ``new``, given the facts of ``old``; None if only a new extraction can tell them.

    ``identifiers`` may still hold words that the edit removed.
    """
    start, old_end, new_end = changed_range(old, new)
    if start == old_end == new_end:
        return facts
    # include one character on either side: an edit may join ``/`` and ``*``
    if _STRUCTURE.search(old, max(start - 1, 0), old_end + 1) or _STRUCTURE.search(new, max(start - 1, 0), new_end + 1):
        return None
    place = _enclosing_function(facts.symbols, start)
    if place is None:
        return None
    function, moved = facts.symbols[place], len(new) - len(old)
    opening = _body(old, function.name_start, function.end)
    if opening is None or opening != _body(new, function.name_start, function.end + moved):
        return None
    if not old.find(b"\n", opening) < start or old_end > function.end - 2 or _in_directive(old, start):
        return None
    code = blank_comments(new[opening : function.end + moved])
    return _moved(
        facts, place, old_end, moved, new.count(b"\n", start, new_end) - old.count(b"\n", start, old_end), code
    )


def _enclosing_function(symbols: list[Symbol], offset: int) -> int | None:
    """Index of the function that holds ``offset``; None if several symbols hold it."""
    last = bisect_right(symbols, offset, key=lambda symbol: symbol.name_start)
    found = [at for at in range(max(last - 50, 0), last) if symbols[at].end > offset and symbols[at].start <= offset]
    return found[0] if len(found) == 1 and symbols[found[0]].kind in _FUNCTIONS else None


def _body(text: bytes, name: int, end: int) -> int | None:
    """Offset of the ``{`` of a body that extraction would skip: it reaches from ``{`` to the first ``}`` in column 0
    and holds neither what must be parsed nor ``#if``. None for any other body."""
    opening = text.find(b"\n{", name, end) + 1
    if not text[name:opening].rstrip().endswith(b")"):
        return None  # no list of parameters: what follows is parsed, not skipped
    if not opening or text.find(b"\n}", opening) + 2 != end or text.find(b"\n{", opening, end) >= 0:
        return None
    code = blank_comments(text[opening:end])
    if code.find(b"\n}") + 2 != len(code) or code.find(b"}", 0, code.find(b"\n")) >= 0:
        return None
    if has_designator(code, 0, len(code)) or has_record(code, 0, len(code)):
        return None
    if MARGIN_CODE.search(code) or _CONDITIONAL.search(code):
        return None
    return opening


def _in_directive(text: bytes, offset: int) -> bool:
    line = text.rfind(b"\n", 0, offset) + 1
    return text[line:offset].lstrip().startswith(b"#") or text[max(line - 3, 0) : line].rstrip(b"\r\n").endswith(b"\\")


def _moved(
    facts: FileFacts, place: int, edited: int, bytes_moved: int, lines_moved: int, code: bytes
) -> FileFacts | None:
    symbols = facts.symbols[:]
    function = symbols[place]
    called = callees(code)
    flags = function.flags | Flag.MAY_SLEEP if may_sleep(called) else function.flags & ~Flag.MAY_SLEEP
    symbols[place] = function._replace(end=function.end + bytes_moved, flags=flags)
    for at in range(place + 1, len(symbols)):
        name, kind, path, line, name_start, start, end, scope, others = symbols[at]
        if name_start >= edited:
            if start < edited:
                return None  # broken code: a later symbol includes the edit
            symbols[at] = Symbol(
                name, kind, path, line + lines_moved, name_start + bytes_moved, start + bytes_moved,
                end + bytes_moved, scope, others,
            )  # fmt: skip
    calls = [call for call in facts.calls if call[0] != place]
    calls += [(place, callee.decode("utf-8", "replace")) for callee in called]
    assignments = [
        Assignment(a.struct, a.member, a.function, a.table, a.path, a.start + bytes_moved, a.line + lines_moved)
        if a.start >= edited
        else a
        for a in facts.assignments
    ]
    return FileFacts(symbols, sorted(calls), assignments, facts.identifiers | identifiers(code))
