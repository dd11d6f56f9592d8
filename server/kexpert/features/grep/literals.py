"""The literals that every match of a regular expression must hold.

The syntax is RE2's. What is not understood promises nothing, so the answer is always safe. ASCII letters are folded.
The method is that of Russ Cox, "Regular Expression Matching with a Trigram Index" (2012), on literals instead of
trigrams.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Texts of one set of alternatives, and the size of one text.
_MAX_ALTERNATIVES = 24
_MAX_BYTES = 64
_MAX_DEPTH = 60
_MAX_CLASS = 5
_REPEAT = re.compile(rb"\{(\d{1,4})(?:(,)(\d{0,4}))?\}")
_GROUP = re.compile(rb"\?(?:P?<\w+>|[imsU-]*:)")
_FLAGS = re.compile(rb"\?[imsU-]+\)")
_HEX = re.compile(rb"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,8})\})")
_OCTAL = re.compile(rb"[1-7][0-7]{0,2}|0[0-7]{0,2}")
_POSIX_CLASS = re.compile(rb"\[:\^?\w+:\]")
_CONTROL = {b"a": b"\x07", b"f": b"\f", b"t": b"\t", b"n": b"\n", b"r": b"\r", b"v": b"\v"}
_EMPTY_WIDTH = b"bBAz"
_PUNCTUATION = re.compile(rb"[!-/:-@\[-`{-~]")

Clause = frozenset[bytes]


def required_literals(pattern: bytes, *, folds: bool = True) -> list[Clause]:
    """Sets of texts, of each of which a match of a valid pattern holds at least one, letters folded; as they are
    written without ``folds``, for patterns that do not ignore case.

    Empty where nothing is known. Non-ASCII patterns promise nothing, because their letters may fold to others.
    """
    if not pattern.isascii() or b"\\Q" in pattern or b"\\C" in pattern:
        return []
    try:
        found = _Parser(pattern, folds).whole()
    except _Unknown:
        return []
    return [clause for clause in _with_exact(found) if clause and all(clause)]


def best_first(clauses: Sequence[Clause]) -> list[Clause]:
    """The clauses whose shortest text is longest first."""
    return sorted(clauses, key=lambda clause: -min(map(len, clause)))


class _Unknown(Exception):
    """A part of a pattern that is not understood."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of a part of a pattern: all texts that it matches, or None if they are too many, and clauses.

    If they are too many, every match begins with one of ``begins`` and ends with one of ``ends``.
    """

    exact: Clause | None
    clauses: tuple[Clause, ...] = ()
    begins: Clause = frozenset({b""})
    ends: Clause = frozenset({b""})


_ANYTHING = _Part(None)
_NOTHING = _Part(frozenset({b""}))  # an empty match


def _with_exact(part: _Part) -> tuple[Clause, ...]:
    """The clauses of a part; the texts of an exact one are a clause."""
    return (*part.clauses, part.exact) if part.exact is not None else part.clauses


def _joined(parts: Sequence[_Part]) -> _Part:
    """Parts in a row: exact neighbours become one set of longer texts."""
    if not parts:
        return _NOTHING
    clauses: list[Clause] = []
    run: Clause = frozenset({b""})
    begins: Clause | None = None  # of the whole, once a part is not exact
    for part in parts:
        clauses += part.clauses
        if part.exact is not None and (longer := _in_a_row(run, part.exact)):
            run = longer
            continue
        run = _in_a_row(run, part.begins) or run if part.exact is None else run
        begins = run if begins is None else begins
        clauses.append(run)
        run = part.ends if part.exact is None else part.exact
    if begins is None:
        return _Part(run, tuple(clauses))
    return _Part(None, tuple(clause for clause in (*clauses, run) if all(clause)), begins, run)


def _in_a_row(left: Clause, right: Clause) -> Clause:
    """Each text of ``left`` with each of ``right`` after it; none if they are too many or too long."""
    if len(left) * len(right) > _MAX_ALTERNATIVES:
        return frozenset()
    longer = frozenset(one + other for one in left for other in right)
    return longer if max(map(len, longer), default=0) <= _MAX_BYTES else frozenset()


def _either(parts: Sequence[_Part]) -> _Part:
    """Alternatives: the texts of all, or the best clause of each."""
    if len(parts) == 1:
        return parts[0]
    if all(part.exact is not None and not part.clauses for part in parts):
        texts = frozenset(text for part in parts for text in part.exact or ())
        if len(texts) <= _MAX_ALTERNATIVES:
            return _Part(texts)
    chosen: list[Clause] = []
    for part in parts:
        best = best_first([clause for clause in _with_exact(part) if clause and all(clause)])
        if not best:
            return _ANYTHING
        chosen.append(best[0])
    union = frozenset(text for clause in chosen for text in clause)
    return _Part(None, (union,)) if len(union) <= 2 * _MAX_ALTERNATIVES else _ANYTHING


def _repeated(part: _Part, least: int, most: int | None) -> _Part:
    """``part`` from ``least`` to ``most`` times."""
    if least == 0:
        if most == 1 and part.exact is not None and not part.clauses:
            return _Part(part.exact | {b""})
        return _NOTHING if most == 0 else _ANYTHING
    if least == most and least <= 8:
        return _joined([part] * least)
    clauses = tuple(clause for clause in _with_exact(part) if all(clause))
    return _Part(None, clauses, part.exact or part.begins, part.exact or part.ends)


class _Parser:
    """One pass over a pattern. Raises _Unknown for what is not understood."""

    def __init__(self, pattern: bytes, folds: bool) -> None:
        self.text, self.folds = pattern, folds
        self.at = self.depth = 0

    def whole(self) -> _Part:
        found = self._alternatives()
        if self.at < len(self.text):
            raise _Unknown
        return found

    def _alternatives(self) -> _Part:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _Unknown
        branches = [self._sequence()]
        while self._take(b"|"):
            branches.append(self._sequence())
        self.depth -= 1
        return _either(branches)

    def _take(self, wanted: bytes) -> bool:
        found = self.text.startswith(wanted, self.at)
        self.at += len(wanted) if found else 0
        return found

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self.at < len(self.text) and self.text[self.at : self.at + 1] not in (b"|", b")"):
            part = self._atom()
            while True:
                repeat = self._repeat()
                if repeat is None:
                    break
                part = _repeated(part, *repeat)
            parts.append(part)
        return _joined(parts)

    def _repeat(self) -> tuple[int, int | None] | None:
        """(least, most) of the quantifier here; None if there is none. ``{`` may also be a literal."""
        bounds: tuple[int, int | None]
        if self._take(b"*"):
            bounds = 0, None
        elif self._take(b"+"):
            bounds = 1, None
        elif self._take(b"?"):
            bounds = 0, 1
        else:
            match = _REPEAT.match(self.text, self.at)
            if match is None:
                return None
            self.at = match.end()
            least = int(match[1])
            bounds = least, (int(match[3]) if match[3] else None) if match[2] else least
        self._take(b"?")  # lazy
        return bounds

    def _atom(self) -> _Part:
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char == b"(":
            return self._group()
        if char == b"[":
            return self._class()
        if char == b"\\":
            return self._escape()
        if char == b".":
            return _ANYTHING
        if char in (b"^", b"$"):
            return _NOTHING
        if char in (b"*", b"+", b"?"):
            raise _Unknown
        return self._literal(char)

    def _group(self) -> _Part:
        if flags := _FLAGS.match(self.text, self.at):
            self._heed(flags[0])
            self.at = flags.end()
            return _NOTHING
        if self.text.startswith(b"?", self.at):
            group = _GROUP.match(self.text, self.at)
            if group is None:
                raise _Unknown
            self._heed(group[0])
            self.at = group.end()
        found = self._alternatives()
        if not self._take(b")"):
            raise _Unknown
        return found

    def _heed(self, flags: bytes) -> None:
        """Flags may say that case does not matter."""
        if not self.folds and b"i" in flags and b"<" not in flags:
            raise _Unknown

    def _escape(self) -> _Part:
        char = self.text[self.at : self.at + 1]
        if char == b"x":
            match = _HEX.match(self.text, self.at)
            if match is None:
                raise _Unknown
            self.at = match.end()
            return self._code(int(match[1] or match[2], 16))
        if octal := _OCTAL.match(self.text, self.at):
            if len(octal[0]) == 1 and octal[0] != b"0":
                raise _Unknown  # a back-reference elsewhere
            self.at = octal.end()
            return self._code(int(octal[0], 8))
        self.at += 1
        if char in _CONTROL:
            return self._literal(_CONTROL[char])
        if char and char in _EMPTY_WIDTH:
            return _NOTHING
        if char and char in b"dDsSwW":
            return _ANYTHING
        if _PUNCTUATION.fullmatch(char):
            return self._literal(char)
        raise _Unknown

    def _class(self) -> _Part:
        """``[…]``: a small set of ASCII characters is exact."""
        is_negated = self._take(b"^")
        chars: set[bytes] = set()
        is_small = not is_negated
        first = True
        while first or not self.text.startswith(b"]", self.at):
            first = False
            if self.at >= len(self.text):
                raise _Unknown
            if named := _POSIX_CLASS.match(self.text, self.at):
                self.at = named.end()
                is_small = False
                continue
            low = self._class_char()
            high = low
            if self.text.startswith(b"-", self.at) and not self.text.startswith(b"-]", self.at):
                self.at += 1
                high = self._class_char()
            if low is None or high is None or ord(high) - ord(low) > _MAX_CLASS:
                is_small = False
            else:
                chars.update(bytes([code]) for code in range(ord(low), ord(high) + 1))
        self.at += 1
        folded = frozenset(map(self._folded, chars))
        return _Part(folded) if is_small and 0 < len(folded) <= _MAX_CLASS else _ANYTHING

    def _class_char(self) -> bytes | None:
        """One character of a class; None for an escape that means several."""
        if not self._take(b"\\"):
            self.at += 1
            return self.text[self.at - 1 : self.at]
        is_number = self.text[self.at : self.at + 1] in (b"x", *(b"%d" % digit for digit in range(8)))
        texts = self._escape().exact
        if is_number:
            return None  # its letter is folded here, but the bounds of a range are not
        return next(iter(texts)) if texts is not None and len(texts) == 1 and b"" not in texts else None

    def _literal(self, char: bytes) -> _Part:
        return _Part(frozenset({self._folded(char)}))

    def _code(self, number: int) -> _Part:
        """A character by its number; others than ASCII have several bytes or one, by the encoding."""
        return self._literal(bytes([number])) if number < 0x80 else _ANYTHING

    def _folded(self, char: bytes) -> bytes:
        return char.lower() if self.folds else char
