"""Which of several definitions of a macro a call in a file means, as far as paths and ``#include`` lines tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]', re.M)
#: Folders whose programs are not part of the kernel.
_APART = ("tools", "samples", "scripts", "usr", "Documentation")


class MacroText(NamedTuple):
    """A ``#define`` directive without comments, and the path of its file."""

    path: str
    text: bytes


def includes(data: bytes) -> frozenset[str]:
    """The names in the ``#include`` lines of a file."""
    return frozenset(name.decode("utf-8", "replace") for name in _INCLUDE.findall(data))


def likely_definitions(
    path: str, found: Sequence[MacroText], includes_of: Callable[[str], frozenset[str]]
) -> list[bytes]:
    """The definitions that a call in ``path`` may mean, the likeliest first; [] if none is visible from there.

    ``includes_of`` gives the names that a file includes. It is asked only where the paths leave a doubt.
    """
    single = len({each.path for each in found}) == 1
    ranked = [(rank, each) for each in found if (rank := _rank(path, each.path, single, includes_of)) is not None]
    if not ranked:
        return []
    best = min(rank for rank, _ in ranked)
    chosen = [each for rank, each in ranked if rank == best]
    if best == _FAR and len({each.path for each in chosen}) > 1:
        return []
    # of the branches of an ``#if`` the longest is no stub
    return [each.text for each in sorted(chosen, key=lambda each: (each.path.endswith(".c"), -len(each.text)))]


_FAR = 5


def _rank(path: str, other: str, single: bool, includes_of: Callable[[str], frozenset[str]]) -> int | None:
    if other == path:
        return 0
    if _apart(path) != _apart(other) or (_arch(path) and _arch(other) not in ("", _arch(path))):
        return None
    is_header = other.endswith(".h")
    if single and is_header:
        return 1
    if _includes(includes_of(path), other):
        return 1
    if _includes(includes_of(other), path):  # a list that the file of the macro includes
        return 2
    if not is_header:
        return None
    folder = other.rpartition("/")[0]
    if path.startswith(folder + "/") or (_arch(path) and _arch(path) == _arch(other)):
        return 3
    return 4 if other.startswith("include/") else _FAR


def _includes(names: frozenset[str], path: str) -> bool:
    return any(f"/{path}".endswith("/" + name.lstrip("./")) for name in names)


def _apart(path: str) -> str:
    top = path.partition("/")[0]
    return top if top in _APART else ""


def _arch(path: str) -> str:
    parts = path.split("/", 2)
    return parts[1] if parts[0] == "arch" and len(parts) > 2 else ""
