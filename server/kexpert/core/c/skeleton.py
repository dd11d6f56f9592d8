"""Reduction of a file to the part that indexing must parse.

Three fifths of a kernel file are function bodies, and half of the rest of some headers is ``#define`` lines. Regexes
can read both once comments and strings are blank. So the parser gets a text of the same length in which these are
blank, and also top-level macro calls, which tree-sitter takes for broken declarations. The rest is nearly plain C.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import NamedTuple

from kexpert.core.c.assembly import without_assembly
from kexpert.core.c.conditional_groups import AlternativeHead, Choice, Conditional, choose
from kexpert.core.c.idioms import idiom_of
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.made_names import MadeCall, made_calls, may_begin
from kexpert.core.c.open_calls import find_open_calls
from kexpert.core.c.unclosed import close_records
from kexpert.core.symbols import OpenCall

_BLANKS = bytes(c if c in b"\n\r" else 0x20 for c in range(256))

#: A directive with its continuation lines. A literal first byte makes the search fast.
_DIRECTIVE = re.compile(rb"\n[ \t]*#[ \t]*(\w*)[ \t]*([A-Za-z_]\w*)?(\()?[^\\\n]*(?:\\(?:\r\n|[^\r]|\r)[^\\\n]*)*")
#: Consecutive lines ``#define NAME value``, possibly with blank lines between: register headers have millions.
#: The pattern begins with one explicit line, because a search for a literal is fast and one for a repeat is not.
_ROW = rb"\n#define[ \t]++[A-Za-z_]\w*+(?=[ \t\r\n])[^\\\n]*+(?=\n)(?:\n[ \t]*+(?=\n))*+"
_TABLE = re.compile(_ROW + rb"(?:" + _ROW + rb"){3,}+")
_DEFINE = re.compile(rb"\s*#[ \t]*define[ \t\\\n\r]+([A-Za-z_]\w*)(\()?")
#: A macro called at the start of a line: ``static DEFINE_MUTEX(x)``, ``module_init(y)``, not ``foo(z)``.
_CALL = (
    rb"(?:(?:static|extern|const|__maybe_unused|__init|__initdata|noinline|asmlinkage)[ \t]++)*+(?=\w++[ \t]*+\()"
    rb"([A-Z_][A-Z0-9_]*[A-Z0-9]\w*|module_\w+|\w+_(?:initcall|driver|param)\w*|core_param\w*|__setup|early_param"
    rb"|__initcall|__exitcall)[ \t]*\("
)
_CALL_HERE = re.compile(_CALL)
_CALL_BELOW = re.compile(rb"\n(?=[A-Za-z_])" + _CALL)  # a literal first byte makes the search fast
_PARENS = re.compile(rb"[()]")
#: A designated initialiser inside a function body, which must then be parsed.
_DESIGNATOR = re.compile(rb"\{[ \t\n]*\.\w+\s*=|\n\s+\.\w+\s*=\s*&?\w")
_STRUCT = re.compile(rb"struct \s*+[A-Za-z_]\w*+(?:\s++\w++)?+\s*+\{")  # a literal beginning makes the search fast
_RECORD = re.compile(rb"\b(?:union|enum)\s++[A-Za-z_]\w*+(?:\s++\w++)?+\s*+\{")
_VALUES = re.compile(rb"=[ \t\n]*\{[ \t]*\n")
_LIST = re.compile(rb"\{\s*\.\w+\s*=")
#: An initialiser that must be parsed: ``.open = foo_open``.
PAIR = re.compile(rb"\.\w+\s*(?:\[[^\]\n]*\]\s*)?=\s*&?\s*(?:[A-Z_][A-Z0-9_]*+)?[a-z]")
_AFTER_ITEM = re.compile(rb"[ \t]*,?")
_AFTER_CALL = re.compile(rb"[ \t]*;?")
#: ``static DEFINE_MUTEX(x) foo_aligned;``
_ANNOTATED = re.compile(rb"[ \t]+[A-Za-z_]\w*(?:\([^()\n]*\))?[ \t]*;")
_BRACE = re.compile(rb"\s*\{")
#: A brace or a word in column 0 that is no label: it begins another declaration.
MARGIN_CODE = re.compile(rb"\n(?:\{|[A-Za-z_]\w*+(?![ \t]*:))")
_BRACES = re.compile(rb"[{}]")
_CONDITIONALS = frozenset((b"if", b"ifdef", b"ifndef", b"elif", b"elifdef", b"elifndef", b"else", b"endif"))
_OLD_STYLE = re.compile(
    rb"\n[ \t]*((?:[A-Za-z_][\w \t*]*[ \t*]\n?|[A-Za-z_][\w \t*]*\n[ \t]*)?(\w+)[ \t]*\(\s*\w+"
    rb"(?:\s*,\s*\w+)*\s*\))(?=\s*\n)"
)
_OLD_PARAMETERS = re.compile(rb"(?:\s*+[A-Za-z_][\w,\[\]*()\s]*+;)++")
_MAX_HEAD_BYTES = 1500
_MAX_GAP_BYTES = 4000  # blanks between a head and its body, where ``#if`` branches were


class MacroDefinition(NamedTuple):
    """One ``#define``. ``start`` and ``end`` span the directive, continuation lines included."""

    name: bytes
    name_start: int
    start: int
    end: int
    function_like: bool
    line: int


class MacroTable(NamedTuple):
    """Consecutive lines that each define one macro without parameters; some may be blank."""

    start: int
    line: int
    text: bytes


class MacroCall(NamedTuple):
    """A macro call at file level. ``end`` is the offset after ``)``; ``body`` spans the braces that follow, if any."""

    name: bytes
    start: int
    arguments: int
    end: int
    body: tuple[int, int] | None


class OldStyleFunction(NamedTuple):
    """A function whose parameters are declared between its head and its body."""

    name_start: int
    name_end: int
    start: int
    body: tuple[int, int]


@dataclass(slots=True)
class Skeleton:
    """The parts of a file. ``code`` and ``text`` have the length of the file."""

    all_code: bytes
    """The file with comments and the inside of strings blank."""
    code: bytes
    """``all_code`` without the branches that no kernel compiles, such as ``#if 0``."""
    text: bytes
    """``code`` with directives, function bodies and top-level macro calls blank too; b"" if nothing else is left."""
    macros: list[MacroDefinition] = field(default_factory=list)
    tables: list[MacroTable] = field(default_factory=list)
    calls: list[MacroCall] = field(default_factory=list)
    initialising: list[tuple[int, bytes]] = field(default_factory=list)
    """Offset and text of the function bodies that hold designated initialisers, braces included."""
    local_records: list[tuple[int, bytes]] = field(default_factory=list)
    """Offset and text of the function bodies that define a struct, union or enum, braces included."""
    heads: list[AlternativeHead] = field(default_factory=list)
    old_style: list[OldStyleFunction] = field(default_factory=list)
    made: list[MadeCall] = field(default_factory=list)
    """Calls of the file's own macros that make declarations."""
    open: list[OpenCall] = field(default_factory=list)
    """Calls of other macros that may make some."""


def skeleton(data: bytes) -> Skeleton:
    """Split a file into what must be parsed and what regexes can read."""
    code = all_code = blank_comments(data)
    text, tables = _without_tables(without_assembly(code))
    text, macros, conditionals = _without_directives(text)
    if not text.strip():
        return Skeleton(all_code, code, b"", macros, tables)
    choice = choose(text, code, conditionals) if conditionals else Choice()
    if choice.dead:
        code = _blank(code, _without_macros(choice.dead, macros))
    text = _blank(text, _merged(choice.dead + choice.unfit))
    cut = Skeleton(all_code, code, b"", macros, tables, heads=choice.heads)
    text, bodies = _without_bodies(_without_values(text), cut)
    text = close_records(text)
    own = {macro.name for macro in macros if macro.function_like}
    if macros and (own or b"struct" in text or b"union" in text):
        cut.made = made_calls(all_code, macros, text)
        text = _blank(text, [(call.start, _after_made(text, call)) for call in cut.made])
    cut.open = find_open_calls(all_code, text, own)
    cut.text, cut.calls = _without_calls(text, bodies, macros)
    return cut


def _after_made(text: bytes, call: MadeCall) -> int:
    """The offset after a call, the ``;`` or ``,`` after it included among members or enumerators, where it is an error
    if it is alone."""
    ending = _AFTER_ITEM if call.record == "enum" else _AFTER_CALL
    tail = ending.match(text, call.end) if call.record else None
    return tail.end() if tail else call.end


def _blank(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    if not spans:
        return data
    pieces = []
    done = 0
    for start, end in spans:
        pieces.append(data[done:start])
        pieces.append(data[start:end].translate(_BLANKS))
        done = end
    pieces.append(data[done:])
    return b"".join(pieces)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of spans, in order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _without_macros(spans: list[tuple[int, int]], macros: list[MacroDefinition]) -> list[tuple[int, int]]:
    """The union of spans less the ``#define`` directives, which stay symbols."""
    found: list[tuple[int, int]] = []
    for start, end in _merged(spans):
        for macro in macros[bisect_left(macros, start, key=lambda macro: macro.start) :]:
            if macro.start >= end:
                break
            found.append((start, macro.start))
            start = macro.end
        found.append((start, end))
    return [(start, end) for start, end in found if start < end]


def _without_directives(code: bytes) -> tuple[bytes, list[MacroDefinition], list[Conditional]]:
    macros: list[MacroDefinition] = []
    conditionals: list[Conditional] = []
    spans: list[tuple[int, int]] = []
    line = seen = 0
    for match in _DIRECTIVE.finditer(b"\n" + code):
        # the text searched has one byte more in front
        start, end = match.span()
        spans.append((start, end - 1))
        if match[1] != b"define":
            if match[1] in _CONDITIONALS:
                conditionals.append(Conditional(match[1], start, end - 1))
            continue
        if match[2] is not None:
            name, at, function_like = match[2], match.start(2) - 1, match[3] is not None
            start = code.rindex(b"#", 0, at)
        else:  # the name follows a line continuation
            define = _DEFINE.match(match[0])
            if define is None:
                continue
            name, function_like = define[1], define[2] is not None
            start = at = start + define.start(1) - 1
        line += code.count(b"\n", seen, at)
        seen = at
        macros.append(MacroDefinition(name, at, start, end - 1, function_like, line))
    return _blank(code, spans), macros, conditionals


def _without_tables(code: bytes) -> tuple[bytes, list[MacroTable]]:
    tables: list[MacroTable] = []
    spans: list[tuple[int, int]] = []
    line = seen = 0
    for match in _TABLE.finditer(b"\n" + code):
        # the text searched has one byte more in front
        start, end = match.start(), match.end() - 1
        line += code.count(b"\n", seen, start)
        seen = start
        tables.append(MacroTable(start, line, code[start:end]))
        spans.append((start, end))
    return _blank(code, spans), tables


def _without_values(text: bytes) -> bytes:
    """Blank initialisers at file level that contain no function: tables of numbers and names."""
    spans: list[tuple[int, int]] = []
    match = _VALUES.search(text)
    while match:
        closing = text.find(b"\n}", match.end() - 1)
        if closing < 0:
            break
        opening = match.end()
        # a ``;`` inside means that the initialiser was closed earlier, on a line with other text
        is_single = opening < closing and text.startswith(b";", closing + 2) and text.find(b";", opening, closing) < 0
        if is_single and not PAIR.search(text, opening, closing):
            spans.append((opening, closing))
        match = _VALUES.search(text, closing)
    return _blank(text, spans)


def _without_bodies(text: bytes, cut: Skeleton) -> tuple[bytes, dict[int, int]]:
    """Blank the text between ``{`` and ``}`` in column 0 after a parameter list, and old-style functions.

    Returns the text, and for each ``{`` of such a body the offset after its ``}``. Adds to ``cut`` the bodies that
    hold designated initialisers: they are parsed apart, so that an error in one does not reach the next function.
    """
    bodies: dict[int, int] = {}
    spans: list[tuple[int, int]] = []
    at = text.find(b"\n{")
    while at >= 0:
        opening = at + 1
        closing = text.find(b"\n}", opening)
        if closing < 0:
            break
        one_line = text.find(b"}", opening, text.find(b"\n", opening)) >= 0  # { return 0; }
        old_style = None
        if one_line or _LIST.match(text, opening) or not _follows_parameters(text, at):
            old_style = None if one_line else _old_style_head(text, at)
            if old_style is None:
                at = text.find(b"\n{", opening)
                continue
        if inner := MARGIN_CODE.search(text, opening + 1, closing):  # this one may end with an indented brace
            closing = _balance(text, opening, inner.start(), closing)
        bodies[opening] = closing + 2
        if old_style is None:
            spans.append((opening + 1, closing + 1))
        else:
            start, name_start, name_end = old_style
            cut.old_style.append(OldStyleFunction(name_start, name_end, start, (opening, closing + 2)))
            spans.append((start, closing + 2))
        if has_record(text, opening, closing):
            cut.local_records.append((opening, text[opening : closing + 2]))
        if has_designator(text, opening, closing):
            cut.initialising.append((opening, text[opening : closing + 2]))
        at = text.find(b"\n{", closing)
    return _blank(text, spans), bodies


def has_record(text: bytes, start: int, end: int) -> bool:
    """True if a part of a function body defines a struct, union or enum with a tag."""
    if _STRUCT.search(text, start, end):
        return True
    rare = text.find(b"union ", start, end) >= 0 or text.find(b"enum ", start, end) >= 0
    return rare and _RECORD.search(text, start, end) is not None


def has_designator(text: bytes, start: int, end: int) -> bool:
    """True if a part of a function body holds ``.open = foo_open``."""
    find = text.find  # a chain, not a loop: this is asked of every function body
    if (
        find(b" .", start, end) < 0 and find(b"\t.", start, end) < 0
        and find(b"\n.", start, end) < 0 and find(b"{.", start, end) < 0
    ):  # fmt: skip
        return False
    return _DESIGNATOR.search(text, start, end) is not None


def _old_style_head(text: bytes, at: int) -> tuple[int, int, int] | None:
    """(start, start of the name, end of the name) of ``int f(a, b) int a; char *b;`` before offset ``at``."""
    first = max(0, at - _MAX_HEAD_BYTES)
    head = text[first:at].rstrip()
    if not head.endswith(b";"):
        return None
    for match in reversed(list(_OLD_STYLE.finditer(head))):
        if _OLD_PARAMETERS.fullmatch(head, match.end()):
            return first + match.start(1), first + match.start(2), first + match.end(2)
    return None


def _balance(text: bytes, opening: int, before: int, last: int) -> int:
    """Offset before the ``}`` that closes ``opening`` and comes ``before`` an offset; ``last`` if there is none."""
    depth = 0
    for match in _BRACES.finditer(text, opening, before):
        depth += 1 if match[0] == b"{" else -1
        if not depth:
            return match.start() - 1
    return last


def _follows_parameters(text: bytes, at: int) -> bool:
    head = text[max(0, at - 200) : at].rstrip() or text[max(0, at - _MAX_GAP_BYTES) : at].rstrip()
    if head.endswith(b")"):
        return True
    # annotations may follow the parameters: ``) __must_hold_x``, ``) notrace``
    tail = head.rfind(b")")
    return tail >= 0 and all(word.replace(b"_", b"a").isalnum() for word in head[tail + 1 :].split())


def _without_calls(text: bytes, bodies: dict[int, int], macros: list[MacroDefinition]) -> tuple[bytes, list[MacroCall]]:
    calls: list[MacroCall] = []
    spans: list[tuple[int, int]] = []
    at = 0
    while match := (_CALL_HERE.match(text) if not at else None) or _CALL_BELOW.search(text, at):
        start, arguments = match.start() + (match[0][0] == 0x0A), match.end()
        end = _closing(text, arguments)
        if end < 0 or not may_begin(text, start, macros):
            at = arguments
            continue
        brace = _BRACE.match(text, end)
        body = None
        if brace:
            opening = brace.end() - 1
            if opening in bodies and idiom_of(match[1].decode()):
                body = (opening, bodies[opening])
            else:  # an old-style function, or braces in another style: leave it to the parser
                at = arguments
                continue
        call = MacroCall(match[1], start, arguments, end, body)
        tail = _AFTER_CALL.match(text, end)
        if not body and (annotated := _ANNOTATED.match(text, end)) and idiom_of(match[1].decode()):
            tail = annotated
        stop = body[1] if body else (tail.end() if tail else end)
        if not body and not _ends_statement(text, stop, tail is not None and tail[0].endswith(b";")):
            at = arguments
            continue
        calls.append(call)
        spans.append((start, stop))
        at = stop
    return _blank(text, spans), calls


def _ends_statement(text: bytes, end: int, semicolon: bool) -> bool:
    """Return True if a macro call is complete: ``X(a);`` or ``X(a)`` alone on its lines, but not
    ``X(int) foo(void)``, ``X(a) = {`` or ``X(a)`` above ``.open = foo,``."""
    if semicolon:
        return True
    line_end = text.find(b"\n", end)
    rest_of_line = text[end : line_end if line_end >= 0 else len(text)]
    return not rest_of_line.strip() and not text[end : end + 200].lstrip().startswith((b"=", b"[", b"."))


def _closing(text: bytes, at: int, limit: int = 100_000) -> int:
    """Offset after the parenthesis that closes the one before ``at``; -1 if there is none within ``limit`` bytes."""
    depth = 1
    for match in _PARENS.finditer(text, at, at + limit):
        depth += 1 if match[0] == b"(" else -1
        if not depth:
            return match.end()
    return -1
