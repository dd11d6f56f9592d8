"""Abbreviations that join several words: ``ceq`` for completion event queue, ``txq``, ``psflags``, ``tailroom``.

All words are stems (``kexpert.core.retrieval.words.stem``). The words of a query are in their order in the query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from kexpert.core.retrieval.words import stem

#: BM25 weight of an abbreviation, relative to a word of the query itself.
ABBREVIATION_WEIGHT = 0.5

_MAX_WORDS = 5  # that one abbreviation joins
_MIN_LETTERS = 3  # of a reliable abbreviation: two initials usually mean something else


def candidate_abbreviations(query: Sequence[str]) -> list[str]:
    """Stems that may abbreviate neighbouring words of a query: their initials, initials and the last word, the first
    word and initials, two words written as one. Words of the query itself are left out."""
    found: dict[str, None] = {}
    for first in range(len(query)):
        for count in range(2, min(_MAX_WORDS, len(query) - first) + 1):
            run = query[first : first + count]
            initials = "".join(word[0] for word in run)
            found[initials] = None
            found[initials[:-1] + run[-1]] = None
            found[run[0] + initials[1:]] = None
            if count == 2:
                found[run[0] + run[1]] = None
    stems = dict.fromkeys(stem(word) for word in found if len(word) >= _MIN_LETTERS)
    return [word for word in stems if word not in query]


def abbreviated_run(word: str, query: Sequence[str]) -> tuple[int, int] | None:
    """The longest run of query words, as (first, last + 1), that ``word`` abbreviates; None if there is none.

    ``word`` must be a concatenation of prefixes, one of each word of the run, and the run at least two words long.
    """
    longest: tuple[int, int] | None = None
    for first in range(len(query) - 1):
        if not word.startswith(query[first][0]):
            continue
        ends = {0}
        for at in range(first, min(first + _MAX_WORDS, len(query))):
            ends = {end for start in ends for end in _prefix_ends(word, start, query[at])}
            if not ends:
                break
            if at > first and len(word) in ends and (longest is None or at + 1 - first > longest[1] - longest[0]):
                longest = first, at + 1
    return longest


def _prefix_ends(word: str, start: int, part: str) -> range:
    """The offsets in ``word`` where a non-empty prefix of ``part`` that begins at ``start`` may end."""
    end = start
    for letter in part:
        if end == len(word) or word[end] != letter:
            break
        end += 1
    return range(start + 1, end + 1)


def is_clipped(word: str, full: str) -> bool:
    """Return True if ``word`` is ``full`` with letters left out, the first one kept (``mbx`` of mailbox).

    This is a test for a subsequence, not an edit distance: no library is needed.
    """
    if not _MIN_LETTERS <= len(word) < len(full) or word[0] != full[0]:
        return False
    letters = iter(full)
    return all(letter in letters for letter in word)


class _Matches(dict[str, tuple[bool, frozenset[int]]]):
    """What is known of each word, worked out when it is first asked for."""

    def __init__(self, compare: Callable[[str], tuple[bool, frozenset[int]]]) -> None:
        self._compare = compare

    def __missing__(self, word: str) -> tuple[bool, frozenset[int]]:
        found = self[word] = self._compare(word)
        return found


class NameMatcher:
    """Matches the words of names with the words of one query; the result for each word is cached."""

    def __init__(self, query: Sequence[str]) -> None:
        """``query`` must not contain a word twice."""
        self._query = query
        self._position = {word: at for at, word in enumerate(query)}
        self._initials = frozenset(word[0] for word in query)
        self._matches = _Matches(self._compare)

    def mentioned(self, words: Iterable[str]) -> Iterator[bool]:
        """Whether the query contains each of some names' words, or the words that it abbreviates."""
        matches = self._matches
        return (matches[word][0] for word in words)

    def covered_words(self, name: Sequence[str]) -> frozenset[int]:
        """Positions of the query words that a name contains: unchanged, abbreviated, clipped, or split in two."""
        matches, position = self._matches, self._position
        joined = [position[both] for left, right in pairwise(name) if (both := left + right) in position]
        return frozenset(joined).union(*[matches[word][1] for word in name])

    def _compare(self, word: str) -> tuple[bool, frozenset[int]]:
        """(whether the query mentions a word, positions of the query words that it covers)."""
        query = self._query
        if word in self._position:
            return True, frozenset((self._position[word],))
        if word[0] not in self._initials:  # holds for most words, and the rest takes time
            return False, frozenset()
        covered = {at for at, query_word in enumerate(query) if is_clipped(word, query_word)}
        run = abbreviated_run(word, query)
        if run is not None:
            covered.update(range(*run))
        return run is not None and len(word) >= _MIN_LETTERS, frozenset(covered)
