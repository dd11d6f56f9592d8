"""The definition that a comment is wanted for, and what an existing kernel-doc comment of it lacks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import KernelDoc, comment_above, inline_member_docs, parse_kerneldoc
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.kerneldoc.declaration import Declaration, Undocumentable
from kexpert.features.kerneldoc.declaration_reader import declaration_of
from kexpert.view import View

_DOCUMENTED = (Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO, Kind.STRUCT, Kind.UNION, Kind.ENUM)
_SAYS_RETURN = re.compile(r"\breturns?\b", re.I)
#: The closing mark has a line of its own, so lines can be added above it.
_CLOSED_BELOW = re.compile(rb"\n[^\n]*\n[ \t]*\**\*/\Z")


@dataclass(frozen=True, slots=True)
class Existing:
    """A kernel-doc comment that is there already."""

    start: int
    end: int
    #: Declared but not described, in the order of the declaration.
    missing: tuple[str, ...]
    #: Described but not declared.
    stale: tuple[str, ...]
    lacks_return: bool


@dataclass(frozen=True, slots=True)
class Target:
    """``existing`` is None where a comment is to be written, else the comment that is to be completed."""

    symbol: Symbol
    declaration: Declaration
    existing: Existing | None

    @property
    def is_complete(self) -> bool:
        """Nothing is missing in the comment that is there."""
        return self.existing is not None and not (self.existing.missing or self.existing.lacks_return)


def target_at(view: View, source: Source, offset: int) -> Target | None:
    """The function, macro or record around an offset, or under the comment there; None if there is none.

    Raises Undocumentable.
    """
    symbol = _symbol_at(view, source, offset)
    if symbol is None:
        return None
    declaration = declaration_of(source.data, symbol)
    span = comment_above(source.data, declaration.start)
    doc = parse_kerneldoc(source.data[span[0] : span[1]]) if span else None
    if span is None or doc is None or doc.kind == "doc":
        return Target(symbol, declaration, None)
    if doc.name.removesuffix("()") not in (declaration.name, symbol.name):
        raise Undocumentable(f"the comment above it describes {doc.name}")
    target = Target(symbol, declaration, _existing(source.data, symbol, declaration, doc, span))
    if not target.is_complete and not _CLOSED_BELOW.search(source.data, *span):
        raise Undocumentable("the comment above it does not end on a line of its own")
    return target


def _symbol_at(view: View, source: Source, offset: int) -> Symbol | None:
    symbols = [symbol for symbol in view.symbols_in(source.path) if symbol.kind in _DOCUMENTED]
    line = source.lines.line_of(offset)
    around = [symbol for symbol in symbols if symbol.start <= offset <= symbol.end or symbol.line == line]
    if around:
        return min(around, key=lambda symbol: symbol.end - symbol.start)
    following = min((s for s in symbols if s.start > offset), key=lambda symbol: symbol.start, default=None)
    if following is None:
        return None
    span = comment_above(source.data, following.start)
    if span is not None and span[0] <= offset:
        return following
    # an attribute or a type on a line of its own above the name
    return following if not source.data[offset : following.start].strip(b" \t") else None


def _existing(
    data: bytes, symbol: Symbol, declaration: Declaration, doc: KernelDoc, span: tuple[int, int]
) -> Existing:
    described = {param.name.removesuffix("...") or "..." for param in doc.params}
    if declaration.kind in ("struct", "union"):
        described |= set(inline_member_docs(data[symbol.start : symbol.end]))
    declared = [parameter.name for parameter in declaration.parameters]
    missing = tuple(name for name in declared if name not in described and name != "...")
    stale = tuple(param.name for param in doc.params if param.name.removesuffix("...") not in (*declared, "")
                  and "." not in param.name.removesuffix("..."))  # fmt: skip
    says = " ".join([doc.summary, doc.description, doc.context, *(title + " " + text for title, text in doc.sections)])
    lacks_return = declaration.returns is not None and not doc.returns and not _SAYS_RETURN.search(says)
    return Existing(span[0], span[1], missing, stale, lacks_return)
