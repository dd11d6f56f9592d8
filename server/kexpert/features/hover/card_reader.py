"""One hover's reading of the tree: every file fetched once, lookups bounded, the facts that all cards share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from kexpert.core.c.conditions import conditions_at
from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import KernelDoc, Param, comment_above, comment_text, parse_kerneldoc
from kexpert.core.kernel.kbuild import object_conditions
from kexpert.core.kernel.maintainers import Maintainers as MaintainersFile
from kexpert.core.kernel.maintainers import parse_maintainers
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.hover.card import Documentation, Maintainers, Place, plain_text
from kexpert.features.semantics.definition_ranking import is_for_kernel, is_private
from kexpert.view import View

MAX_VARIANTS = 8
_MAX_LOOKUPS = 24
_DECLARING = (Kind.PROTOTYPE, Kind.DECLARATION)
_VARIABLES = (Kind.VARIABLE, Kind.DECLARATION)
_TAGS = (Kind.STRUCT, Kind.UNION, Kind.ENUM)
_MENTIONS = (Kind.EXPORT, Kind.INITCALL, Kind.MEMBER, Kind.MODULE_PARAM, Kind.CONFIG)
_MAX_PLAIN_COMMENT = 1500
_MAX_PARAMETERS = 24
#: Conditions that hold for all of the kernel's C and say nothing.
_ALWAYS = frozenset({"__KERNEL__", "!__ASSEMBLY__", "!__ASSEMBLER__", "!LINKER_SCRIPT"})
_CALLABLE = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.SYSCALL, Kind.TRACEPOINT, Kind.ASM_LABEL)


@dataclass(frozen=True, slots=True)
class HoverConfig:
    """The parts of a card that the user wants; the others are not computed."""

    callers: bool = True
    layout: bool = True
    maintainers: bool = True
    #: Maximum seconds from the request on for "See also"; 0 leaves it out. A later result is cached for the next hover.
    similar_within_seconds: float = 0.0


DEFAULT_CONFIG = HoverConfig()


class Reading:
    """What a card asks of the view. ``near`` is the path of the text that was hovered in."""

    def __init__(self, view: View, near: Source | None, config: HoverConfig = DEFAULT_CONFIG) -> None:
        self.view = view
        self.config = config
        self.near = near.path if near else ""
        self._sources: dict[str, Source | None] = {near.path: near} if near else {}
        self._lookups = _MAX_LOOKUPS
        self._objects: dict[str, tuple[str, ...]] = {}

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
        """Symbols of a name; nothing once the card's share of lookups is spent."""
        if self._lookups <= 0:
            return []
        self._lookups -= 1
        return self.view.lookup(name, kinds, limit)

    def in_kernel(self, symbol: Symbol) -> bool:
        """Whether a definition is there for the kernel's C."""
        return is_for_kernel(symbol, self.data(symbol.path))

    def place(self, symbol: Symbol) -> Place:
        """Where a symbol stands, with its conditions: arch, the Makefile's, ``#if``."""
        what = "declaration" if symbol.kind in _DECLARING else "macro" if symbol.kind == Kind.MACRO else ""
        conditions = arch_condition(symbol.path) + self._object(symbol.path)
        data = self.data(symbol.path)
        if data:
            written = [one for one in conditions_at(data, symbol.start) if one not in _ALWAYS]
            conditions += tuple(one for one in written if one not in conditions)
        return Place(symbol.path, symbol.line, conditions, what)

    def _object(self, path: str) -> tuple[str, ...]:
        if not path.endswith((".c", ".S")):
            return ()
        if path not in self._objects:
            found = object_conditions(path, self.data)
            self._objects[path] = tuple(found[1:] if path.startswith("arch/") else found)
        return self._objects[path]

    def documentation(self, symbols: Collection[Symbol]) -> tuple[Documentation, ...]:
        """The kernel-doc of the first of the symbols that has one; else the first plain comment above one."""
        plain = ""
        for symbol in symbols:
            comment = comment_of(self.data(symbol.path) or b"", symbol.start)
            if not comment:
                continue
            doc = parse_kerneldoc(comment)
            if doc is not None and doc.kind != "doc":
                return (_shortened(doc),) if _says_something(doc) else ()
            plain = plain or plain_comment(comment)
        return plain_text(plain)

    def maintainers(self, path: str) -> Maintainers | None:
        """The people and lists of the MAINTAINERS entry that fits a file best; None if they are not wanted."""
        data = self.data("MAINTAINERS") if self.config.maintainers else None
        entries = _maintainers(data).match(path) if data else []
        for entry in entries:
            people = tuple(person_name(one) for one in entry.maintainers)
            if people or entry.lists:
                return Maintainers(entry.title, people, tuple(one.split(" ")[0] for one in entry.lists))
        return None


def _says_something(doc: KernelDoc) -> bool:
    return bool(doc.summary or doc.params or doc.description or doc.context or doc.returns or doc.sections)


def _shortened(doc: KernelDoc) -> KernelDoc:
    """Without the members that would make a card pages long."""
    more = len(doc.params) - _MAX_PARAMETERS
    if more > 0:
        doc.params = [*doc.params[:_MAX_PARAMETERS], Param("…", f"and {more} more")]
    return doc


@lru_cache(maxsize=2)
def _maintainers(data: bytes) -> MaintainersFile:
    return parse_maintainers(data)


def comment_of(data: bytes, start: int) -> bytes:
    """The comment above what begins at ``start``; empty when there is none."""
    span = comment_above(data, start)
    return data[span[0] : span[1]] if span else b""


def plain_comment(comment: bytes) -> str:
    """The words of a comment that is no kernel-doc; "" for a separator or a licence."""
    text = comment_text(comment)
    if "SPDX-License" in text or not any(char.isalpha() for char in text):
        return ""
    if len(text) > _MAX_PLAIN_COMMENT:
        text = text[:_MAX_PLAIN_COMMENT].rsplit(None, 1)[0] + " …"
    return text


def person_name(person: str) -> str:
    """``A Developer <a@example.org>`` -> ``A Developer``."""
    name = person.partition("<")[0].strip().strip('"')
    return name or person.strip("<> ")


def arch_condition(path: str) -> tuple[str, ...]:
    parts = path.split("/", 2)
    return (f"arch {parts[1]}",) if len(parts) == 3 and parts[0] == "arch" else ()


def other_variants(reading: Reading, primary: Symbol, symbols: Collection[Symbol]) -> list[Symbol]:
    """The other definitions that the name of ``primary`` may mean: of the same name space (tags
    apart from the rest), not another file's private ones, not those of headers out of reach."""
    if is_private(primary):
        return [one for one in symbols if one.path == primary.path and _rivals(primary, one)]
    return [
        one
        for one in symbols
        if _rivals(primary, one)
        and (one.path in (primary.path, reading.near) or (not is_private(one) and in_reach(one.path, primary.path)))
    ]


def _rivals(primary: Symbol, other: Symbol) -> bool:
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


def in_reach(path: str, primary: str) -> bool:
    """Whether a file's globals, or a header's contents, may be meant where ``primary`` is."""
    if path.startswith(("tools/", "scripts/", "samples/")) != primary.startswith(("tools/", "scripts/", "samples/")):
        return False
    if not path.endswith(".h") or path.startswith("include/") or "/include/" in path:
        return True
    return primary.startswith(path.rpartition("/")[0] + "/")
