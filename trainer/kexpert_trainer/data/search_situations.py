"""Questions about documented functions that their own comment does not answer by itself, in three situations.

Used to train the ranker of search and to evaluate it. In the third situation the question is reworded: words are
replaced by synonyms and by the kernel's abbreviations, some words of the function's name that have neither are left
out, and the two halves around a preposition change places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from enum import Enum

from kexpert.core.retrieval.words import ABBREVIATION_GROUPS, STOP_WORDS, split_words, stem


class Situation(Enum):
    """What comments the searched tree holds when a question is asked that was taken from a comment."""

    BLANKED = "all comments blanked"
    UNDOCUMENTED = "only the wanted function's comments taken out"
    REWORDED = "nothing taken out, question reworded"


#: Groups of words that kernel developers use for one another, in the order in which one is replaced by the next.
_SYNONYMS = """
get fetch retrieve obtain; remove delete erase; create make construct; destroy dismantle; check test verify;
find search lookup; start begin launch; stop halt quit; send deliver; print show display; change modify alter; add
insert append; allocate reserve; free release; enable activate; disable deactivate; update refresh; copy duplicate;
calculate compute determine; wait sleep; return yield; convert translate transform; attach connect bind; detach
disconnect unbind; clean purge; clear wipe; reset restart; setup prepare arrange; parse decode interpret;
build assemble; fill populate; handle treat serve; call invoke; run execute perform; report tell notify; move shift;
join merge combine; split divide; hold keep retain; save store preserve; restore recover; map translate; register
enlist; lock acquire; unlock release; flush drain; poll query; adjust tune; configure program; initialize prepare;
probe detect; suspend pause; resume continue; allow permit; prevent forbid; ensure guarantee; count tally; need require;
use employ; walk traverse iterate; scan examine; number count; size length; new fresh; current present; given specified
particular; specific particular; whether if; all every; caller invoker; error failure; structure struct; routine helper;
corresponding matching; associated related; choose select pick; write put; read fetch
"""
#: Words at which a question is turned round.
_PREPOSITIONS = frozenset(("of", "for", "from", "to", "in", "on", "with", "by", "into", "at"))
#: Content words that a question keeps, if it has that many, and the share of them that may be left out.
_MIN_WORDS, _MAX_LEFT_OUT = 4, 1 / 4

def _successors(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """The word that replaces each word, by the stem of the latter; the first group that has a word decides."""
    found: dict[str, str] = {}
    for group in groups:
        for at, word in enumerate(group):
            found.setdefault(stem(word), group[(at + 1) % len(group)])
    return found


#: By stem, because a synonym replaces any form of a word.
_SYNONYM = _successors(group.split() for group in _SYNONYMS.split(";"))
#: By the word itself: all words of a group have one stem.
_ABBREVIATION = {word: group[at - 1] for group in ABBREVIATION_GROUPS for at, word in enumerate(group)}
_STOP_STEMS = frozenset(map(stem, STOP_WORDS))
_PREPOSITION_STEMS = frozenset(map(stem, _PREPOSITIONS))


def reworded(text: str, name: str) -> str:
    """A question in other words; ``name`` is that of the function it asks for. The same text gives the same result."""
    own = {stem(word) for word in split_words(name)}
    words = [
        (word, "" if word in STOP_WORDS else _SYNONYM.get(stem(word), ""), stem(word) in own)
        for word in split_words(text)
    ]
    left = [synonym or _ABBREVIATION.get(word, word) for word, synonym in _kept(words, STOP_WORDS)]
    return " ".join(_turned(left, _PREPOSITIONS))


def reworded_stems(stems: Sequence[str], name: Collection[str]) -> list[str]:
    """The same for a question and a name as stems, where abbreviations are equal to what they abbreviate."""
    words = [(word, "" if word in _STOP_STEMS else _SYNONYM.get(word, ""), word in name) for word in stems]
    left = [stem(synonym) if synonym else word for word, synonym in _kept(words, _STOP_STEMS)]
    return _turned(left, _PREPOSITION_STEMS)


def _kept(words: Sequence[tuple[str, str, bool]], stop: Collection[str]) -> list[tuple[str, str]]:
    """(word, synonym or "") without some words of the name. ``words``: (word, synonym or "", is in the name)."""
    content = {word for word, _, _ in words if word not in stop}
    count = min(len(content) - _MIN_WORDS, int(len(content) * _MAX_LEFT_OUT))
    candidates = sorted({word for word, synonym, own in words if own and not synonym and word in content}, key=_digest)
    dropped = set(candidates[: max(count, 0)])
    return [(word, synonym) for word, synonym, _ in words if word not in dropped]


def _turned(words: Sequence[str], prepositions: Collection[str]) -> list[str]:
    """The words after the first preposition, then those before it; without one, the second half first."""
    at = next((at for at, word in enumerate(words) if 0 < at < len(words) - 1 and word in prepositions), 0)
    if not at:
        at = len(words) // 2
        return [*words[at:], *words[:at]]
    return [*words[at + 1 :], *words[:at]]


def _digest(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()
