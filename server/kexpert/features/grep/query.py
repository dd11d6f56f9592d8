"""What a search for text asks, and the engine that runs the expression: RE2, whose time is linear in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kexpert.core.symbols import Kind
from kexpert.features.grep.literals import Clause, required_literals

MAX_PATTERN_CHARS = 1000
_MAX_PROGRAM_BYTES = 32 << 20
#: Texts looked for before an expression is run, and the size of the shortest.
_MAX_NEEDLES = 4
_MIN_NEEDLE_BYTES = 3
#: What may match at the ends of a text alone: "\A", "\z", and "^" and "$" where flags are cleared.
_OF_WHOLE_TEXT = re.compile(rb"\\[Az]|\(\?[a-zA-Z]*-")
#: What RE2 does not take, by what its pattern holds.
_UNSUPPORTED = (
    ("(?=", "look-aheads"), ("(?!", "look-aheads"), ("(?<=", "look-behinds"), ("(?<!", "look-behinds"),
    ("(?>", "atomic groups"), ("(?P=", "back-references"), ("\\k<", "back-references"),
    *((f"\\{digit}", "back-references") for digit in range(1, 10)),
    ("*+", "possessive repeats"), ("++", "possessive repeats"), ("?+", "possessive repeats"),
)  # fmt: skip

#: Names of the kinds that a filter takes.
KINDS: dict[str, tuple[Kind, ...]] = {
    "function": (Kind.FUNCTION, Kind.SYSCALL),
    "syscall": (Kind.SYSCALL,),
    "macro": (Kind.MACRO,),
    "struct": (Kind.STRUCT,),
    "union": (Kind.UNION,),
    "enum": (Kind.ENUM,),
    "typedef": (Kind.TYPEDEF,),
    "variable": (Kind.VARIABLE,),
    "declaration": (Kind.PROTOTYPE, Kind.DECLARATION),
    "tracepoint": (Kind.TRACEPOINT,),
    "config": (Kind.CONFIG,),
    "label": (Kind.ASM_LABEL,),
}


class BadQuery(ValueError):
    """A pattern or a filter that cannot be used; the message says which, why, and what to write instead."""


@dataclass(frozen=True, slots=True)
class GrepQuery:
    """``paths`` are patterns as in gitignore, ``kinds`` keys of ``KINDS``, ``configs`` options of which a file is
    built by one or a result stands under one. Values of one filter are alternatives."""

    pattern: str
    is_fixed: bool = False
    ignores_case: bool = False
    paths: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    #: Results, and matching lines of one.
    max_results: int = 50
    max_lines: int = 5
    max_seconds: float = 20.0

    def wanted_kinds(self) -> frozenset[Kind]:
        """Raises BadQuery."""
        for kind in self.kinds:
            if kind not in KINDS:
                raise BadQuery(f"kind {kind!r} is none of {', '.join(sorted(KINDS))}")
        return frozenset(kind for name in self.kinds for kind in KINDS[name])


class Expression:
    """A compiled pattern. ``^`` and ``$`` match at lines, ``.`` matches no newline."""

    def __init__(self, query: GrepQuery) -> None:
        """Raises BadQuery."""
        import re2

        pattern = query.pattern
        if not pattern:
            raise BadQuery("the pattern is empty")
        if len(pattern) > MAX_PATTERN_CHARS:
            raise BadQuery(f"the pattern has {len(pattern)} characters; {MAX_PATTERN_CHARS} are the most")
        try:
            written = pattern.encode()
        except UnicodeEncodeError:
            raise BadQuery("the pattern is no valid text") from None
        if b"\0" in written:
            raise BadQuery("the pattern holds a zero byte")
        options = re2.Options()
        options.log_errors = False
        options.never_capture = True
        options.case_sensitive = not query.ignores_case
        options.max_mem = _MAX_PROGRAM_BYTES
        if written.isascii():  # any byte is a character: files need not be UTF-8
            options.encoding = re2.Options.Encoding.LATIN1
        if query.is_fixed:
            written = re2.escape(written)
        try:
            self._compiled: Any = re2.compile(b"(?m)" + written, options)
        except re2.error as error:
            raise BadQuery(_refusal(pattern, error)) from None
        #: True if texts joined by newlines hold a match where one of them does.
        self.can_join = query.is_fixed or _OF_WHOLE_TEXT.search(written) is None
        self.clauses: list[Clause] = [frozenset({pattern.encode().lower()})]
        if not query.is_fixed:
            self.clauses = required_literals(written)
        elif query.ignores_case and not written.isascii():
            self.clauses = []
        exact = [] if query.is_fixed or query.ignores_case else required_literals(written, folds=False)
        self._needles = [re2.compile(re2.escape(each), options) for each in sorted(_needles(exact))]

    def is_in(self, data: bytes) -> bool:
        """True if a text holds a match. Any thread may ask."""
        if self._needles and not any(needle.search(data) for needle in self._needles):
            return False
        return self._compiled.search(data) is not None

    def matches(self, data: bytes) -> Iterator[tuple[int, int]]:
        """(start, end) of matches from the start, at most one begins on a line."""
        search, at = self._compiled.search, 0
        while at <= len(data):
            match = search(data, at)
            if match is None:
                return
            yield match.span()
            at = data.find(b"\n", match.start()) + 1
            if at == 0:
                return


def _needles(clauses: Sequence[Clause]) -> Clause:
    """The texts to look for before the expression is run: RE2 finds a plain text twenty times as fast as it runs most
    expressions. Empty if none is worth it."""
    short = [each for each in clauses if len(each) <= _MAX_NEEDLES and min(map(len, each)) >= _MIN_NEEDLE_BYTES]
    return max(short, key=lambda each: min(map(len, each)), default=frozenset())


def _refusal(pattern: str, error: Exception) -> str:
    """One line: the pattern, why it is refused, and what is possible."""
    reason = error.args[0] if error.args else ""
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    for mark, what in _UNSUPPORTED:
        if mark in pattern:
            return f"{pattern!r}: {what} are not supported, because their time has no bound; leave them out"
    why = " ".join(text.replace("(?m)", "", 1).split()) or "no valid expression"
    return f"{pattern!r}: {why}; --fixed-strings searches for it as it is"
