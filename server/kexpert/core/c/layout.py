"""Offsets and sizes of struct members on LP64, little endian, without a build.

Rules: System V ABI, AMD64 supplement, chapter 3.1. After a member whose size depends on the configuration (a lock) or
that is under an undecided ``#if``, offsets are approximate; after a member of unknown size they are None. Numbers are
bytes; bit offsets are relative to the storage unit of the bit-field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kexpert.core.c.members import (
    MAX_DEPTH,
    Attributes,
    MemberDeclaration,
    MemberDeclarator,
    RecordBody,
    attributes_of,
    declarations,
    read_body,
)
from kexpert.core.c.sizes import KNOWN, POINTER, Constant, Size, SizeOf, builtin, evaluate
from kexpert.core.text import encode

__all__ = ["Layout", "MemberLayout", "Size", "layout"]

#: The text of the members that a call of a macro expands to; None if it is not known.
Expand = Callable[[str], str | None]

_MAX_EXPANSIONS = 6  # inside each other
_CACHELINE_BYTES = 64  # of most 64-bit machines; a layout that uses it is approximate


@dataclass(frozen=True, slots=True)
class MemberLayout:
    """The place of one member. ``exact`` is False where offset or size may differ in another configuration."""

    name: str  # "a"; "b.c" inside a named inline struct; "" for an anonymous one
    type: str
    text: str  # the declaration as C
    offset: int | None
    size: int | None
    align: int
    exact: bool  # of offset and size
    offset_exact: bool
    bit_offset: int | None = None
    bit_width: int | None = None
    depth: int = 0  # number of inline aggregates around it


@dataclass(slots=True)
class Layout:
    """The place of every member of a struct or union; ``size`` is None where it is unknown."""

    kind: str
    fields: list[MemberLayout] = field(default_factory=list)
    size: int | None = 0
    align: int = 1
    exact: bool = True
    holes: list[tuple[int, int]] = field(default_factory=list)  # (offset, size) between the outermost members
    padding: int = 0  # bytes after the last member
    configuration: str = ""  # in words, if options decided something


def layout(
    body: bytes,
    kind: str,
    size_of: SizeOf,
    constant: Constant = lambda name: None,
    max_align: int | None = None,
    guesses: bool = True,
    expand: Expand = lambda call: None,
) -> Layout:
    """Compute the layout of ``struct foo { ... } __packed``, or of the braces and the attributes after them.

    ``size_of`` looks up "struct foo", "union foo" and typedefs that ``sizes`` does not know. ``constant`` looks up
    macros and enumerators in array lengths and bit widths. Both return None for unknown names. ``max_align`` is the
    alignment in bytes that ``#pragma pack`` allows at most. ``guesses``: types that depend on the configuration
    (locks) get the size that they have without debugging options, as an approximation, before ``size_of`` is asked.
    ``expand`` gives the members that an unknown macro expands to, as text, from its call as text.
    """
    read = read_body(body)
    if read is None:
        return Layout(kind, size=None, exact=False)
    builder = _Builder(read, kind, read.attributes.packed, size_of, constant, 0, max_align, guesses, expand)
    builder.members(read.start, read.end)
    return builder.finish(read.attributes)


class _Builder:
    """The layout of one aggregate in progress. ``at`` is the next free bit, None once it is unknown."""

    def __init__(
        self,
        body: RecordBody,
        kind: str,
        packed: bool,
        size_of: SizeOf,
        constant: Constant,
        depth: int,
        max_align: int | None,
        guesses: bool,
        expand: Expand,
    ) -> None:
        self.max_align = max_align
        self.expand = expand
        self.expansions = 0  # open ones
        self.guesses = guesses
        self.body, self.packed, self.size_of, self.constant, self.depth = body, packed, size_of, constant, depth
        self.out = Layout(kind)
        self.at: int | None = 0
        self.end: int | None = 0  # bits: the largest end of a member
        self.exact = True

    def members(self, start: int, end: int) -> None:
        for declaration in declarations(self.body, start, end):
            if declaration.unsure:
                self.exact = False
            self._declaration(declaration)
        if self.body.unsure_from < end:
            self.exact = False

    def finish(self, attributes: Attributes) -> Layout:
        out = self.out
        out.align = self._aligned(attributes, out.align)
        used = None if self.end is None else (self.end + 7) // 8
        out.size = None if used is None else _round_up(used, out.align)
        out.exact = self.exact and out.size is not None
        if used is not None and out.size is not None:
            out.padding = out.size - used
        return out

    def _aligned(self, attributes: Attributes, align: int) -> int:
        """``align`` raised by alignment attributes. An unknown alignment makes the layout inexact."""
        expressions, words = list(attributes.aligned), list(attributes.cacheline)
        for _ in range(_MAX_EXPANSIONS):
            if not words:
                break
            text = self.expand(words.pop())
            if text is None:
                self.exact = False
                align = max(align, _CACHELINE_BYTES)
            else:
                found, _ = attributes_of(text)
                expressions += found.aligned
                words += found.cacheline
        for expression in expressions:
            wanted = evaluate(expression, self._type_size, self.constant)
            if wanted is None or wanted <= 0 or wanted & (wanted - 1) or wanted > 1 << 20:
                self.exact = False
            else:
                align = max(align, wanted)
        return align

    # -- declarations ---------------------------------------------------------------------------------------------

    def _declaration(self, declared: MemberDeclaration) -> None:
        if declared.macro:
            self._macro(declared)
        elif declared.inner is not None:
            self._aggregate(declared, declared.inner)
        else:
            for declarator in declared.declarators:
                if declarator.words:
                    declared = self._with_words(declared, declarator)
                base = None if declarator.pointer else self._type_size(declared.base)
                if declarator.bits is not None:
                    self._bits(declared, declarator, base)
                else:
                    self._place(declared, declarator, self._declarator_size(base, declarator))
            is_type = declared.base.split(" ")[0] in ("struct", "union", "enum")
            if not declared.declarators and not is_type and not self._expanded(declared.base):
                self._place(declared, MemberDeclarator("", "", False, (), None), None)

    def _with_words(self, declared: MemberDeclaration, declarator: MemberDeclarator) -> MemberDeclaration:
        """With the attributes that words after the name expand to; an unknown word makes the layout inexact."""
        attributes = declared.attributes
        for word in declarator.words:
            text = self.expand(word)
            if text is None:
                self.exact = False
            else:
                attributes |= attributes_of(text)[0]
        return replace(declared, attributes=attributes)

    def _macro(self, declared: MemberDeclaration) -> None:
        name, arguments = declared.macro, declared.arguments
        if declared.group is not None:
            self._aggregate(replace(declared, base="struct"), declared.group)
        elif name in ("static_assert", "_Static_assert") or name.startswith("__cacheline_group_"):
            return
        elif name == "DECLARE_BITMAP" and len(arguments) == 2:
            bits = evaluate(arguments[1], self._type_size, self.constant)
            size = None if bits is None else Size((bits + 63) // 64 * 8, 8)
            self._place_macro_member(declared, arguments[0], "unsigned long", f"[{arguments[1]} bits]", size)
        elif name == "DECLARE_HASHTABLE" and len(arguments) == 2:
            bits = evaluate(arguments[1], self._type_size, self.constant)
            size = None if bits is None or bits > 32 else Size(8 << bits, 8)
            self._place_macro_member(declared, arguments[0], "struct hlist_head", f"[1 << {arguments[1]}]", size)
        elif name in ("DECLARE_FLEX_ARRAY", "__DECLARE_FLEX_ARRAY") and len(arguments) == 2:
            base = self._type_size(arguments[0])
            size = POINTER if "*" in arguments[0] else base
            self._place_macro_member(declared, arguments[1], arguments[0], "[]", size and size._replace(size=0))
        elif not self._expanded(f"{name}({', '.join(arguments)})"):
            self._place_macro_member(declared, arguments[0] if arguments else "", name, "", None)

    def _expanded(self, call: str) -> bool:
        """Place the members that a macro expands to; False if they are not known."""
        text = self.expand(call) if self.expansions < _MAX_EXPANSIONS else None
        inside = None if text is None else read_body(b"{" + encode(text) + b";}")
        if inside is None:
            return False
        outer, self.body = self.body, inside
        self.expansions += 1
        self.members(inside.start, inside.end)
        self.expansions -= 1
        self.body = outer
        return True

    def _place_macro_member(
        self, declared: MemberDeclaration, name: str, base: str, suffix: str, size: Size | None
    ) -> None:
        self._place(replace(declared, base=base), MemberDeclarator(name, name + suffix, False, (), None), size)

    def _aggregate(self, declared: MemberDeclaration, span: tuple[int, int]) -> None:
        kind = "union" if declared.base.startswith("union") else "struct"
        if self.depth >= MAX_DEPTH:
            self._place(declared, MemberDeclarator("", "", False, (), None), None)
            return
        attributes = declared.type_attributes
        inner = _Builder(self.body, kind, attributes.packed, self.size_of, self.constant, self.depth + 1,
                         self.max_align, self.guesses, self.expand)  # fmt: skip
        inner.members(*span)
        inner_layout = inner.finish(attributes)
        size = None if inner_layout.size is None else Size(inner_layout.size, inner_layout.align, inner_layout.exact)
        declarators = declared.declarators
        if declared.group is not None:
            name = declared.arguments[1 if declared.macro in ("struct_group_tagged", "__struct_group") else 0 :][:1]
            declarators = [MemberDeclarator("".join(name), "".join(name), False, (), None)]
        elif not declarators:
            if " " in declared.base:  # a tag without a member only declares a type
                return
            declarators = [MemberDeclarator("", "", False, (), None)]
        for declarator in declarators:
            offset, exact = self._place(declared, declarator, self._declarator_size(size, declarator))
            if declarator.pointer or declarator.dimensions:
                continue
            prefix = f"{declarator.name}." if declarator.name and declared.group is None else ""
            self.out.fields += [
                replace(
                    member,
                    name=prefix + member.name if member.name else "",
                    offset=None if member.offset is None or offset is None else offset + member.offset,
                    exact=member.exact and exact,
                    offset_exact=member.offset_exact and exact,
                    depth=member.depth + 1,
                )
                for member in inner_layout.fields
            ]

    # -- sizes ----------------------------------------------------------------------------------------------------

    def _type_size(self, base: str) -> Size | None:
        if base.startswith("enum"):
            return (self.size_of(base) if " " in base else None) or Size(4, 4)
        if base.rstrip().endswith("*"):
            return POINTER
        if base in ("?", "void", "struct", "union"):
            return None
        known = KNOWN.get(base) or builtin(base)
        if known is None or not (known.exact or self.guesses):
            return self.size_of(base)
        return known

    def _declarator_size(self, base: Size | None, declarator: MemberDeclarator) -> Size | None:
        """The size of one declarator: of a pointer, or of an array of the base type; None if unknown."""
        size = POINTER if declarator.pointer else base
        if size is None or ("(" in declarator.text.partition("[")[0] and not declarator.pointer):
            return None
        total = size.size
        for dimension in declarator.dimensions:
            count = evaluate(dimension, self._type_size, self.constant) if dimension else 0
            if count is None or count < 0:
                return None
            total *= count
        return size._replace(size=total)

    # -- placing --------------------------------------------------------------------------------------------------

    def _place(
        self, declared: MemberDeclaration, declarator: MemberDeclarator, size: Size | None
    ) -> tuple[int | None, bool]:
        """Place one member. Returns its offset, and True if that is exact."""
        align = size.align if size and not self.packed and not declared.attributes.packed else 1
        align = self._aligned(declared.attributes, align)
        align = min(align, self.max_align or align)
        start = 0 if self.out.kind == "union" else self.at
        exact = self.exact or (self.out.kind == "union" and not declared.unsure)
        offset: int | None
        if start is None:
            offset = None
        elif size is None:
            # Its alignment is unknown too: most types suit a multiple of eight, but not one aligned to a cache line.
            offset = start // 8 if start % 64 == 0 else None
            exact = exact and start == 0
        else:
            offset = _round_up((start + 7) // 8, align)
        self._hole(start, offset)
        exact = exact and offset is not None
        suffix = declarator.text.replace(declarator.name, "", 1).strip() if declarator.name else declarator.text
        self.out.fields.append(
            MemberLayout(
                name=declarator.name,
                type=f"{declared.base} {suffix}".strip(),
                text=f"{declared.base} {declarator.text}".strip(),
                offset=offset,
                size=size.size if size else None,
                align=align,
                exact=exact and size is not None and size.exact,
                offset_exact=exact,
            )
        )
        self.out.align = max(self.out.align, align)
        if size is None or not size.exact:
            self.exact = False
        self._advance(None if offset is None or size is None else (offset + size.size) * 8)
        return offset, exact

    def _bits(self, declared: MemberDeclaration, declarator: MemberDeclarator, base: Size | None) -> None:
        width = evaluate(declarator.bits or "", self._type_size, self.constant)
        start = 0 if self.out.kind == "union" else self.at
        if base is None or width is None or width < 0 or width > base.size * 8:
            self._place(declared, declarator, None)
            return
        unit = base.size * 8
        if start is not None:
            if width == 0:
                self._advance(_round_up(start, unit))
                return
            begin = start
            if not self.packed and self.max_align is None and start % unit + width > unit:
                start = _round_up(start, unit)
                if start - begin >= 8:
                    self._hole(begin, (start + 7) // 8)
        offset = None if start is None else start // unit * base.size
        if (self.packed or self.max_align is not None) and start is not None:
            offset = start // 8
        align = 1 if self.packed else min(base.align, self.max_align or base.align)
        if declarator.name:
            self.out.align = max(self.out.align, align)
            self.out.fields.append(
                MemberLayout(
                    name=declarator.name,
                    type=declared.base,
                    text=f"{declared.base} {declarator.text}:{width}",
                    offset=offset,
                    size=base.size,
                    align=align,
                    exact=self.exact and offset is not None,
                    offset_exact=self.exact and offset is not None,
                    bit_offset=None if start is None or offset is None else start - offset * 8,
                    bit_width=width,
                )
            )
        self._advance(None if start is None else start + width)

    def _hole(self, start: int | None, offset: int | None) -> None:
        if start is not None and offset is not None and offset > (start + 7) // 8:
            self.out.holes.append(((start + 7) // 8, offset - (start + 7) // 8))

    def _advance(self, end: int | None) -> None:
        if self.out.kind == "union":
            self.end = None if end is None or self.end is None else max(self.end, end)
        else:
            self.at = self.end = end


def _round_up(value: int, align: int) -> int:
    return (value + align - 1) // align * align
