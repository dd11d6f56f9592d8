"""Masking: kernel C -> C that a grammar without a preprocessor can read, with all offsets unchanged.

Annotations, loop macros, definer macros and ``#if`` groups that cut through a statement are replaced by text of the
same length. Line breaks stay, so every offset, row and column of the masked text is valid for the file. Examples:

- ``static int __init f(void)``            ``static int        f(void)``
- ``list_for_each_entry(p, head, m) {``    ``while             (p, head, m) {``
- ``SYSCALL_DEFINE1(close, int, fd) {``    ``long            close( int  fd) {``
- ``DECLARE_BITMAP(used, 32);``            ``DECLARE_BITMAP used[ 32];``
- ``DEFINE_PER_CPU(int, hits) = 3;``       ``               int  hits  = 3;``
- ``struct_group(head, int a; int b;);``   ``struct      {      int a; int b;};``
- ``container_of(p, struct foo, bar)``     ``container_of(p,        foo, bar)``
- ``ACPI_EXPORT_SYMBOL(f)`` and no ``;``   ``ACPI_EXPORT_SYMBOL=f;``
- ``TRACE_EVENT(name, TP_PROTO(…), …);``   ``TRACE_EVENT(name            );``
- ``static foo_t foo_noinline f(void)``    ``static foo_t              f(void)``

Rules that a word triggers are in ``masked_words``, those for words that nobody knows in ``unknown_words``, ``#if``
groups in ``masked_conditionals``; rules that the shape of
the text triggers are here. The set of the file's words says which rules can apply; each of those is one pass with
``bytes.find`` or a regex.
"""

from __future__ import annotations

import re

from kexpert.core.c.editing import BLANK, DECLARED, IS_WORD, NOT_WORD, Editor
from kexpert.core.c.masked_conditionals import mask_conditionals
from kexpert.core.c.masked_words import mask_words
from kexpert.core.c.unknown_words import mask_unknown_words
from kexpert.core.c.vocabulary import TYPE_OPERATORS

_TAG_ARGUMENTS = {tag: re.compile(tag + rb"\s+\w+\s*[,)]") for tag in (b"struct", b"union", b"enum")}
_OUTER_CALL = re.compile(rb"\n([A-Za-z_]\w*)[ \t]?\((?![\w, \"]*\);)")
_BLOCK_END = re.compile(rb"\)[ \t]*\{[ \t]*\n")
_BLOCK_HEAD = re.compile(rb"[ \t]+(?!if\b|for\b|while\b|switch\b|else\b|return\b|sizeof\b)([A-Za-z_]\w+) ?\([^;{}]*$")
_BITS = re.compile(rb":[ \t]*\d+[ \t]*(?=;)")
_BITS_HEAD = re.compile(rb"[ \t]+[A-Za-z_]\w*(?: int)?[ \t]*$")
_PROTOTYPE = re.compile(rb"\s*\w[\w\s]*[\s*]\w+\s*\(")
_NAME = re.compile(rb"\s*[A-Za-z_]\w*\s*$")
_CALLEE = re.compile(rb"(\w+)\($")
_CASE_RANGE = re.compile(rb"\bcase\b[^:;{}]*$")
_SHORT_COMMENT = rb"(/\*[^*\n]{0,300}(?:\*(?!/)[^*\n]{0,300}){0,20}\*/)"
_MACRO_COMMENTS = (
    re.compile(_SHORT_COMMENT + rb"[^\n]{0,300}\\\r?\n"),
    re.compile(rb"\\\r?\n[ \t]{0,80}(/\*[^*]{0,1000}(?:\*(?!/)[^*]{0,300}){0,40}\*/)"),
    re.compile(
        rb"#[ \t]{0,40}define\b[^\n/]{0,300}(?:/(?!\*)[^\n/]{0,300}){0,20}"
        + _SHORT_COMMENT
        + rb"(?:[ \t]+\n|[ \t]*[^\s/])"
    ),
)
_VARIABLE_MACRO = re.compile(rb"\n[ \t]*static (?:const )?([A-Z_][A-Z0-9_]+[a-z]*) ?\(")
_REGISTER = re.compile(rb"register\b[^;=\n(]*((?:asm|__asm__|__asm)\s*\([^)\n]*\))")
_MAX_FILE_BYTES = 32_000_000  # bytes; the largest register header has half of it


def words(data: bytes) -> set[bytes]:
    """All words of a text (identifiers, keywords, numbers), those in comments and strings included."""
    return set(data.translate(NOT_WORD).split())


def mask(data: bytes) -> bytes:
    """Return the text to parse instead of ``data``: same length, same line breaks. Never raises.

    Data that is not source text (a NUL byte near the start, more than 32 MB) becomes all blanks.
    """
    if len(data) > _MAX_FILE_BYTES or b"\0" in data[:8000]:
        return data.translate(BLANK)
    return bytes(_Masker(b"\n" + data).run()[1:])  # a line break before every line


class _Masker(Editor):
    """The text being masked; ``run`` applies all rules in order."""

    def run(self) -> bytearray:
        data = bytes(self.out)
        present = words(data)
        mask_words(self, data, present)
        mask_unknown_words(self)
        if b"..." in data:
            self._ellipses()
        if b"register" in present:
            for match in _REGISTER.finditer(self.out):
                self.blank(*match.span(1))
        for tag in sorted(present & _TAG_ARGUMENTS.keys()):
            self._tag_arguments(_TAG_ARGUMENTS[tag])
        self._outer_calls()
        self._variables()
        self._blocks()
        self._unnamed_bits()
        if b"define" in present:
            for pattern in _MACRO_COMMENTS:
                for match in pattern.finditer(self.out):
                    self.blank(*match.span(1))
        mask_conditionals(self)
        self._open_comment()
        return self.out

    def _ellipses(self) -> None:
        """``case a ... b:`` -> ``case a |   b:``; ``#define f(args...)`` -> ``#define f(args   )``."""
        out = self.out
        at = out.find(b"...")
        while at >= 0:
            line = bytes(out[self.line_start(at) : at])
            if line.lstrip().startswith(b"#"):
                if IS_WORD[out[at - 1]]:
                    self.blank(at, at + 3)
            elif _CASE_RANGE.search(line):
                self.put(at, at + 3, b" |")
            at = out.find(b"...", at + 3)

    def _tag_arguments(self, pattern: re.Pattern[bytes]) -> None:
        """Blank the tag keyword in ``f(x, struct foo)`` and ``F(struct foo, x)``, but not in a parameter list."""
        out = self.out
        for match in pattern.finditer(out):
            start = match.start()
            before = bytes(out[max(start - 60, 0) : start])
            head = before.rstrip()
            if head.endswith(b","):
                self._blank_keyword(start)
            elif head.endswith(b"("):
                callee = _CALLEE.search(head)
                if match.group()[-1:] == b"," or (callee and callee[1] not in TYPE_OPERATORS):
                    self._blank_keyword(start)

    def _blank_keyword(self, start: int) -> None:
        end = start
        while IS_WORD[self.out[end]]:
            end += 1
        self.blank(start, end)

    def _outer_calls(self) -> None:
        """Rewrite macro calls that start a line: those without ``;``, with a body, or with TP_ arguments."""
        out = self.out
        for match in _OUTER_CALL.finditer(out):
            start, opening = match.start(1), match.end() - 1
            close = self.closing(opening)
            if close < 0 or not self.starts_statement(match.start()):
                continue
            trace = out.find(b"TP_", opening, close)
            if trace >= 0:
                comma = out.rfind(b",", opening, trace)
                self.blank(comma if comma >= 0 else opening + 1, close)
            follow = self.after(close + 1)
            char = out[follow : follow + 1]
            if char == b"{":
                self._definer(start, opening, close)
            elif char == b"#" or char == b"" or (IS_WORD[char[0]] and b"\n" in out[close:follow]):
                if _PROTOTYPE.match(out, opening + 1, close):
                    self.blank(start, opening + 1)
                    out[close : close + 1] = b";"
                elif not all(DECLARED.match(out, *argument) for argument in self.arguments(opening, close)):
                    self.terminate(opening, close)

    def _variables(self) -> None:
        """``static DEFINE_FOO(name, a, b);`` -> ``static DEFINE_FOO name[a| b];``."""
        out = self.out
        for match in _VARIABLE_MACRO.finditer(out):
            opening = match.end() - 1
            close = self.closing(opening, 2000)
            arguments = self.arguments(opening, close) if close >= 0 else []
            if not arguments or not _NAME.match(out, *arguments[0]):
                continue
            if self.char_after(close) == b"{":
                self._definer(match.start(1), opening, close)
            elif len(arguments) > 1:
                self.subscript(opening, close, arguments)

    def _definer(self, start: int, opening: int, close: int) -> None:
        """``DEFINE_FOO(name, int x) {`` -> ``DEFINE_FOO name( int x) {``."""
        arguments = self.arguments(opening, close)
        name = bytes(self.out[start:opening])
        if len(arguments) < 2 or name.islower():
            return
        if name.startswith(b"TEST_F"):
            self.blank(opening + 1, arguments[-1][0])
            return
        self.out[opening : opening + 1] = b" "
        comma = arguments[0][1]
        self.out[comma : comma + 1] = b"("

    def _unnamed_bits(self) -> None:
        """``u32 : 9;`` -> ``u32    ;``."""
        out = self.out
        for match in _BITS.finditer(out):
            at = match.start()
            line = self.line_start(at)
            if _BITS_HEAD.match(out, line, at) and self.starts_statement(line):
                self.blank(*match.span())

    def _blocks(self) -> None:
        """``with_lock(x) {`` -> ``while    (x) {`` on an indented line, where no function is defined."""
        out = self.out
        for match in _BLOCK_END.finditer(out):
            close = match.start()
            line = self.line_start(close)
            lines = 4
            while lines and line and out.count(b"(", line, close) <= out.count(b")", line, close):
                line, lines = self.line_start(line - 1), lines - 1
            head = _BLOCK_HEAD.match(out, line, close)
            if not head or not self.starts_statement(head.start(1)):
                continue
            if self.closing(out.index(b"(", head.end(1)), 500) == close:
                start, end = head.span(1)
                self.put(start, end, b"while" if end - start >= 5 else b"if")

    def _open_comment(self) -> None:
        """Blank each ``/*`` that is never closed: searching for its end costs the lexer quadratic time."""
        out = self.out
        at = out.find(b"/*", out.rfind(b"*/") + 1)
        while at >= 0:
            if out[at - 1 : at] != b"/":
                self.blank(at, at + 2)
            at = out.find(b"/*", at + 2)
