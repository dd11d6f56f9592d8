"""The declarations of names that macros make, as C."""

from __future__ import annotations

from functools import lru_cache

from kexpert.core.c.made_names import made_declaration
from kexpert.core.c.skeleton import Skeleton, skeleton
from kexpert.core.symbols import Flag, Symbol

_skeleton_of = lru_cache(maxsize=4)(skeleton)


def declaration_made(data: bytes, symbol: Symbol) -> str:
    """The declaration that a macro of the file ``data`` makes for a symbol, without a body; "" if none does."""
    if not symbol.flags & Flag.IDIOM:
        return ""
    cut: Skeleton = _skeleton_of(data)
    return made_declaration(cut, symbol)
