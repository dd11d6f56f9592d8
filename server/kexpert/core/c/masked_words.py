"""Masking by word: annotations, loop macros and macros whose name says how to rewrite their arguments.

Each rule gets the (start, end) of one word and rewrites the text around it in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set

from kexpert.core.c.editing import IS_WORD, Editor
from kexpert.core.c.vocabulary import (
    ANNOTATION_CALLS,
    ANNOTATIONS,
    ARRAY_MACROS,
    GROUP_MACROS,
    MACHINES,
    PROGRAMS,
    TYPE_ARGUMENT_MACROS,
    TYPEOFS,
)

_Rule = Callable[[Editor, int, int], None]

_PATH = re.compile(rb"\s*[*&(]*(\w+)\s*(?:->|\.|\[|\()")
_NAME = re.compile(rb"\s*[A-Za-z_]\w*\s*$")
_LOOP_NAMES = [re.compile(part + rb"\w*") for part in (b"for_each", b"FOR_EACH", b"foreach", b"FOREACH")]
_NUMBERED_DEFINER = re.compile(rb"\w*SYSCALL\w*DEFINE\w*[1-6]$|BPF_CALL_[1-6]$|NOTRACE_BPF_CALL_[1-6]$")


def mask_words(edit: Editor, data: bytes, present: Set[bytes]) -> None:
    """Apply the rules of every word in ``present``, the words of the unedited text ``data``."""
    for vocabulary, rule in _RULES:
        for word in sorted(present & vocabulary):
            _apply(edit, word, rule)
    _loops(edit, data)
    if b"_PER_CPU" in data:
        for word in sorted(w for w in present if w.startswith((b"DEFINE_PER_CPU", b"DECLARE_PER_CPU"))):
            _apply(edit, word, _per_cpu)
    if b"SYSCALL" in data or b"BPF_CALL_" in data:
        for word in sorted(w for w in present if _NUMBERED_DEFINER.match(w)):
            _apply(edit, word, _numbered_definer)


def _apply(edit: Editor, word: bytes, rule: _Rule) -> None:
    """Apply a rule to every occurrence of a word outside directives."""
    out, size = edit.out, len(word)
    at = out.find(word)
    while at >= 0:
        end = at + size
        is_word = not (at and IS_WORD[out[at - 1]]) and not (end < len(out) and IS_WORD[out[end]])
        if is_word and not edit.in_directive(at):
            rule(edit, at, end)
        at = out.find(word, end)


def _annotation(edit: Editor, start: int, end: int) -> None:
    """``static int __init f(void)`` -> ``static int        f(void)``."""
    if start == 0 or edit.out[start - 1] not in b".>":
        edit.blank(start, end)


def _annotation_call(edit: Editor, start: int, end: int) -> None:
    """``void f(void) __must_hold(x);`` -> ``void f(void)               ;``."""
    close = edit.closing(edit.after(end), 2000)
    if close >= 0 and (edit.out[end - 1] == 0x5F or not _is_call(edit, start, close)):
        edit.blank(start, close + 1)


def _is_call(edit: Editor, start: int, close: int) -> bool:
    """Return True if ``name(…)`` is used for its value or as a statement; an annotation never is."""
    last = edit.last_ink(start)
    before = edit.out[last : last + 1] if last >= 0 else b""
    if before in (b"=", b"(", b",", b"!", b"&", b"|", b"+", b"-", b"<", b">", b"?"):
        return True
    return edit.char_after(close) == b";" and before in (b";", b"{", b"}", b":")


def _loops(edit: Editor, data: bytes) -> None:
    out = edit.out
    for pattern in _LOOP_NAMES:
        for match in pattern.finditer(data):
            start = match.start()
            while start and IS_WORD[out[start - 1]]:
                start -= 1
            if not edit.in_directive(start):
                _loop(edit, start, match.end())


def _loop(edit: Editor, start: int, end: int) -> None:
    """``list_for_each_entry(p, head, m) {`` -> ``while             (p, head, m) {``."""
    opening = edit.after(end)
    close = edit.closing(opening, 2000)
    if close < 0 or not edit.starts_statement(start):
        return
    follow = edit.after(close + 1)
    if bytes(edit.out[follow : follow + 1]) in b";,)=&|<>?+]}":
        return
    edit.put(start, end, b"while")


def _per_cpu(edit: Editor, start: int, end: int) -> None:
    """``DEFINE_PER_CPU(int, hits) = 3;`` -> ``               int  hits  = 3;``."""
    close = edit.closing(end, 1000)
    arguments = edit.arguments(end, close) if close >= 0 else []
    if len(arguments) < 2:
        return
    edit.blank(start, end + 1)
    bracket = edit.out.find(b"[", *arguments[0])
    if bracket >= 0:
        edit.blank(bracket, arguments[0][1])
    edit.blank(arguments[0][1], arguments[1][0])
    edit.blank(arguments[1][1], close + 1)


def _type_arguments(edit: Editor, start: int, end: int) -> None:
    """``container_of(p, struct foo, bar)`` -> ``container_of(p,        foo, bar)``."""
    opening = edit.after(end)
    close = edit.closing(opening, 2000)
    if close >= 0:
        for argument in edit.arguments(opening, close):
            edit.type_argument(*argument)


def _array(edit: Editor, start: int, end: int) -> None:
    """``DECLARE_BITMAP(used, 32);`` -> ``DECLARE_BITMAP used[ 32];``."""
    close = edit.closing(end, 1000)
    arguments = edit.arguments(end, close) if close >= 0 else []
    if len(arguments) < 2:
        return
    edit.subscript(end, close, arguments)


def _machine(edit: Editor, start: int, end: int) -> None:
    """``MACHINE_START(NAME, "text") … MACHINE_END`` -> ``MACHINE_START NAME={"text", … };``."""
    out = edit.out
    if out[start:end].endswith(b"_END"):
        edit.put(start, end, b"};")
        return
    close = edit.closing(end, 1000)
    arguments = edit.arguments(end, close) if close >= 0 else []
    if len(arguments) == 2 and out[arguments[1][0]] == 0x20:
        out[end : end + 1] = b" "
        out[arguments[0][1] : arguments[1][0] + 1] = b"={"
        out[close : close + 1] = b","


def _machine_block(edit: Editor, start: int, end: int) -> None:
    """``define_machine(name) { .a = b,\\n}`` -> ``define_machine name={ .a = b}\\n;``."""
    out = edit.out
    close = edit.closing(end, 200)
    brace = out.find(b"\n}", close, close + 20_000) if close >= 0 else -1
    comma = edit.last_ink(brace) if brace >= 0 else -1
    if edit.char_after(close) == b"{" and comma >= 0 and out[comma] == 0x2C:
        out[end : end + 1] = b" "
        out[close : close + 1] = b"="
        out[comma : comma + 1] = b"}"
        out[brace + 1 : brace + 2] = b";"


def _program(edit: Editor, start: int, end: int) -> None:
    """``int BPF_PROG(name, int a)`` -> ``int          name( int a)``."""
    close = edit.closing(end, 2000)
    arguments = edit.arguments(end, close) if close >= 0 else []
    if not arguments or edit.char_after(close) != b"{":
        return
    edit.blank(start, end)
    if len(arguments) > 1:
        edit.blank(end, end + 1)
        edit.out[arguments[0][1] : arguments[0][1] + 1] = b"("


def _options(edit: Editor, start: int, end: int) -> None:
    """``LIBBPF_OPTS(type, name, .a = b);`` -> ``            type  name={.a = b};``."""
    out = edit.out
    close = edit.closing(end)
    arguments = edit.arguments(end, close) if close >= 0 else []
    if len(arguments) < 2:
        return
    edit.blank(start, end + 1)
    edit.blank(arguments[0][1], arguments[0][1] + 1)
    if len(arguments) == 2:
        edit.blank(close, close + 1)
        return
    out[arguments[1][1] : arguments[1][1] + 1] = b"="
    first = arguments[2][0]
    gap = next((at for at in range(first, edit.after(first)) if out[at] in b" \t"), -1)
    if gap >= 0:
        out[gap : gap + 1] = b"{"
        out[close : close + 1] = b"}"


def _struct_group(edit: Editor, start: int, end: int) -> None:
    """``struct_group(head, int a; int b;);`` -> ``struct      {      int a; int b;};``."""
    skip = GROUP_MACROS[bytes(edit.out[start:end])]
    close = edit.closing(end)
    arguments = edit.arguments(end, close) if close >= 0 else []
    if len(arguments) <= skip:
        return
    edit.put(start, end + 1, b"struct     ")
    edit.out[end : end + 1] = b"{"
    edit.blank(end + 1, arguments[skip][0])
    edit.out[close : close + 1] = b"}"


def _offsetof(edit: Editor, start: int, end: int) -> None:
    """Turn ``offsetof(type, a.b)`` into a call: the grammar knows only ``offsetof(type, name)``."""
    opening = edit.after(end)
    close = edit.closing(opening, 1000)
    arguments = edit.arguments(opening, close) if close >= 0 else []
    if len(arguments) == 2 and not _NAME.match(edit.out, *arguments[1]):
        edit.type_argument(*arguments[0])
        edit.out[start : start + 1] = b"_"


def _typeof(edit: Editor, start: int, end: int) -> None:
    """``typeof(a->b) c`` -> ``typeof(a   ) c``: the grammar allows only types there. ``alignof`` becomes a call."""
    opening = edit.after(end)
    close = edit.closing(opening, 500)
    path = _PATH.match(edit.out, opening + 1, close) if close >= 0 else None
    if not path:
        return
    if b"align" in edit.out[start:end]:
        edit.out[start : start + 1] = b"o"
    else:
        edit.blank(path.end(1), close)


def _numbered_definer(edit: Editor, start: int, end: int) -> None:
    """``SYSCALL_DEFINE1(close, int, fd) {`` -> ``long            close( int  fd) {``."""
    close = edit.closing(end)
    arguments = edit.arguments(end, close) if close >= 0 else []
    if len(arguments) < 2:
        return
    edit.put(start, end, b"long")
    edit.blank(end, end + 1)
    edit.out[arguments[0][1] : arguments[0][1] + 1] = b"("
    for index in range(1, len(arguments) - 1, 2):
        comma = arguments[index][1]
        edit.out[comma : comma + 1] = b" "


#: The words that a rule applies to, in the order of application.
_RULES: tuple[tuple[Set[bytes], _Rule], ...] = (
    (ANNOTATIONS, _annotation),
    (ANNOTATION_CALLS, _annotation_call),
    (TYPE_ARGUMENT_MACROS, _type_arguments),
    (ARRAY_MACROS, _array),
    (GROUP_MACROS.keys(), _struct_group),
    (MACHINES, _machine),
    (frozenset((b"define_machine",)), _machine_block),
    (PROGRAMS, _program),
    (frozenset((b"LIBBPF_OPTS", b"DECLARE_LIBBPF_OPTS")), _options),
    (frozenset((b"offsetof",)), _offsetof),
    (TYPEOFS, _typeof),
)
