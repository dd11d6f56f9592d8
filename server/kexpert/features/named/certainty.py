"""How far an answer can be relied on."""

from __future__ import annotations

from enum import StrEnum


class Certainty(StrEnum):
    """How the rows of an answer were found; the value is for people."""

    EXACT = "exact"  # read from the definitions themselves, all variants
    BY_SYNTAX = "by syntax"  # bound by scope and by the types that are written there
    BY_NAME = "by name only"  # every use of that spelling, namesakes included
