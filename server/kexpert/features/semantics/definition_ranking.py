"""Which of several definitions of one name a file means. The one place that decides it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from kexpert.core.c.source import Source
from kexpert.core.symbols import DEFINITIONS, Flag, Kind, Symbol
from kexpert.features.semantics.include_paths import DEFAULT_ARCH, arch_of, include_candidates, includes_of
from kexpert.view import View

_ORDER = {kind: order for order, kind in enumerate(DEFINITIONS)}
_DECLARATIONS = frozenset({Kind.PROTOTYPE, Kind.DECLARATION})
_LINKED = frozenset({Kind.FUNCTION, Kind.SYSCALL, Kind.VARIABLE, Kind.ASM_LABEL, Kind.CONFIG, Kind.TRACEPOINT})
_MENTIONS = frozenset({Kind.EXPORT, Kind.INITCALL, Kind.MODULE_PARAM})
#: Trees of programs beside the kernel: their definitions are not the kernel's.
_ASIDE = ("tools/", "samples/", "scripts/", "Documentation/", "usr/")
_MAX_HEADERS = 32

# Distances from a file to where a name is declared.
INCLUDED, INCLUDED_BELOW, GLOBAL_HEADER, SAME_DIRECTORY, ELSEWHERE = range(5)


@lru_cache(maxsize=32)
def included_paths(source: Source) -> frozenset[str]:
    """Paths that the file's own ``#include`` lines could mean."""
    found = {source.path}
    for include in includes_of(source):
        found.update(include_candidates(source.path, include.name, include.quoted))
    return frozenset(found)


def distance(path: str, source: Source) -> int:
    """How far a file stands from ``source``, by its own includes and by place."""
    if path in included_paths(source):
        return INCLUDED
    arch = arch_of(source.path) or DEFAULT_ARCH
    if path.startswith(("include/", f"arch/{arch}/include/")):
        return GLOBAL_HEADER
    return SAME_DIRECTORY if _directory(path) == _directory(source.path) else ELSEWHERE


def is_visible(symbol: Symbol, source: Source) -> bool:
    """Whether code in ``source`` can mean this symbol: its own, a header's, or one it is linked with."""
    if symbol.path in included_paths(source) or not symbol.path.endswith((".c", ".S")):
        return True
    return symbol.kind in _LINKED | _DECLARATIONS and not symbol.flags & Flag.STATIC


def rank_definitions(view: View, symbols: Iterable[Symbol], source: Source) -> list[Symbol]:
    """The symbols of one name, best first for a jump from ``source``.

    Own file, then definitions that are visible by how near they are declared, then declarations,
    then trees aside (tools, samples), and private ones of other files last. Headers
    that the included ones include count as near too where no nearer one is known.
    """
    rows = list(symbols)
    if any(row.kind not in _MENTIONS for row in rows):
        rows = [row for row in rows if row.kind not in _MENTIONS]
    if len(rows) < 2:
        return rows
    declared = [row for row in rows if row.kind in _DECLARATIONS]
    distances = {row.path: distance(row.path, source) for row in rows}
    if min(distances.values()) > INCLUDED:
        below = _included_below(source, view, set(distances))
        distances.update(dict.fromkeys(below, INCLUDED_BELOW))

    arch = arch_of(source.path)
    top = "/".join(source.path.split("/")[:2]) + "/"

    def key(row: Symbol) -> tuple[object, ...]:
        own = row.path == source.path
        if own and row.kind not in _DECLARATIONS:
            tier = 0
        elif row.path.startswith(_ASIDE) and not row.path.startswith(top):
            tier = 3
        elif not is_visible(row, source):
            tier = 4
        else:
            tier = 2 if row.kind in _DECLARATIONS else 1
        near = distances[row.path]
        if tier == 1 and row.kind in _LINKED and row.path.endswith((".c", ".S")):
            near = min([near, *(distances[d.path] for d in declared if _declares(d.path, row.path))])
        theirs = arch_of(row.path)
        foreign = bool(theirs) and theirs != (arch or DEFAULT_ARCH)
        weak = bool(row.flags & Flag.WEAK)
        stub = row.kind in _LINKED and not row.path.endswith((".c", ".S"))  # of what another option turns off
        order = _ORDER.get(row.kind, len(_ORDER))
        shared = _shared(row.path, source.path)
        return tier, foreign, near, weak, stub, order, -shared, theirs == "", row.path, row.line

    return sorted(rows, key=key)


def _declares(header: str, definition: str) -> bool:
    """Whether a declaration there could be of a definition here: the tree's headers or the same driver's."""
    if header.startswith("include/") or "/include/" in header:
        return True
    return header.split("/")[:3] == definition.split("/")[:3] or definition.startswith(_directory(header) + "/")


def _included_below(source: Source, view: View, wanted: set[str]) -> set[str]:
    """Those of ``wanted`` that a header which the file includes includes in turn."""
    found: set[str] = set()
    for include in includes_of(source)[:_MAX_HEADERS]:
        for path in include_candidates(source.path, include.name, include.quoted):
            if not view.exists(path):
                continue
            header = view.source(path)
            if header is not None:
                found |= included_paths(header) & wanted
            break
    return found


def _directory(path: str) -> str:
    return path.rpartition("/")[0]


def _shared(one: str, other: str) -> int:
    """How many leading directories two paths share."""
    count = 0
    for left, right in zip(one.split("/")[:-1], other.split("/")[:-1], strict=False):
        if left != right:
            break
        count += 1
    return count
