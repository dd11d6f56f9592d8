"""Assembly of the kernel: labels, macros and calls, without an assembler."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.word_scan import identifiers
from kexpert.core.symbols import FileFacts, Flag, Kind, Symbol

#: SYM_FUNC_START(memcpy), SYM_CODE_START_LOCAL(x), SYM_INNER_LABEL(x, …), ENTRY(x), ``.macro X``, ``.globl x``.
_NAMED = re.compile(
    rb"^[ \t]*(?:(?:SYM_(?:FUNC|CODE|DATA|TYPED_FUNC)_START\w*|SYM_FUNC_ALIAS\w*|SYM_DATA|SYM_INNER_LABEL\w*"
    rb"|ENTRY|WEAK|_GLOBAL|_GLOBAL_TOC|LEAF|NESTED)\s*\(\s*(?P<label>\w+)"
    rb"|\.macro[ \t]+(?P<macro>\w+)|\.globa?l[ \t]+(?P<globl>\w+))",
    re.M,
)
_CALL = re.compile(
    rb"(?:^|[;:])[ \t]*(?:callq?|jmp|blx?|b(?:\.\w+)?|jalr?|bal|jsr|bsr|brasl|tail|j|bctrl)[ \t]+(?:%?\w+,[ \t]*)?"
    rb"(?:[A-Z]\w*\()?([A-Za-z_]\w*)",
    re.M,
)


def extract_assembly(path: str, data: bytes) -> FileFacts:
    """The symbols and calls of an assembly file. A call belongs to the label above it."""
    facts = FileFacts(identifiers=identifiers(data))
    code = blank_comments(data)
    line = seen = 0
    for match in _NAMED.finditer(code):
        kind, flags = (Kind.MACRO, Flag.FUNCTION_LIKE) if match["macro"] else (Kind.ASM_LABEL, Flag(0))
        group = "macro" if match["macro"] else "globl" if match["globl"] else "label"
        at, name = match.start(group), match[group]
        if match["globl"]:
            label = re.compile(rb"^" + re.escape(name) + rb":", re.M).search(code)
            if label is None:
                continue
            at = label.start()
        if at < seen:
            line = seen = 0
        line += code.count(b"\n", seen, at)
        seen = at
        symbol = Symbol(name.decode(), kind, path, line, at, min(match.start(), at), max(match.end(), at + len(name)),
                        "", flags)  # fmt: skip
        if match["globl"]:
            symbol = symbol._replace(start=at, end=at + len(name))
        if symbol not in facts.symbols:
            facts.symbols.append(symbol)
    facts.symbols.sort(key=lambda symbol: symbol.name_start)
    owners = [(symbol.start, number) for number, symbol in enumerate(facts.symbols) if not _is_inner(code, symbol)]
    calls = set()
    for name, call in _calls(code):
        at = bisect_left(owners, (call, 0)) - 1
        if at >= 0:
            calls.add((owners[at][1], name))
    facts.calls = sorted(calls)
    return facts


def _calls(code: bytes) -> Iterator[tuple[str, int]]:
    for match in _CALL.finditer(code):
        yield match[1].decode("latin-1"), match.start(1)


def _is_inner(code: bytes, symbol: Symbol) -> bool:
    """True for a label inside a function: calls below it belong to the function."""
    return code.startswith(b"SYM_INNER_LABEL", symbol.start)


def calls_below(data: bytes, label: Symbol, symbols: Iterable[Symbol]) -> list[tuple[str, int]]:
    """(name, offset) of the calls between a label and the next function; ``symbols`` are those of the file."""
    code = blank_comments(data)
    following = (each.start for each in symbols if each.start > label.start and not _is_inner(code, each))
    end = min(following, default=len(code))
    return [(name, at) for name, at in _calls(code) if label.start <= at < end]


_MACRO = re.compile(rb"[ \t]*\.macro[ \t]+(\w+)")
_END_OF_MACRO = re.compile(rb"\n[ \t]*\.endm\b[^\n]*")
_NO_DIRECTIVE = re.compile(rb"^[ \t]*+(?!#)[^\n]*", re.M)


def assembly_macros(path: str, code: bytes) -> list[Symbol]:
    """The macros of assembly in a header: ``.macro SAVE_ALL stack=0`` up to ``.endm``."""
    if not path.endswith(".h"):
        return []
    return [
        Symbol(
            code[at:end].decode(), Kind.MACRO, path, code.count(b"\n", 0, at), at, start, stop, "", Flag.FUNCTION_LIKE
        )
        for start, stop, at, end in _macros(code)
    ]


def without_assembly(code: bytes) -> bytes:
    """The text with the macros of assembly blank, but for the directives in them."""
    pieces, done = [], 0
    for start, stop, _, _ in _macros(code):
        pieces += [code[done:start], _NO_DIRECTIVE.sub(lambda line: b" " * len(line[0]), code[start:stop])]
        done = stop
    return b"".join((*pieces, code[done:])) if done else code


def _macros(code: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(start, end, start of the name, end of the name) of each ``.macro``."""
    at = 0
    while (found := code.find(b".macro", at)) >= 0:
        at = found + 6
        start = code.rfind(b"\n", 0, found) + 1
        if (head := _MACRO.match(code, start)) is None or head.start(1) < at:
            continue
        if (end := _END_OF_MACRO.search(code, head.end())) is None:
            return
        at = end.end()
        yield start, at, *head.span(1)


_OFFSET = re.compile(rb"\b(?:OFFSET|DEFINE)\s*\(\s*([A-Za-z_]\w*)\s*,")


def assembly_constants(path: str, code: bytes) -> list[Symbol]:
    """The constants that an asm-offsets.c makes for assembly: OFFSET(TSS_sp2, tss_struct, x86_tss.sp2)."""
    if not path.endswith(("asm-offsets.c", "asm-offsets_32.c", "asm-offsets_64.c")):
        return []
    found = []
    for match in _OFFSET.finditer(code):
        line, end = code.count(b"\n", 0, match.start(1)), code.find(b"\n", match.end())
        found.append(Symbol(match[1].decode(), Kind.MACRO, path, line, match.start(1), match.start(),
                            end if end >= 0 else len(code), "", Flag.IDIOM))  # fmt: skip
    return found
