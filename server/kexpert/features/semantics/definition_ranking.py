"""Which of several definitions of one name a place means: by visibility, configuration, includes and place."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from kexpert.core.c.conditions import conditions_at
from kexpert.core.c.source import Source
from kexpert.core.symbols import DEFINITIONS, Flag, Kind, Symbol
from kexpert.features.semantics.include_paths import arch_for, arch_of, include_candidates, includes_of
from kexpert.features.semantics.variant_states import Place, Standing
from kexpert.view import View

_KIND_ORDER = {kind: order for order, kind in enumerate(DEFINITIONS)}
_DECLARATIONS = frozenset({Kind.PROTOTYPE, Kind.DECLARATION})
#: Kinds whose definition in a ``.c`` file other files can use.
_LINKED = frozenset({Kind.FUNCTION, Kind.SYSCALL, Kind.VARIABLE, Kind.ASM_LABEL, Kind.CONFIG, Kind.TRACEPOINT})
_MENTIONS = frozenset({Kind.EXPORT, Kind.INITCALL, Kind.MODULE_PARAM})
#: Folders of programs beside the kernel: their definitions are not the kernel's.
NOT_KERNEL = ("tools/", "samples/", "scripts/", "Documentation/", "usr/")
#: Conditions under which a text is not the kernel's C.
_NOT_KERNEL_CONDITIONS = frozenset({"!__KERNEL__", "__ASSEMBLY__", "__ASSEMBLER__", "LINKER_SCRIPT"})
_MAX_HEADERS = 32
_MAX_CONDITIONS_READ = 6
#: Of one name, definitions whose conditions are read: the likeliest by place.
_MAX_JUDGED = 16
#: Programs that start or accompany the kernel and are not linked with it.
_APART = re.compile(
    r"arch/[^/]+/(?!include/)(?:boot|purgatory|um|[\w/]*vdso\d*|realmode)/|drivers/firmware/efi/libstub/"
)

# Distances from a file to the declaration of a name.
INCLUDED, INCLUDED_BELOW, GLOBAL_HEADER, SAME_DIRECTORY, ELSEWHERE = range(5)
# Who can mean a symbol, nearest first.
OWN, VISIBLE, DECLARED, OUTSIDE, PRIVATE = range(5)


@lru_cache(maxsize=128)  # ranking one name asks for its file and for _MAX_HEADERS headers
def included_paths(source: Source, arch: str) -> frozenset[str]:
    """Paths that the file's own ``#include`` lines could mean for an architecture."""
    found = {source.path}
    for include in includes_of(source):
        found.update(include_candidates(source.path, include.name, include.quoted, arch))
    return frozenset(found)


def distance(path: str, source: Source, arch: str) -> int:
    """The distance of a file from ``source``, by its includes and its place in the tree."""
    if path in included_paths(source, arch):
        return INCLUDED
    if path.startswith(("include/", f"arch/{arch}/include/")):
        return GLOBAL_HEADER
    return SAME_DIRECTORY if _directory(path) == _directory(source.path) else ELSEWHERE


def is_visible(symbol: Symbol, source: Source, arch: str) -> bool:
    """True if code in ``source`` can mean this symbol: of its own file, of a header, or linked with it."""
    if symbol.path in included_paths(source, arch) or not symbol.path.endswith((".c", ".S")):
        return True
    return not is_private(symbol)


def can_mean(symbol: Symbol, source: Source, arch: str) -> bool:
    """True if code in ``source`` can mean this symbol: neither a static of another file nor of another program."""
    is_outside = symbol.path.startswith(NOT_KERNEL) and not source.path.startswith(symbol.path.split("/")[0] + "/")
    return not is_outside and is_visible(symbol, source, arch)


def is_private(symbol: Symbol) -> bool:
    """True if only the symbol's own ``.c`` file can mean it: a static, or a kind that only headers share."""
    if symbol.path.endswith(".h"):
        return False
    return bool(symbol.flags & Flag.STATIC) or symbol.kind not in _LINKED | _DECLARATIONS


def is_for_kernel(symbol: Symbol, data: bytes | None) -> bool:
    """False for a definition in the file ``data`` that is for assembly or for user space alone."""
    return not data or _NOT_KERNEL_CONDITIONS.isdisjoint(conditions_at(data, symbol.start))


def kernel_first(symbols: Sequence[Symbol], data_of: Callable[[str], bytes | None]) -> list[Symbol]:
    """Ranked symbols; of the first few, those that are not for the kernel's C move to the end."""
    if len(symbols) < 2:
        return list(symbols)
    others = [symbol for symbol in symbols[:_MAX_CONDITIONS_READ] if not is_for_kernel(symbol, data_of(symbol.path))]
    return [symbol for symbol in symbols if symbol not in others] + others


def rank_definitions(view: View, symbols: Iterable[Symbol], source: Source, offset: int = -1) -> list[Symbol]:
    """The symbols of one name, best first for a jump from ``source``, or from an offset in it.

    Its own file's first, then visible definitions, those that the configuration compiles before the others and then
    by the distance of their declarations; then declarations, then those of tools and samples, then private ones of
    other files, which are left out if anything else is meant. A header that an included header includes counts as
    near if none is nearer.
    """
    rows = list(symbols)
    if any(row.kind not in _MENTIONS for row in rows):
        rows = [row for row in rows if row.kind not in _MENTIONS]
    if len(rows) < 2:
        return rows
    arch = arch_for(view, source.path)
    declarations = [row for row in rows if row.kind in _DECLARATIONS]
    distances = {row.path: distance(row.path, source, arch) for row in rows}
    if min(distances.values()) > INCLUDED:
        below = _included_below(source, view, set(distances), arch)
        distances.update(dict.fromkeys(below, INCLUDED_BELOW))
    top = "/".join(source.path.split("/")[:2]) + "/"

    def tier_of(row: Symbol) -> int:
        if row.path == source.path and row.kind not in _DECLARATIONS:
            return OWN
        if row.path.startswith(NOT_KERNEL) and not row.path.startswith(top):
            return OUTSIDE
        if not is_visible(row, source, arch):
            return PRIVATE
        if _APART.match(row.path) and not source.path.startswith(_directory(row.path)):
            return OUTSIDE
        return DECLARED if row.kind in _DECLARATIONS else VISIBLE

    tiers = {row: tier_of(row) for row in rows}
    if any(tier < OUTSIDE for tier in tiers.values()):
        rows = [row for row in rows if tiers[row] != PRIVATE]

    def key(row: Symbol) -> tuple[object, ...]:
        tier = tiers[row]
        is_linked = row.kind in _LINKED and row.path.endswith((".c", ".S"))
        nearest = distances[row.path]
        if tier == VISIBLE and is_linked:
            of_declarations = (distances[each.path] for each in declarations if _declares(each.path, row.path))
            nearest = min([nearest, *of_declarations])
        row_arch = arch_of(row.path)
        is_foreign = bool(row_arch) and row_arch != arch
        is_weak = bool(row.flags & Flag.WEAK)
        is_stub = row.kind in _LINKED and not is_linked  # in a header, for when an option is off
        order = _KIND_ORDER.get(row.kind, len(_KIND_ORDER))
        common = common_directories(row.path, source.path)
        return tier, is_foreign, is_weak, nearest, is_stub, order, -common, row_arch == "", row.path, row.line

    ranked = sorted(rows, key=key)
    return _by_configuration(view, ranked, tiers, source, offset)


def _by_configuration(
    view: View, ranked: list[Symbol], tiers: dict[Symbol, int], source: Source, offset: int
) -> list[Symbol]:
    """Of the definitions that can be meant, those that are compiled first, as the file's own includes give them
    before those that are linked; those that are not compiled after the others."""
    rows = [row for row in ranked if tiers[row] in (OWN, VISIBLE)]
    judged = rows[:_MAX_JUDGED]
    if len(judged) < 2:
        return ranked
    place = Place.at(view, source, offset)
    if not (place.configuration.is_decided or view.configuration.is_decided):
        return ranked
    standings = dict(zip(judged, place.standings(judged), strict=True))

    def key(row: Symbol) -> tuple[int, ...]:
        standing = standings.get(row, Standing.EXCLUDED)
        is_linked = row.kind in _LINKED and row.path.endswith((".c", ".S"))
        is_out = standing is Standing.EXCLUDED
        is_weak = bool(row.flags & Flag.WEAK)
        before = _bytes_before(row, offset) if tiers[row] == OWN and row.kind is Kind.MACRO else 0
        return is_out, tiers[row], standing, is_weak, before, is_linked and standing is Standing.COMPILED

    return sorted(_macros_as_read(rows, place, standings), key=key) + ranked[len(rows) :]


def _macros_as_read(rows: list[Symbol], place: Place, standings: dict[Symbol, Standing]) -> list[Symbol]:
    """The same list in which the macros of headers that are compiled change places: the last definition holds."""
    places = [
        at for at, row in enumerate(rows)
        if row.kind is Kind.MACRO and row.path != place.source.path and standings.get(row) is Standing.COMPILED
    ]  # fmt: skip
    if len(places) < 2:
        return rows
    found = list(rows)
    for at, row in zip(places, place.last_read(rows[at] for at in places), strict=True):
        found[at] = row
    return found


def _bytes_before(macro: Symbol, offset: int) -> int:
    """How far before a place a macro of its file is defined: the last definition before it holds."""
    return offset - macro.start if 0 <= macro.start <= offset else sys.maxsize


def _declares(header: str, definition: str) -> bool:
    """True if a declaration in one file could be of a definition in another: a header of the tree or of the driver."""
    if header.startswith("include/") or "/include/" in header:
        return True
    return header.split("/")[:3] == definition.split("/")[:3] or definition.startswith(_directory(header) + "/")


def _included_below(source: Source, view: View, paths: set[str], arch: str) -> set[str]:
    """Those of ``paths`` that are included by a header that ``source`` includes."""
    found: set[str] = set()
    for include in includes_of(source)[:_MAX_HEADERS]:
        for path in include_candidates(source.path, include.name, include.quoted, arch):
            if not view.exists(path):
                continue
            header = view.source(path)
            if header is not None:
                found |= included_paths(header, arch) & paths
            break
    return found


def _directory(path: str) -> str:
    return path.rpartition("/")[0]


def common_directories(path: str, other: str) -> int:
    """Number of leading directories that two paths share."""
    count = 0
    for left, right in zip(path.split("/")[:-1], other.split("/")[:-1], strict=False):
        if left != right:
            break
        count += 1
    return count
