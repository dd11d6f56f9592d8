"""Masking of words that no vocabulary knows: annotations of one file or driver, and macros that expand to members.

In C a declaration has one type and one name, so of more words some are annotations: ``static foo_t foo_noinline
bar(void)``, ``struct __foo_align4 bar {``. A call without ``;`` among members, or among enumerators, stands for some.
"""

from __future__ import annotations

import re
from collections import Counter

from kexpert.core.c.declarators import PRIMITIVE, QUALIFIERS, STORAGE, TAGGED, is_annotation
from kexpert.core.c.editing import IS_WORD, NOT_WORD, Editor

_SPECIFIERS = frozenset(word.encode() for word in PRIMITIVE | QUALIFIERS | STORAGE)
_PRIMITIVE = frozenset(word.encode() for word in PRIMITIVE)
_RECORDS = frozenset(word.encode() for word in TAGGED)
_KEYWORDS = _SPECIFIERS | _RECORDS
_NO_DECLARATION = frozenset(
    b"if else for while switch return goto case default do sizeof typeof __typeof__ asm __asm__ break continue".split()
)
_WORD = re.compile(rb"[A-Za-z_]\w*")
#: Words in column 0 before what ends the head of a declaration, but for the most common heads.
_HEAD = re.compile(
    rb"\n(?!(?:(?:static|inline|const|extern|unsigned|struct|union|enum) )*+\w++ \**+\w++ ?[(;=\[]|struct \w++ \{)"
    rb"((?:[A-Za-z_]\w*+(?:[ \t*]*+\n[ \t*]*+|[ \t*]++)){1,9}[A-Za-z_]\w*+)[ \t\n]*+([({;=,\[])"
)
_TAIL = re.compile(rb"\}[ \t]*+((?:[A-Za-z_]\w*+[ \t*]++){1,5}[A-Za-z_]\w*+)[ \t]*+([;=,\[])")
_ONE_TAIL = re.compile(rb"\n\}[ \t]*+([A-Z][A-Z0-9_]++|__\w++)[ \t]*+;")
_LAYOUT = re.compile(rb"PACKED$|ALIGN(?:ED)?$")
#: ``u64 (*f)(void) = g;`` reads like a call.
_POINTER = re.compile(
    rb"\n(?=[A-Za-z_])(?:(?:static|extern|const|volatile)\s++){0,4}(\w++)\s++\(\*\s*(?:\w+\s+)*\w+\)\s*\([^;{}]*\)\s*[=;]"
)
#: ``static inline void PRINTF(1, 2) die(const char *text)`` and ``void f(int x)\n\tACQUIRES(lock)\n{``
_CALL_AHEAD = re.compile(
    rb"\n(?:[A-Za-z_]\w*[ \t*]+){1,6}?((?:[A-Z][A-Z0-9_]*+|(?!__typeof)__\w++)\([^()\n]*+\))[ \t*]++"
    rb"(?:\w+[ \t*\n]+)*?\w++[ \t]*+\("
)
#: A sign of the former: without it the text need not be searched.
_BEFORE_NAME = re.compile(rb"\)[ \t*]++\w")
#: ``__success __failure_unpriv __retval(1)`` above ``void run(void)``
_ITEMS_ABOVE = re.compile(
    rb"\n([ \t]*+(?:__\w++(?:\([^()\n]*+\))?[ \t\n]++){2,60})(?:[A-Za-z]\w*+[ \t*]++){1,6}\w++\("
)
#: ``int f(void) FOO_NORETURN;`` and ``void f(char *text, ...) foo_printf(1, 2);``, of which the head is looked at too.
_BEHIND = re.compile(rb"\)((?:(?:[ \t]+|\n[ \t]+)[A-Za-z_]\w*+(?:\((?:[^()\n]|\([^()\n]*+\))*+\))?+){1,12})[ \t]*+;")
_CALL_ARGUMENTS = re.compile(rb"\w++\((?:[^()\n]|\([^()\n]*+\))*+\)")
_PROTOTYPE = re.compile(rb"(?!typedef\b)(?:[A-Za-z_]\w*[ \t*]+)+\w++[ \t]*+\(")
#: ``} FOO_ALIGN(8) foo_t;``
_CALL_AFTER_BODY = re.compile(rb"\n\}[ \t]*+((?!while\b)\w++\((?:[^()\n]|\([^()\n]*+\))*+\))[ \t]*+[\w;=]")
#: ``typedef foo_t foo_call (*f)(void);``
_POINTER_TYPE = re.compile(rb"\ntypedef[ \t]++((?:\w+[ \t*]+)+)\(\*[ \t]*+\w++\)[ \t]*+\(")
_CALLS_BEHIND = re.compile(rb"\)((?:\s+[A-Z][A-Z0-9_]*+\([^()\n]*+\)){1,12})\s*+(?<=\n)\{")
_FUNCTION_TYPE = re.compile(rb"\ntypedef\s+((?:unsigned|signed|long|short|int)\s+)+\w+\s*\(\s*\w+\s*\)\s*\(")
#: Signs of macros among members or enumerators; only with one of them are the bodies read.
_MEMBER_MACROS = (
    re.compile(rb"\n[ \t]++[A-Za-z_]\w*+[ \t]*+\((?![ \t]*\*)"),
    re.compile(rb"\n[ \t]++[A-Z]\w*+[ \t]++(?:struct|union|[A-Z]\w*+[ \t]*+\(|\w++[ \t]++\*?\w++[ \t]*+;)"),
    re.compile(rb"\};(?<=\w\};)"),
    re.compile(rb"\n(?<=[{;]\n)[ \t]++[A-Z][A-Z0-9_]++\n\}"),
)
_BODY = re.compile(rb"\b(?:(struct|union)|enum)\b[\w\s]*\{")
_LEADING = re.compile(rb"\s*([A-Za-z_]\w*(?:[\s*]+[A-Za-z_]\w*)*)\s*", re.S)
_ITEM_CALL = re.compile(rb"\s*[A-Za-z_]\w*[ \t]*\(")
_MEMBER_ARGUMENT = re.compile(rb"\s*(?:struct\s+|union\s+)?\w+[\s*]+\w+\s*(?::\s*\w+|\[\w*\])?\s*")
_STOP = re.compile(rb"[;{}()]")
_ENUM_STOP = re.compile(rb"[,}]")
_MAX_HEAD_LINES = 20
_MAX_ITEMS = 5000  # of one file
_MAX_NESTING = 40


def mask_unknown_words(edit: Editor) -> None:
    """Blank what is neither type nor name in the heads of declarations, and macros among members."""
    for match in _HEAD.finditer(edit.out):
        _head(edit, match, False)
    for match in _TAIL.finditer(edit.out):
        _head(edit, match, True)
    _tails(edit)
    ahead = (_CALL_AHEAD,) if _BEFORE_NAME.search(edit.out) else ()
    for pattern in (*ahead, _ITEMS_ABOVE, _CALLS_BEHIND):
        for match in pattern.finditer(edit.out):
            edit.blank(*match.span(1))
    for match in _CALL_AFTER_BODY.finditer(edit.out):
        edit.blank(*match.span(1))
    for match in _BEHIND.finditer(edit.out):
        plain = _CALL_ARGUMENTS.sub(b"", match[1]).split()
        is_parameter = len(plain) > 1 or not _KEYWORDS.isdisjoint(plain)  # ``int f(a) foo_t a;``
        if not is_parameter and _PROTOTYPE.match(edit.out, _first_line(edit, match.start()), match.start()):
            edit.blank(*match.span(1))
    for match in _POINTER_TYPE.finditer(edit.out):
        words = [(bytes(word[0]), *word.span()) for word in _WORD.finditer(edit.out, *match.span(1))]
        for word in _after_type(words):
            edit.blank(*word[1:])
    for match in _FUNCTION_TYPE.finditer(edit.out):
        edit.blank(edit.out.index(b"typedef", match.start()) + 7, match.end(1))
    for match in _POINTER.finditer(edit.out):
        if match[1] not in _KEYWORDS:
            start = match.start(1)
            edit.put(start, max(match.end(1), start + 3), b"int" if match.end(1) > start + 1 else b"")
    if any(sign.search(edit.out) for sign in _MEMBER_MACROS):
        _bodies(edit)


def _first_line(edit: Editor, at: int) -> int:
    """The start of the line where the declaration that holds ``at`` begins: lines that it continues are indented."""
    line = edit.line_start(at)
    for _ in range(_MAX_HEAD_LINES):
        if not line or edit.out[line] not in b" \t":
            break
        line = edit.line_start(line - 1)
    return line


def _tails(edit: Editor) -> None:
    """Blank the word of ``} FOO_PACKED;`` if it cannot be a variable: it comes twice or says what it is."""
    tails = [(match[1], match.span(1)) for match in _ONE_TAIL.finditer(edit.out)]
    counts = Counter(word for word, _ in tails)
    for word, span in tails:
        if counts[word] > 1 or is_annotation(word.decode()) or _LAYOUT.search(word):
            edit.blank(*span)


def _head(edit: Editor, match: re.Match[bytes], closes: bool) -> None:
    follow = bytes(match[2])
    texts = match[1].translate(NOT_WORD).split()
    names = sum(text not in _KEYWORDS for text in texts)
    if names > 2 or (names == 2 and (closes or follow == b"{" or not _PRIMITIVE.isdisjoint(texts))):
        words = [(bytes(word[0]), *word.span()) for word in _WORD.finditer(edit.out, *match.span(1))]
        for word in superfluous(words, follow, closes):
            edit.blank(*word[1:])


def _after_type(words: list[tuple[bytes, int, int]]) -> list[tuple[bytes, int, int]]:
    """Those (word, start, end) of a type that are neither its keywords nor its name."""
    texts = [word[0] for word in words]
    names = [word for word in words if word[0] not in _KEYWORDS]
    return names if not _PRIMITIVE.isdisjoint(texts) else names[1:]


def superfluous(words: list[tuple[bytes, int, int]], follow: bytes, closes: bool) -> list[tuple[bytes, int, int]]:
    """Those (word, start, end) before ``follow`` that are no keyword, type or name; ``closes``: after ``}``."""
    texts = [word[0] for word in words]
    if not _NO_DECLARATION.isdisjoint(texts):
        return []
    tag = next((at for at, text in enumerate(texts) if text in _RECORDS), -1)
    names = [word for word in words if word[0] not in _SPECIFIERS and word[0] not in _RECORDS]
    ahead = [word for word in names if tag >= 0 and word[1] < words[tag][1]]
    names = names[len(ahead) :]
    is_single = follow == b"{" if tag >= 0 else closes or not _PRIMITIVE.isdisjoint(texts)
    wanted = 1 if is_single else 2
    surplus = len(names) - wanted
    if surplus <= 0 or (follow == b"{" and tag < 0):
        return ahead
    may_go = names[:-1] if follow in (b"(", b"{") else names
    marked = [word for word in may_go if is_annotation(word[0].decode("latin-1"))]
    marked += [word for word in may_go if word[0].isupper() and word not in marked]
    if follow == b"(" and not marked and is_annotation(names[-1][0].decode("latin-1")):
        return ahead  # ``int name __annotation(x)``
    first = 0 if wanted == 1 else 1
    marked += [word for word in names[first:-1] if word not in marked]
    return ahead + marked[:surplus]


def _bodies(edit: Editor) -> None:
    """Read the bodies of records and enums, and blank the macros among their members."""
    at, items = 0, _MAX_ITEMS
    while items > 0 and (match := _BODY.search(edit.out, at)):
        if match[1]:
            at, used = _record(edit, match.end())
        else:
            at, used = _enum(edit, match.end())
        items -= used


def _record(edit: Editor, at: int) -> tuple[int, int]:
    """Mask the members after the ``{`` before ``at``: the offset after its ``}``, and the number of members."""
    out = edit.out
    depth, count = 1, 0
    while depth and depth < _MAX_NESTING and count < _MAX_ITEMS:
        count += 1
        at = _past_directives(edit, at)
        char = bytes(out[at : at + 1])
        if char in (b"}", b";", b""):
            depth -= char == b"}"
            if not char:
                break
            at += 1
            continue
        at, is_done = _leading_words(edit, at)
        if is_done:
            continue
        stop = _STOP.search(out, at)
        while stop and stop[0] in (b"(", b")"):
            close = edit.closing(stop.start()) if stop[0] == b"(" else stop.start()
            if close < 0:
                return stop.end(), count
            stop = _STOP.search(out, close + 1)
        if not stop:
            break
        depth += (stop[0] == b"{") - (stop[0] == b"}")
        at = stop.end()
    return at, count


def _past_directives(edit: Editor, at: int) -> int:
    at = edit.after(at)
    while edit.out[at : at + 1] == b"#":
        end = edit.out.find(b"\n", at)
        while end > 0 and edit.out[end - 1 : end] == b"\\":
            end = edit.out.find(b"\n", end + 1)
        at = edit.after(end) if end >= 0 else len(edit.out)
    return at


def _leading_words(edit: Editor, at: int) -> tuple[int, bool]:
    """Blank what is no declaration at the start of a member. Returns where to read on, and whether that is all."""
    out = edit.out
    match = _LEADING.match(out, at)
    if match is None:
        return at + (not IS_WORD[out[at]] and out[at] not in b";{}()"), False
    end = match.end()
    follow = bytes(out[end : end + 1])
    words = [(bytes(word[0]), *word.span()) for word in _WORD.finditer(out, *match.span(1))]
    if follow == b"}":
        edit.blank(at, end)
        return end, True
    if follow == b"(" and bytes(edit.out[(inner := edit.after(end + 1)) : inner + 1]) not in (b"*", b"^"):
        close = edit.closing(end)
        if close < 0 or edit.char_after(close) in (b";", b"=", b"[", b":", b"("):
            return end, False
        arguments = edit.arguments(end, close)
        edit.blank(at, end + 1)
        if _MEMBER_ARGUMENT.fullmatch(out, *arguments[0]):  # ``FIELD(u64 a : 4, …)``
            if len(arguments) > 1:
                out[arguments[0][1] : arguments[0][1] + 1] = b";"
            edit.blank(close, close + 1)
            return at, False
        edit.blank(at, close + 1)
        return close + 1, True
    for word in superfluous(words, follow, False):
        edit.blank(*word[1:])
    return end, False


def _enum(edit: Editor, at: int) -> tuple[int, int]:
    """Mask the enumerators after the ``{`` before ``at``: the offset after its ``}``, and their number."""
    out = edit.out
    count = 0
    while count < _MAX_ITEMS:
        count += 1
        at = _past_directives(edit, at)
        call = _ITEM_CALL.match(out, at)
        if call:
            close = edit.closing(call.end() - 1)
            if close < 0:
                break
            comma = edit.after(close + 1)
            edit.blank(at, comma + 1 if out[comma : comma + 1] == b"," else close + 1)
            at = close + 1
            continue
        stop = _ENUM_STOP.search(out, at)
        opening = out.find(b"(", at, stop.end()) if stop else -1
        while stop and opening >= 0:
            close = edit.closing(opening)
            if close < 0:
                return stop.end(), count
            stop = _ENUM_STOP.search(out, close)
            opening = out.find(b"(", close, stop.end()) if stop else -1
        if not stop:
            break
        at = stop.end()
        if stop[0] == b"}":
            break
    return at, count
