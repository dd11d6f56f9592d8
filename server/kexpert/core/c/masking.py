"""Kernel C -> C that a grammar without a preprocessor can read, byte for byte in place.

Annotations, loop macros, definer macros and ``#if`` that cuts through a statement are replaced by
text of the same length. Line breaks stay, so every offset, row and column of the masked text is
true for the file. What is replaced by what:

- ``static int __init f(void)``            the annotation by blanks
- ``list_for_each_entry(p, head, m) {``    ``while             (p, head, m) {``
- ``SYSCALL_DEFINE1(close, int, fd) {``    ``long            close( int  fd) {``
- ``DECLARE_BITMAP(used, 32);``            ``DECLARE_BITMAP used[ 32];``
- ``DEFINE_PER_CPU(int, hits) = 3;``       ``               int  hits  = 3;``
- ``struct_group(head, int a; int b;);``   ``struct      {      int a; int b;};``
- ``container_of(p, struct foo, bar)``     ``container_of(p,        foo, bar)``
- ``ACPI_EXPORT_SYMBOL(f)`` and no ``;``   ``ACPI_EXPORT_SYMBOL=f;``
- ``TRACE_EVENT(name, TP_PROTO(…), …);``   ``TRACE_EVENT(name            );``

Everything here is one pass at the speed of ``bytes.find``: the set of the file's words says which
rules can apply at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from itertools import pairwise

from kexpert.core.c.editing import BLANK, DECLARED, LOOKBACK, Editor
from kexpert.core.c.vocabulary import (
    ANNOTATION_CALLS,
    ANNOTATIONS,
    ARRAY_MACROS,
    GROUP_MACROS,
    MACHINES,
    PROGRAMS,
    TYPE_ARGUMENT_MACROS,
    TYPE_OPERATORS,
    TYPEOFS,
)

_NOT_WORD = bytes(c if (c < 128 and chr(c).isalnum()) or c == 0x5F else 0x20 for c in range(256))
_IS_WORD = [c != 0x20 for c in _NOT_WORD]
_TAG_ARGUMENTS = {tag: re.compile(tag + rb"\s+\w+\s*[,)]") for tag in (b"struct", b"union", b"enum")}
_OUTER_CALL = re.compile(rb"\n([A-Za-z_]\w*)[ \t]?\((?![\w, \"]*\);)")
_BLOCK_END = re.compile(rb"\)[ \t]*\{[ \t]*\n")
_BLOCK_HEAD = re.compile(rb"[ \t]+(?!if\b|for\b|while\b|switch\b|else\b|return\b|sizeof\b)([A-Za-z_]\w+) ?\([^;{}]*$")
_PATH = re.compile(rb"\s*[*&(]*(\w+)\s*(?:->|\.|\[|\()")
_BITS = re.compile(rb":[ \t]*\d+[ \t]*(?=;)")
_BITS_HEAD = re.compile(rb"[ \t]+[A-Za-z_]\w*(?: int)?[ \t]*$")
_PROTOTYPE = re.compile(rb"\s*\w[\w\s]*[\s*]\w+\s*\(")
_NAME = re.compile(rb"\s*[A-Za-z_]\w*\s*$")
_CALLEE = re.compile(rb"(\w+)\($")
_CASE_RANGE = re.compile(rb"\bcase\b[^:;{}]*$")
_DIRECTIVE = re.compile(rb"#[ \t]*(if|ifdef|ifndef|elif|else|endif)\b[^\n]*(?:(?<=\\)\n[^\n]*)*")
_LOOP_NAMES = [re.compile(part + rb"\w*") for part in (b"for_each", b"FOR_EACH", b"foreach", b"FOREACH")]
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
_NUMBERED_DEFINER = re.compile(rb"\w*SYSCALL\w*DEFINE\w*[1-6]$|BPF_CALL_[1-6]$|NOTRACE_BPF_CALL_[1-6]$")
_LARGEST = 32_000_000  # bytes; the largest register header has half of it
_DEEPEST = 60  # nested conditionals
_HEADS = (b"if ", b"if(", b"for ", b"for(", b"while ", b"while(", b"} else if", b"else if", b"&&", b"||")


def words(data: bytes) -> set[bytes]:
    """Every word (identifiers, keywords, numbers) of a text, comments and strings included."""
    return set(data.translate(_NOT_WORD).split())


def mask(data: bytes) -> bytes:
    """The text to parse in place of ``data``: same length, same line breaks. Never raises.

    What is no source text (a NUL byte near the start, more than 32 MB) becomes all blanks.
    """
    if len(data) > _LARGEST or b"\0" in data[:8000]:
        return data.translate(BLANK)
    return bytes(_Masker(b"\n" + data).run()[1:])  # so that every line starts behind a line break


class _Masker(Editor):
    def run(self) -> bytearray:
        data = bytes(self.out)
        present = words(data)
        for vocabulary, rule in self._rules():
            for word in sorted(present & vocabulary):
                self._each(word, rule)
        self._loops(data)
        if b"_PER_CPU" in data:
            for word in sorted(w for w in present if w.startswith((b"DEFINE_PER_CPU", b"DECLARE_PER_CPU"))):
                self._each(word, self._per_cpu)
        if b"SYSCALL" in data or b"BPF_CALL_" in data:
            for word in sorted(w for w in present if _NUMBERED_DEFINER.match(w)):
                self._each(word, self._numbered_definer)
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
        self._conditionals()
        self._open_comment()
        return self.out

    def _rules(self) -> list[tuple[Set[bytes], Callable[[int, int], None]]]:
        return [
            (ANNOTATIONS, self._annotation),
            (ANNOTATION_CALLS, self._annotation_call),
            (TYPE_ARGUMENT_MACROS, self._type_arguments),
            (ARRAY_MACROS, self._array),
            (GROUP_MACROS.keys(), self._struct_group),
            (MACHINES, self._machine),
            (frozenset((b"define_machine",)), self._machine_block),
            (PROGRAMS, self._program),
            (frozenset((b"LIBBPF_OPTS", b"DECLARE_LIBBPF_OPTS")), self._options),
            (frozenset((b"offsetof",)), self._offsetof),
            (TYPEOFS, self._typeof),
        ]

    def _each(self, word: bytes, rule: Callable[[int, int], None]) -> None:
        """Apply a rule to every occurrence of a whole word outside directives."""
        out, size = self.out, len(word)
        at = out.find(word)
        while at >= 0:
            end = at + size
            whole = not (at and _IS_WORD[out[at - 1]]) and not (end < len(out) and _IS_WORD[out[end]])
            if whole and not self.in_directive(at):
                rule(at, end)
            at = out.find(word, end)

    def _annotation(self, start: int, end: int) -> None:
        if start == 0 or self.out[start - 1] not in b".>":
            self.blank(start, end)

    def _annotation_call(self, start: int, end: int) -> None:
        close = self.closing(self.after(end), 2000)
        if close >= 0 and (self.out[end - 1] == 0x5F or not self._is_call(start, close)):
            self.blank(start, close + 1)

    def _is_call(self, start: int, close: int) -> bool:
        """Whether ``name(…)`` is used for its value or as a statement, as no annotation is."""
        last = self._last_ink(start)
        before = self.out[last : last + 1] if last >= 0 else b""
        if before in (b"=", b"(", b",", b"!", b"&", b"|", b"+", b"-", b"<", b">", b"?"):
            return True
        return self._char_after(close) == b";" and before in (b";", b"{", b"}", b":")

    def _loops(self, data: bytes) -> None:
        out = self.out
        for pattern in _LOOP_NAMES:
            for match in pattern.finditer(data):
                start = match.start()
                while start and _IS_WORD[out[start - 1]]:
                    start -= 1
                if not self.in_directive(start):
                    self._loop(start, match.end())

    def _loop(self, start: int, end: int) -> None:
        opening = self.after(end)
        close = self.closing(opening, 2000)
        if close < 0 or not self.starts_statement(start):
            return
        follow = self.after(close + 1)
        if bytes(self.out[follow : follow + 1]) in b";,)=&|<>?+]}":
            return
        self.put(start, end, b"while")

    def _per_cpu(self, start: int, end: int) -> None:
        close = self.closing(end, 1000)
        arguments = self.arguments(end, close) if close >= 0 else []
        if len(arguments) < 2:
            return
        self.blank(start, end + 1)
        bracket = self.out.find(b"[", *arguments[0])
        if bracket >= 0:
            self.blank(bracket, arguments[0][1])
        self.blank(arguments[0][1], arguments[1][0])
        self.blank(arguments[1][1], close + 1)

    def _type_arguments(self, start: int, end: int) -> None:
        opening = self.after(end)
        close = self.closing(opening, 2000)
        if close >= 0:
            for argument in self.arguments(opening, close):
                self.type_argument(*argument)

    def _array(self, start: int, end: int) -> None:
        close = self.closing(end, 1000)
        arguments = self.arguments(end, close) if close >= 0 else []
        if len(arguments) < 2:
            return
        self._subscript(end, close, arguments)

    def _subscript(self, opening: int, close: int, arguments: list[tuple[int, int]]) -> None:
        """``F(name, a, b)`` -> ``F name[a| b]``: a variable whose type is the macro, no word lost."""
        out = self.out
        out[opening : opening + 1] = b" "
        for index, (_, stop) in enumerate(arguments[:-1]):
            out[stop : stop + 1] = b"|" if index else b"["
        self.operands(arguments[1:])
        out[close : close + 1] = b"]"

    def _machine(self, start: int, end: int) -> None:
        """``MACHINE_START(NAME, "text") … MACHINE_END`` -> ``MACHINE_START NAME={"text", … };``."""
        out = self.out
        if out[start:end].endswith(b"_END"):
            self.put(start, end, b"};")
            return
        close = self.closing(end, 1000)
        arguments = self.arguments(end, close) if close >= 0 else []
        if len(arguments) == 2 and out[arguments[1][0]] == 0x20:
            out[end : end + 1] = b" "
            out[arguments[0][1] : arguments[1][0] + 1] = b"={"
            out[close : close + 1] = b","

    def _machine_block(self, start: int, end: int) -> None:
        """``define_machine(name) { .a = b,\\n}`` -> ``define_machine name={ .a = b}\\n;``."""
        out = self.out
        close = self.closing(end, 200)
        brace = out.find(b"\n}", close, close + 20_000) if close >= 0 else -1
        comma = self._last_ink(brace) if brace >= 0 else -1
        if self._char_after(close) == b"{" and comma >= 0 and out[comma] == 0x2C:
            out[end : end + 1] = b" "
            out[close : close + 1] = b"="
            out[comma : comma + 1] = b"}"
            out[brace + 1 : brace + 2] = b";"

    def _last_ink(self, at: int) -> int:
        """Offset of the last byte before ``at`` that is not blank."""
        start = max(at - LOOKBACK, 0)
        return start + len(bytes(self.out[start:at]).rstrip()) - 1

    def _program(self, start: int, end: int) -> None:
        """``int BPF_PROG(name, int a)`` -> ``int          name( int a)``."""
        close = self.closing(end, 2000)
        arguments = self.arguments(end, close) if close >= 0 else []
        if not arguments or self._char_after(close) != b"{":
            return
        self.blank(start, end)
        if len(arguments) > 1:
            self.blank(end, end + 1)
            self.out[arguments[0][1] : arguments[0][1] + 1] = b"("

    def _options(self, start: int, end: int) -> None:
        """``LIBBPF_OPTS(type, name, .a = b);`` -> ``            type  name={.a = b};``."""
        out = self.out
        close = self.closing(end)
        arguments = self.arguments(end, close) if close >= 0 else []
        if len(arguments) < 2:
            return
        self.blank(start, end + 1)
        self.blank(arguments[0][1], arguments[0][1] + 1)
        if len(arguments) == 2:
            self.blank(close, close + 1)
            return
        out[arguments[1][1] : arguments[1][1] + 1] = b"="
        first = arguments[2][0]
        gap = next((at for at in range(first, self.after(first)) if out[at] in b" \t"), -1)
        if gap >= 0:
            out[gap : gap + 1] = b"{"
            out[close : close + 1] = b"}"

    def _struct_group(self, start: int, end: int) -> None:
        skip = GROUP_MACROS[bytes(self.out[start:end])]
        close = self.closing(end)
        arguments = self.arguments(end, close) if close >= 0 else []
        if len(arguments) <= skip:
            return
        self.put(start, end + 1, b"struct     ")
        self.out[end : end + 1] = b"{"
        self.blank(end + 1, arguments[skip][0])
        self.out[close : close + 1] = b"}"

    def _offsetof(self, start: int, end: int) -> None:
        """The grammar knows ``offsetof(type, name)``; with a path for a name it becomes a call."""
        opening = self.after(end)
        close = self.closing(opening, 1000)
        arguments = self.arguments(opening, close) if close >= 0 else []
        if len(arguments) == 2 and not _NAME.match(self.out, *arguments[1]):
            self.type_argument(*arguments[0])
            self.out[start : start + 1] = b"_"

    def _typeof(self, start: int, end: int) -> None:
        """``typeof(a->b) c`` -> ``typeof(a   ) c``: the grammar knows types there; alignof becomes a call."""
        opening = self.after(end)
        close = self.closing(opening, 500)
        path = _PATH.match(self.out, opening + 1, close) if close >= 0 else None
        if not path:
            return
        if b"align" in self.out[start:end]:
            self.out[start : start + 1] = b"o"
        else:
            self.blank(path.end(1), close)

    def _ellipses(self) -> None:
        """``case a ... b:`` -> ``case a |   b:``; ``#define f(args...)`` -> ``#define f(args   )``."""
        out = self.out
        at = out.find(b"...")
        while at >= 0:
            line = bytes(out[self.line_start(at) : at])
            if line.lstrip().startswith(b"#"):
                if _IS_WORD[out[at - 1]]:
                    self.blank(at, at + 3)
            elif _CASE_RANGE.search(line):
                self.put(at, at + 3, b" |")
            at = out.find(b"...", at + 3)

    def _tag_arguments(self, pattern: re.Pattern[bytes]) -> None:
        """``f(x, struct foo)`` and ``F(struct foo, x)``; as types of parameters they stay types."""
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
        while _IS_WORD[self.out[end]]:
            end += 1
        self.blank(start, end)

    def _numbered_definer(self, start: int, end: int) -> None:
        close = self.closing(end)
        arguments = self.arguments(end, close) if close >= 0 else []
        if len(arguments) < 2:
            return
        self.put(start, end, b"long")
        self.blank(end, end + 1)
        self.out[arguments[0][1] : arguments[0][1] + 1] = b"("
        for index in range(1, len(arguments) - 1, 2):
            comma = arguments[index][1]
            self.out[comma : comma + 1] = b" "

    def _outer_calls(self) -> None:
        """Macro calls that start a line: without ``;``, with a body, with the TP_ parts of a tracepoint."""
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
            elif char == b"#" or char == b"" or (_IS_WORD[char[0]] and b"\n" in out[close:follow]):
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
            if self._char_after(close) == b"{":
                self._definer(match.start(1), opening, close)
            elif len(arguments) > 1:
                self._subscript(opening, close, arguments)

    def _char_after(self, close: int) -> bytes:
        at = self.after(close + 1)
        return bytes(self.out[at : at + 1])

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
        """``with_lock(x) {`` on an indented line; no function is ever defined there."""
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
        """Blanks for each ``/*`` that nothing closes: looking for its end costs the lexer squares."""
        out = self.out
        at = out.find(b"/*", out.rfind(b"*/") + 1)
        while at >= 0:
            if out[at - 1 : at] != b"/":
                self.blank(at, at + 2)
            at = out.find(b"/*", at + 2)

    def _conditionals(self) -> None:
        """Take away ``#if`` that cuts through statements, lists or braces, innermost first."""
        stack: list[list[tuple[int, int]]] = []
        for match in _DIRECTIVE.finditer(self.out):
            if self.out[self.line_start(match.start()) : match.start()].strip():
                continue
            if len(stack) > _DEEPEST:
                return
            kind = match[1]
            if kind in (b"if", b"ifdef", b"ifndef"):
                stack.append([match.span()])
            elif stack:
                stack[-1].append(match.span())
                if kind == b"endif":
                    self._conditional(stack.pop())

    def _conditional(self, directives: list[tuple[int, int]]) -> None:
        branches = [(a[1], b[0]) for a, b in pairwise(directives)]
        ends = [self._branch_end(*branch) for branch in branches]
        if all(end == b"," for end in ends):
            pass
        elif any(end not in (b"", b";", b"}") for end in ends) or not self._may_branch(directives[0][0]):
            self._keep_one(directives[0], branches)
        else:
            return
        for start, end in directives:
            self.blank(start, end)

    def _may_branch(self, at: int) -> bool:
        """Whether a statement may begin at ``at``: not after ``if (x)``, ``else`` or a label."""
        before = bytes(self.out[max(at - LOOKBACK, 0) : at]).rstrip()
        if before.endswith((b":", b"else")):
            return False
        line = before[before.rfind(b"\n") + 1 :]
        if before.endswith(b")") and line[:1] in b" \t" and line.lstrip().startswith(_HEADS):
            return False
        return self.starts_statement(at)

    def _keep_one(self, first: tuple[int, int], branches: list[tuple[int, int]]) -> None:
        condition = bytes(self.out[slice(*first)]).split()[-1]
        keep = 0
        if condition in (b"0", b"__cplusplus"):
            keep = 1
        for index, (start, end) in enumerate(branches):
            if index != keep:
                self.blank(start, end)

    def _branch_end(self, start: int, end: int) -> bytes:
        """What a branch ends in: ``;``, ``}``, ``,``, or ``?`` where it cannot stand by itself."""
        out = self.out
        tail = bytes(out[max(start, end - 2000) : end]).rstrip()
        while tail.endswith(b"*/"):
            tail = tail[: max(tail.rfind(b"/*"), 0)].rstrip()
        if not tail:
            return b""
        for opener, closer in (b"{}", b"()"):
            if out.count(opener, start, end) != out.count(closer, start, end):
                return b"?"
        line = tail[tail.rfind(b"\n") + 1 :]
        if line.lstrip()[:1] == b"#" or tail[: len(tail) - len(line)].rstrip(b"\n").endswith(b"\\"):
            return b""
        head = bytes(out[self.after(start) : start + 200])
        if head.startswith((b"}", b"else", b"||", b"&&", b")")):
            return b"?"
        return tail[-1:]
