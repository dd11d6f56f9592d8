"""A hover's access to the tree: each file is read once, look-ups are bounded. Sets the facts that all cards have."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kexpert.core.c.conditions import conditions_at
from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import KernelDoc, Param, comment_above, comment_text, parse_kerneldoc
from kexpert.core.kernel.kbuild import object_conditions
from kexpert.core.kernel.maintainers import Maintainers as MaintainersFile
from kexpert.core.kernel.maintainers import parse_maintainers
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.hover.card import Documentation, HoverCard, Maintainers, Place, plain_text
from kexpert.features.semantics.definition_ranking import is_for_kernel, is_private
from kexpert.view import View

MAX_VARIANTS = 8
_MAX_LOOKUPS = 24
_MAX_COMMENT_CHARS = 1500
_MAX_PARAMETERS = 24
_DECLARING = (Kind.PROTOTYPE, Kind.DECLARATION)
_VARIABLES = (Kind.VARIABLE, Kind.DECLARATION)
_TAGS = (Kind.STRUCT, Kind.UNION, Kind.ENUM)
_MENTIONS = (Kind.EXPORT, Kind.INITCALL, Kind.MEMBER, Kind.MODULE_PARAM, Kind.CONFIG)
_CALLABLE = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.SYSCALL, Kind.TRACEPOINT, Kind.ASM_LABEL)
#: Conditions that hold for all of the kernel's C.
_ALWAYS_TRUE = frozenset({"__KERNEL__", "!__ASSEMBLY__", "!__ASSEMBLER__", "!LINKER_SCRIPT"})
_PROGRAMS = ("tools/", "scripts/", "samples/")


@dataclass(frozen=True, slots=True)
class HoverConfig:
    """The parts of a card that the user wants; the others are not computed."""

    callers: bool = True
    layout: bool = True
    maintainers: bool = True
    #: Maximum seconds from the request on for "See also"; 0 leaves it out. A later result is cached for the next hover.
    similar_within_seconds: float = 0.0


DEFAULT_CONFIG = HoverConfig()


class CardReader:
    """Reads a view for a card. ``path`` is the file under the cursor; "" for a card made from the index alone."""

    def __init__(self, view: View, source: Source | None, config: HoverConfig = DEFAULT_CONFIG) -> None:
        self.view = view
        self.config = config
        self.path = source.path if source else ""
        self._sources: dict[str, Source | None] = {source.path: source} if source else {}
        self._lookups_left = _MAX_LOOKUPS
        self._build_conditions: dict[str, tuple[str, ...]] = {}

    def source(self, path: str) -> Source | None:
        if path not in self._sources:
            self._sources[path] = self.view.source(path)
        return self._sources[path]

    def data(self, path: str) -> bytes | None:
        source = self.source(path)
        return source.data if source else None

    def text(self, symbol: Symbol) -> bytes:
        data = self.data(symbol.path)
        return data[symbol.start : symbol.end] if data else b""

    def lookup(self, name: str, kinds: Collection[Kind] = (), limit: int = 50) -> list[Symbol]:
        """Symbols of a name; none after ``_MAX_LOOKUPS`` look-ups for this card."""
        if self._lookups_left <= 0:
            return []
        self._lookups_left -= 1
        return self.view.lookup(name, kinds, limit)

    def is_for_kernel(self, symbol: Symbol) -> bool:
        """False for a definition that is for assembly or user space alone."""
        return is_for_kernel(symbol, self.data(symbol.path))

    def add_places(self, card: HoverCard, symbol: Symbol, variants: Sequence[Symbol] = ()) -> None:
        """Set where a symbol and its variants are, and who maintains the file."""
        card.place = self.place(symbol)
        card.variants = tuple(self.place(variant) for variant in variants[:MAX_VARIANTS])
        card.more_variants = max(0, len(variants) - MAX_VARIANTS)
        card.maintainers = self.maintainers(symbol.path)

    def place(self, symbol: Symbol) -> Place:
        """The place of a symbol with its conditions: arch, the Makefile's, ``#if``."""
        what = "declaration" if symbol.kind in _DECLARING else "macro" if symbol.kind == Kind.MACRO else ""
        conditions = arch_condition(symbol.path) + self._conditions_of_object(symbol.path)
        data = self.data(symbol.path)
        if data:
            written = [condition for condition in conditions_at(data, symbol.start) if condition not in _ALWAYS_TRUE]
            conditions += tuple(condition for condition in written if condition not in conditions)
        return Place(symbol.path, symbol.line, conditions, what)

    def _conditions_of_object(self, path: str) -> tuple[str, ...]:
        if not path.endswith((".c", ".S")):
            return ()
        if path not in self._build_conditions:
            found = object_conditions(path, self.data)
            self._build_conditions[path] = tuple(found[1:] if path.startswith("arch/") else found)
        return self._build_conditions[path]

    def documentation(self, symbols: Collection[Symbol]) -> tuple[Documentation, ...]:
        """The kernel-doc of the first symbol that has one; else the first plain comment above any of them."""
        plain = ""
        for symbol in symbols:
            comment = comment_of(self.data(symbol.path) or b"", symbol.start)
            if not comment:
                continue
            doc = parse_kerneldoc(comment)
            if doc is not None and doc.kind != "doc":
                return (_with_fewer_parameters(doc),) if _has_text(doc) else ()
            plain = plain or _plain_comment(comment)
        return plain_text(plain)

    def maintainers(self, path: str) -> Maintainers | None:
        """The people and lists of the MAINTAINERS entry that fits a file best; None if they are not wanted."""
        data = self.data("MAINTAINERS") if self.config.maintainers else None
        entries = _parsed_maintainers(data).match(path) if data else []
        for entry in entries:
            people = tuple(_name_of_person(person) for person in entry.maintainers)
            if people or entry.lists:
                return Maintainers(entry.title, people, tuple(address.split(" ")[0] for address in entry.lists))
        return None


@lru_cache(maxsize=2)
def _parsed_maintainers(data: bytes) -> MaintainersFile:
    return parse_maintainers(data)


def _name_of_person(person: str) -> str:
    """``A Developer <a@example.org>`` -> ``A Developer``."""
    name = person.partition("<")[0].strip().strip('"')
    return name or person.strip("<> ")


def _has_text(doc: KernelDoc) -> bool:
    return bool(doc.summary or doc.params or doc.description or doc.context or doc.returns or doc.sections)


def _with_fewer_parameters(doc: KernelDoc) -> KernelDoc:
    """Without the members that would make a card pages long."""
    more = len(doc.params) - _MAX_PARAMETERS
    if more > 0:
        doc.params = [*doc.params[:_MAX_PARAMETERS], Param("…", f"and {more} more")]
    return doc


def comment_of(data: bytes, start: int) -> bytes:
    """The comment above a definition that begins at ``start``; empty if there is none."""
    span = comment_above(data, start)
    return data[span[0] : span[1]] if span else b""


def _plain_comment(comment: bytes) -> str:
    """The words of a comment that is no kernel-doc; "" for a separator or a licence."""
    text = comment_text(comment)
    if "SPDX-License" in text or not any(char.isalpha() for char in text):
        return ""
    if len(text) > _MAX_COMMENT_CHARS:
        text = text[:_MAX_COMMENT_CHARS].rsplit(None, 1)[0] + " …"
    return text


def arch_condition(path: str) -> tuple[str, ...]:
    """``arch x86`` for a file below arch/x86."""
    parts = path.split("/", 2)
    return (f"arch {parts[1]}",) if len(parts) == 3 and parts[0] == "arch" else ()


def other_variants(reader: CardReader, primary: Symbol, symbols: Collection[Symbol]) -> list[Symbol]:
    """The other definitions that the name of ``primary`` may mean.

    They are of the same name space (tags apart from the rest), not private to other files, and not in headers out
    of reach.
    """
    variants = [symbol for symbol in symbols if _is_variant(primary, symbol)]
    if is_private(primary):
        return [variant for variant in variants if variant.path == primary.path]
    return [
        variant
        for variant in variants
        if variant.path in (primary.path, reader.path)
        or (not is_private(variant) and is_in_reach(variant.path, primary.path))
    ]


def _is_variant(primary: Symbol, other: Symbol) -> bool:
    if (other.path, other.start, other.name_start) == (primary.path, primary.start, primary.name_start):
        return False
    if other.kind in _MENTIONS:
        return primary.kind == other.kind and primary.scope == other.scope
    if other.kind in _DECLARING and primary.kind not in _DECLARING:
        return False
    if Kind.MACRO in (primary.kind, other.kind):
        return primary.kind not in _TAGS and other.kind not in _TAGS
    return any(primary.kind in family and other.kind in family for family in (_CALLABLE, _VARIABLES, _TAGS)) or (
        primary.kind == other.kind
    )


def is_in_reach(path: str, primary: str) -> bool:
    """True if code around the file ``primary`` can mean the globals of a file, or the contents of a header."""
    if path.startswith(_PROGRAMS) != primary.startswith(_PROGRAMS):
        return False
    if not path.endswith(".h") or path.startswith("include/") or "/include/" in path:
        return True
    return primary.startswith(path.rpartition("/")[0] + "/")
