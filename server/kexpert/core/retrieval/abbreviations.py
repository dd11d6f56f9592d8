"""How names write several words as one: ``ceq`` for completion event queue, ``txq``, ``psflags``, ``tailroom``. Pure.

All words are stems (``kexpert.core.retrieval.words.stem``), and a question's are in the order in which it says them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from kexpert.core.retrieval.words import stem

#: What a contraction counts in BM25 beside a word that the question says itself.
ABBREVIATION_WEIGHT = 0.5

_MOST_WORDS = 5  # that a contraction stands for
_FEWEST_LETTERS = 3  # of one that is to be trusted: two initials are too often those of something else


def candidate_abbreviations(asked: Sequence[str]) -> list[str]:
    """Stems that a question's neighbouring words may have been contracted to: their initials, initials and the last
    word, the first word and initials, two words written as one. Those of the question itself are left out."""
    found: dict[str, None] = {}
    for first in range(len(asked)):
        for count in range(2, min(_MOST_WORDS, len(asked) - first) + 1):
            run = asked[first : first + count]
            initials = "".join(word[0] for word in run)
            found[initials] = None
            found[initials[:-1] + run[-1]] = None
            found[run[0] + initials[1:]] = None
            if count == 2:
                found[run[0] + run[1]] = None
    stems = dict.fromkeys(stem(word) for word in found if len(word) >= _FEWEST_LETTERS)
    return [word for word in stems if word not in asked]


def abbreviated_run(word: str, asked: Sequence[str]) -> tuple[int, int] | None:
    """The longest run of the question (first, behind the last) that ``word`` consists of: a beginning of each of its
    words, two at least, one behind the other."""
    longest: tuple[int, int] | None = None
    for first in range(len(asked) - 1):
        if not word.startswith(asked[first][0]):
            continue
        ends = {0}
        for at in range(first, min(first + _MOST_WORDS, len(asked))):
            ends = {end for before in ends for end in _ends(word, before, asked[at])}
            if not ends:
                break
            if at > first and len(word) in ends and (longest is None or at + 1 - first > longest[1] - longest[0]):
                longest = first, at + 1
    return longest


def _ends(word: str, start: int, part: str) -> range:
    """Where in ``word`` a beginning of ``part`` that stands at ``start`` may end."""
    end = start
    for letter in part:
        if end == len(word) or word[end] != letter:
            break
        end += 1
    return range(start + 1, end + 1)


def is_clipped(word: str, asked: str) -> bool:
    """Whether a word is one of the question's with letters left out (``mbx`` of mailbox), its first one kept."""
    if not _FEWEST_LETTERS <= len(word) < len(asked) or word[0] != asked[0]:
        return False
    letters = iter(asked)
    return all(letter in letters for letter in word)


class NameMatcher:
    """What the words of names have to do with a question, each word worked out once."""

    def __init__(self, asked: Sequence[str]) -> None:
        """``asked``: each word once."""
        self._asked = asked
        self._place = {word: at for at, word in enumerate(asked)}
        self._known: dict[str, tuple[bool, frozenset[int]]] = {}

    def mentions(self, word: str) -> bool:
        """Whether a name's word is one of the question's, or several of them contracted."""
        return self._read(word)[0]

    def covered_words(self, name: Sequence[str]) -> set[int]:
        """The question's words that a name holds in any way: as they are, contracted, clipped, or in two parts."""
        covered: set[int] = set()
        for word in name:
            covered |= self._read(word)[1]
        covered.update(self._place[both] for left, right in pairwise(name) if (both := left + right) in self._place)
        return covered

    def _read(self, word: str) -> tuple[bool, frozenset[int]]:
        known = self._known.get(word)
        if known is None:
            known = self._known[word] = self._compared(word)
        return known

    def _compared(self, word: str) -> tuple[bool, frozenset[int]]:
        asked = self._asked
        if word in self._place:
            return True, frozenset((self._place[word],))
        places = {at for at, each in enumerate(asked) if is_clipped(word, each)}
        run = abbreviated_run(word, asked)
        if run is not None:
            places.update(range(*run))
        return run is not None and len(word) >= _FEWEST_LETTERS, frozenset(places)
