"""Literals in a text, ASCII letters folded. Without numpy, which ``trigrams`` needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def holds(folded: bytes, clauses: Sequence[Collection[bytes]]) -> bool:
    """Whether a text in lower case holds one literal of each clause."""
    return all(any(literal in folded for literal in clause) for clause in clauses)
