"""Baselines without a neural model: n-grams of C tokens, and the line after the most similar line of the tree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from kexpert_trainer.evaluation.eval_holes import Hole

_TOKEN = re.compile(r"\w+|[^\S\n]+|\n[^\S\n]*|[^\w\s]")
_WORD = re.compile(r"\w+")
_MAX_CONTEXT = 5  # tokens of context
_MAX_TOKENS = 120  # of an answer
#: Characters on either side of a hole that the n-grams are also counted in.
_OWN_CHARACTERS = 20_000
_NO_COUNTS: Counter[str] = Counter()


class NGrams:
    """Greedy decoding with stupid backoff (Brants et al. 2007): the commonest token after the longest known context."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._followed: dict[int, Counter[str]] = {}
        for text in texts:
            _count(self._followed, text)

    def fill(self, hole: Hole) -> str:
        """Generate as many lines as the hole has; the number is given, which helps this baseline."""
        own: dict[int, Counter[str]] = {}
        _count(own, hole.before[-_OWN_CHARACTERS:])
        _count(own, hole.after[:_OWN_CHARACTERS])
        typed = hole.before[hole.before.rfind("\n") + 1 :]
        context = _TOKEN.findall(hole.before[-_OWN_CHARACTERS:])
        # A word that the hole splits is predicted again from its beginning.
        begun = context.pop() if typed.strip() and context and context[-1][-1:].isalnum() else ""
        text = ""
        lines = hole.middle.count("\n") + 1
        for _ in range(_MAX_TOKENS):
            token = self._next(own, context, begun)
            if token is None:
                break
            text += token[len(begun) :]
            begun = ""
            context.append(token)
            if text.count("\n") == lines:
                return text[: text.rfind("\n")].rstrip()
        return text

    def _next(self, own: dict[int, Counter[str]], context: list[str], begun: str) -> str | None:
        for size in range(_MAX_CONTEXT, -1, -1):
            key = hash(tuple(context[len(context) - size :]))
            counts = own.get(key, _NO_COUNTS) + self._followed.get(key, _NO_COUNTS)
            for token, _ in counts.most_common():
                if token.startswith(begun) and token != begun:
                    return token
        return None


def _count(followed: dict[int, Counter[str]], text: str) -> None:
    tokens = _TOKEN.findall(text)
    for at, token in enumerate(tokens):
        for size in range(min(_MAX_CONTEXT, at) + 1):
            followed.setdefault(hash(tuple(tokens[at - size : at])), Counter())[token] += 1


class SimilarLines:
    """Answers with the lines after the line most similar to the one before the hole (Jaccard similarity of words)."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._files = [_words_of_lines(text) for text in texts]

    def fill(self, hole: Hole) -> str:
        before, _, line = hole.before.rpartition("\n")
        typed = line.lstrip()
        above = frozenset(_WORD.findall(before.rstrip().rpartition("\n")[2]))
        lines = hole.middle.count("\n") + 1
        best, found = -1.0, ""
        for file in (_words_of_lines(hole.before), _words_of_lines(hole.after), *self._files):
            for at in range(1, len(file) - lines + 1):
                line, _ = file[at]
                if not line.startswith(typed) or line.startswith(("/*", "*", "//")):
                    continue
                words = file[at - 1][1]
                score = len(words & above) / (len(words | above) or 1)
                if score > best and line != typed:
                    best, found = score, "\n".join(text for text, _ in file[at : at + lines])[len(typed) :]
        return found


@lru_cache(maxsize=512)
def _words_of_lines(text: str) -> list[tuple[str, frozenset[str]]]:
    return [(line.strip(), frozenset(_WORD.findall(line))) for line in text.split("\n") if line.strip()]
