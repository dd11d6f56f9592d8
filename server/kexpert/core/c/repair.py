"""Repair of masked text that still does not parse: bolder rewrites, only around the errors.

This module proposes fixes; ``parse`` keeps those that leave fewer errors. The result depends only on the text, so the
same bytes always give the same tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tree_sitter import Node

from kexpert.core.c.editing import Editor

Window = tuple[int, int]
Fix = Callable[[Editor, int, int], None]

_MAX_STATEMENT_BYTES = 1500  # from an error to either end of its statement
_MAX_ERRORS = 60

_PASTED_CALL = re.compile(rb'"\s*(\w+)[ \t]*(?=\()')
_CALL_PASTED = re.compile(rb"\b(\w+)[ \t]*(?=\()")
_ASM_CALL = re.compile(rb"\b(?:asm|__asm__)\b[\s\w]*\(\s*\w+[ \t]*(?=\()")
_DIGIT_NAME = re.compile(rb"\s*\d\w*_\w+\s*$")
_PASTED_WORDS = re.compile(rb'\b([A-Z_]\w*)(?=\s+[A-Z_]\w*\s+(?:[A-Z_]\w*\s+)?")')
_CALL = re.compile(rb"\b[A-Za-z_]\w*[ \t]*\(")
_OWN_LINE = re.compile(rb"\n[ \t]+([A-Za-z_]\w*)[ \t]?\(")
_LINE_WORD = re.compile(rb"\n[ \t]*([A-Z_][A-Z0-9_]+)[ \t]*(?=\n)")
_DIRECTIVE = re.compile(rb"(?:^|(?<=\n))[ \t]*#[^\n]*(?:(?<=\\)\n[^\n]*)*")
_KEYWORDS = frozenset(b"if for while switch return sizeof else do case goto defined".split())


def errors(root: Node) -> list[Node]:
    """The outermost ERROR nodes and the MISSING nodes of a tree, in order, at most ``_MAX_ERRORS``."""
    found: list[Node] = []
    stack = [root]
    while stack and len(found) < _MAX_ERRORS:
        node = stack.pop()
        if node.is_error or node.is_missing:
            found.append(node)
        elif node.has_error:
            stack.extend(reversed([child for child in node.children if child.has_error or child.is_missing]))
    return found


def cost(found: list[Node]) -> tuple[int, int]:
    """The sort key of a tree's quality: number of errors, then bytes in them. Smaller is better."""
    return len(found), sum(node.end_byte - node.start_byte for node in found)


def windows(text: bytes, found: list[Node]) -> list[Window]:
    """The byte ranges of the statements around errors; overlapping ones are merged."""
    result: list[Window] = []
    for node in found:
        start, end = node.start_byte, node.end_byte
        low = max(text.rfind(stop, max(start - _MAX_STATEMENT_BYTES, 0), start) for stop in (b";\n", b"{\n", b"}\n"))
        low = low + 1 if low >= 0 else max(start - _MAX_STATEMENT_BYTES, 0)
        if end - start > _MAX_STATEMENT_BYTES:
            end = start + _MAX_STATEMENT_BYTES
        limit = end + _MAX_STATEMENT_BYTES
        stops = [at for at in (text.find(stop, end, limit) for stop in (b";\n", b"}\n")) if at >= 0]
        high = min(stops) + 2 if stops else min(limit, len(text))
        if result and low <= result[-1][1]:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result


def _strings(edit: Editor, start: int, end: int) -> None:
    """``PFX "a" STR(b) "c"`` -> ``PFX "a" STR    "c"``. Of several words before a string only the last stays."""
    out = edit.out
    for match in _PASTED_CALL.finditer(out, start, end):
        _drop_arguments(edit, match.end())
    for match in _CALL_PASTED.finditer(out, start, end):
        close = edit.closing(match.end(), 500)
        if close >= 0 and match[1] not in _KEYWORDS and out[edit.after(close + 1) :][:1] == b'"':
            _drop_arguments(edit, match.end())
    for match in _ASM_CALL.finditer(out, start, end):
        opening = match.end()
        if _drop_arguments(edit, opening):
            out[opening : opening + 2] = b'""'
    for match in _PASTED_WORDS.finditer(out, start, end):
        edit.blank(*match.span(1))


def _drop_arguments(edit: Editor, opening: int) -> bool:
    close = edit.closing(opening, 500)
    if close >= 0:
        edit.blank(opening, close + 1)
    return close >= 0


def _types(edit: Editor, start: int, end: int) -> None:
    """Replace types among call arguments by names, and empty arguments and operators by ``0``."""
    for match in _CALL.finditer(edit.out, start, end):
        close = edit.closing(match.end() - 1, 2000)
        if close < 0 or match.group().rstrip(b"( \t") in _KEYWORDS:
            continue
        arguments = edit.arguments(match.end() - 1, close)
        if len(arguments) == 1 and arguments[0][0] == arguments[0][1]:
            continue
        for argument in arguments:
            if _DIGIT_NAME.match(edit.out, *argument):
                first = edit.after(argument[0])
                edit.out[first : first + 1] = b"_"
        edit.operands(arguments)


def _lines(edit: Editor, start: int, end: int) -> None:
    """Terminate macro calls that are alone on a line, with ``;`` or ``,`` as the line above requires."""
    out = edit.out
    for match in _OWN_LINE.finditer(out, max(start - 1, 0), end):
        opening = match.end() - 1
        close = edit.closing(opening, 3000)
        if close < 0 or match[1] in _KEYWORDS:
            continue
        follow = edit.after(close + 1)
        begins = out[follow : follow + 1].isalnum() or bytes(out[follow : follow + 1]) in b"_.#}[{"
        if not begins or (b"\n" not in out[close:follow] and not out[follow : follow + 1].isupper()):
            continue
        before = _before(edit, match.start())
        mark = b"," if before.endswith((b",", b"= {", b"={")) else b";"
        if before.endswith((b";", b",", b"{", b"}", b")", b":")):
            edit.terminate(opening, close, mark)
    for match in _LINE_WORD.finditer(out, max(start - 1, 0), end):
        if _before(edit, match.start()).endswith((b";", b"}", b"{", b":", b"\\")):
            edit.blank(*match.span(1))


def _before(edit: Editor, at: int) -> bytes:
    text = bytes(edit.out[max(at - 400, 0) : at]).rstrip()
    while text.endswith(b"*/") and b"/*" in text:
        text = text[: text.rfind(b"/*")].rstrip()
    return text


def _blocks(edit: Editor, start: int, end: int) -> None:
    """``LOOP(a, if (b) break;);`` -> ``    {a; if (b) break;};``: macro arguments that are statements."""
    out = edit.out
    for match in _CALL.finditer(out, start, end):
        opening = match.end() - 1
        close = edit.closing(opening)
        if close < 0 or match.group().rstrip(b"( \t") in _KEYWORDS or out.find(b";", opening, close) < 0:
            continue
        edit.blank(match.start(), opening)
        for _, stop in edit.arguments(opening, close):
            out[stop : stop + 1] = b";"
        out[opening : opening + 1] = b"{"
        out[close : close + 1] = b"}"


def _members(edit: Editor, start: int, end: int) -> None:
    """``IF_DEBUG(struct a b;);`` among members -> ``         struct a b;  ``."""
    out = edit.out
    for match in _CALL.finditer(out, start, end):
        opening = match.end() - 1
        close = edit.closing(opening)
        if close < 0 or match.group().rstrip(b"( \t") in _KEYWORDS or out.find(b";", opening, close) < 0:
            continue
        edit.blank(match.start(), opening + 1)
        edit.blank(close, close + 2 if out[close + 1 : close + 2] == b";" else close + 1)


def _directives(edit: Editor, start: int, end: int) -> None:
    """Blank preprocessor lines inside a statement or a list, and all branches of a group but the first."""
    group: list[list[tuple[int, int]]] = []
    done: list[list[tuple[int, int]]] = []
    for match in _DIRECTIVE.finditer(edit.out):
        word = match.group().lstrip(b" \t#")[:4]
        inside = match.end() > start and match.start() < end
        if word.startswith(b"if"):
            group.append([match.span()])
        elif word in (b"else", b"elif", b"endi"):
            if group:
                group[-1].append(match.span())
                if word == b"endi":
                    done.append(group.pop())
        elif inside:
            edit.blank(*match.span())
    for lines in done:
        if any(stop > start and begin < end for begin, stop in lines):
            edit.blank(lines[1][0], lines[-1][1])
            edit.blank(*lines[0])


#: Tried in this order: each on all windows at once, then on one window at a time.
FIXES: tuple[Fix, ...] = (_strings, _types, _lines, _blocks, _members, _directives)


def without_errors(text: bytes, found: list[Node]) -> bytes:
    """Blank each small ERROR node that holds no braces: the last resort."""
    edit = Editor(text)
    for node in found:
        start, end = node.start_byte, node.end_byte
        if node.is_error and end - start <= 200 and not any(c in b"{}" for c in text[start:end]):
            edit.blank(start, end)
    return bytes(edit.out)
