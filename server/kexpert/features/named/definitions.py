"""The definitions of a name, best first, and the nearest names where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import SequenceMatcher

from kexpert.core.paths import PathPatterns, is_pattern
from kexpert.core.symbols import DEFINITIONS, Flag, Kind, Symbol
from kexpert.features.semantics.definition_ranking import NOT_KERNEL, is_for_kernel, is_private, kernel_first
from kexpert.features.semantics.include_paths import DEFAULT_ARCH, arch_of
from kexpert.view import FilterError, View

FUNCTIONS = (
    Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO, Kind.TRACEPOINT, Kind.ASM_LABEL, Kind.PROTOTYPE,
)  # fmt: skip
TYPES = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF)
RECORDS = (Kind.STRUCT, Kind.UNION)
CODE = (Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO)
_DECLARATIONS = (Kind.PROTOTYPE, Kind.DECLARATION)
_MENTIONS = (Kind.EXPORT, Kind.INITCALL)
#: Code of an architecture that is no part of the running kernel: boot loaders, user mode Linux.
_BESIDE_KERNEL = re.compile(r"arch/(?:um/|\w+/(?:boot|um|tools|purgatory)/)")
#: Headers of which most of the kernel reads the first ones.
_HEADERS = ("include/linux/", f"arch/{DEFAULT_ARCH}/include/", "include/asm-generic/")
_FOREIGN_HEADERS = ("include/acpi/", "include/xen/")
_MAX_ROWS = 2000
_MAX_READ = 4  # definitions whose conditions are read to rank them
_MAX_NEAREST = 6
_MIN_PREFIX_CHARS = 3
_MAX_COMPARED = 250
_MAX_STARS, _MAX_PATTERN_CHARS = 4, 200
_KIND_ORDER = {kind: order for order, kind in enumerate(DEFINITIONS)}
_NAME = re.compile(
    r"(?:(?:struct|union|enum|typedef)\s+)?(?:(?P<owner>[A-Za-z_]\w*)\s*(?:\.|->|::)\s*)?"
    r"(?P<name>[A-Za-z_]\w*)\s*(?:\(\s*\))?"
)


@dataclass(frozen=True, slots=True)
class AskedName:
    """A name as people write it: ``foo()``, ``struct foo``, ``file_operations.open``. ``owner``: "" for none."""

    name: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Definitions:
    """``symbols``: the first of them, best first; ``total`` counts all. ``members``: members of that name, which are
    left out where it is more than a member. ``nearest``: similar names where there is none."""

    name: str
    symbols: tuple[Symbol, ...]
    total: int
    members: int = 0
    nearest: tuple[Symbol, ...] = ()


def asked_name(text: str) -> AskedName | None:
    """Read a name; None for what is none."""
    found = _NAME.fullmatch(text.strip())
    return AskedName(found["name"], found["owner"] or "") if found else None


def inside(path: str) -> Callable[[str], bool]:
    """A test for paths: a file, a folder with all below it, or a pattern of gitignore; "" takes all.

    Raises FilterError for what is no pattern, and for a pattern that could take long to match.
    """
    wanted = path.strip().removeprefix("./").strip("/")
    if not wanted:
        return lambda _: True
    if not set("*?[") & set(wanted):
        return lambda found: found == wanted or found.startswith(f"{wanted}/")
    if wanted.count("*") > _MAX_STARS or len(wanted) > _MAX_PATTERN_CHARS:
        raise FilterError(f"path {path[:40]!r} has too many wildcards; give a folder")
    if not is_pattern(wanted):
        raise FilterError(f"path {path[:40]!r} is no pattern; give a folder, or one such as drivers/net/*.c")
    return PathPatterns([wanted]).matches


def definitions(
    view: View, asked: AskedName, kinds: Collection[Kind] = (), path: str = "", max_symbols: int = 12
) -> Definitions:
    """The definitions of a name in the files that ``path`` takes; declarations only where there is no definition."""
    takes = inside(path)
    found = _lookup(view, asked, kinds)
    if not found and (not kinds or Kind.SYSCALL in kinds):
        found = view.lookup(f"sys_{asked.name}", (Kind.SYSCALL,), _MAX_ROWS)
    if not found and (not kinds or Kind.CONFIG in kinds) and asked.name.isupper():
        found = view.lookup(f"CONFIG_{asked.name}", (Kind.CONFIG,), _MAX_ROWS)
    found = [symbol for symbol in found if takes(symbol.path)]
    defining = [symbol for symbol in found if symbol.kind not in _DECLARATIONS] or found
    if all(not _is_kernel(view, symbol) for symbol in defining[:_MAX_READ]):
        defining = found  # the kernel's own is made by the linker, or not found: its declarations say most
    members = 0
    if not asked.owner and (others := [symbol for symbol in defining if symbol.kind is not Kind.MEMBER]):
        members, defining = len(defining) - len(others), others
    ranked = sorted(dict.fromkeys(defining), key=_rank)
    ranked = kernel_first(ranked, view.data)
    nearest = () if ranked else nearest_names(view, asked.name, kinds)
    return Definitions(asked.name, tuple(ranked[:max_symbols]), len(ranked), members, nearest)


def nearest_names(view: View, name: str, kinds: Collection[Kind] = ()) -> tuple[Symbol, ...]:
    """Symbols of similar names, one for each name: of the wanted kinds first, then the most similar."""
    found = view.lookup_fuzzy(name, limit=40)
    for length in (len(name) * 3 // 4, len(name) // 2):
        if length >= _MIN_PREFIX_CHARS:
            found += view.lookup_prefix(name[:length], limit=100)
    if len(found) < _MAX_NEAREST:
        found += _without_one_word(view, name)
    unique: dict[str, Symbol] = {}
    for symbol in sorted(found, key=lambda each: each.kind in _DECLARATIONS):
        if symbol.kind not in _MENTIONS and symbol.name != name:
            unique.setdefault(symbol.name, symbol)
    matcher = SequenceMatcher(b=name)

    def key(symbol: Symbol) -> tuple[bool, float, str]:
        matcher.set_seq1(symbol.name)
        return bool(kinds) and symbol.kind not in kinds, -round(matcher.ratio(), 3), symbol.name

    return tuple(sorted(list(unique.values())[:_MAX_COMPARED], key=key)[:_MAX_NEAREST])


def _without_one_word(view: View, name: str) -> list[Symbol]:
    """Names that hold all words of a misspelt one but one."""
    words = [word for word in name.split("_") if word]
    found: list[Symbol] = []
    for left_out in range(len(words) - 1, -1, -1):
        rest = words[:left_out] + words[left_out + 1 :]
        if rest and len(found) < _MAX_NEAREST:
            found += view.lookup_fuzzy("_".join(rest), limit=_MAX_NEAREST)
    return found


def _lookup(view: View, asked: AskedName, kinds: Collection[Kind]) -> list[Symbol]:
    found = view.lookup(asked.name, kinds, _MAX_ROWS)
    if asked.owner:
        return [symbol for symbol in found if symbol.scope.partition(".")[0] == asked.owner]
    return [symbol for symbol in found if symbol.kind not in _MENTIONS]


def _is_kernel(view: View, symbol: Symbol) -> bool:
    """False for what is of a program beside the kernel, or for assembly or user space alone."""
    return not symbol.path.startswith(NOT_KERNEL) and is_for_kernel(symbol, view.data(symbol.path))


def _rank(symbol: Symbol) -> tuple[object, ...]:
    """The kernel before programs beside it, the default architecture before others, what headers share before what one
    file has for itself, bodies before stubs."""
    arch = arch_of(symbol.path)
    return (
        symbol.path.startswith(NOT_KERNEL),
        bool(arch) and arch != DEFAULT_ARCH,
        _BESIDE_KERNEL.match(symbol.path) is not None,
        is_private(symbol),
        bool(symbol.flags & Flag.WEAK),
        _is_stub(symbol),
        _KIND_ORDER.get(symbol.kind, len(_KIND_ORDER)),
        next((order for order, folder in enumerate(_HEADERS) if symbol.path.startswith(folder)), len(_HEADERS)),
        symbol.path.startswith(("drivers/", *_FOREIGN_HEADERS)),
        symbol.path,
        symbol.line,
    )


def _is_stub(symbol: Symbol) -> bool:
    """True for a one-line function of a header, such as replaces another one when an option is off."""
    return symbol.kind is Kind.FUNCTION and symbol.path.endswith(".h") and symbol.end - symbol.start < 160
