"""The layout of a struct, with the sizes of its members' types looked up in the tree.

The configuration in view decides ``#if`` and which of several definitions of a type is meant. Look-ups and nested
structs are bounded; sizes past the bounds stay unknown. Where several definitions remain, the nearest is taken, and its
size is marked as approximate.
"""

from __future__ import annotations

import re

from kexpert.core.c.layout import Layout, layout
from kexpert.core.c.members import attributes_of, packing_at
from kexpert.core.c.sizes import POINTER, Size, builtin, well_known
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import decode, encode
from kexpert.features.hover.card_reader import CardReader, is_in_reach
from kexpert.features.hover.enum_values import MAX_ENUM_BYTES, enumerator_values
from kexpert.features.hover.macro_meanings import MacroMeanings
from kexpert.features.semantics.compiled_text import Compilation
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.features.semantics.macro_expansion import Macro
from kexpert.features.semantics.member_macros import expand_call, members_made, sole_word, type_in, with_members

_MAX_LOOKUPS = 200
_MAX_DEFINITIONS = 40
_MAX_INNER_BYTES = 128 * 1024  # of struct bodies, besides the struct itself
_MAX_DEPTH = 10
_MAX_BODY_BYTES = 64 * 1024
_MAX_TAIL_BYTES = 400  # after a closing brace
_MAX_WORDS = 4  # around a body that are looked up
_WORD = re.compile(rb"[A-Za-z_]\w*")
_TYPEDEF = re.compile(rb"\s*(?:__extension__\s+)?typedef\b")
_KINDS = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,), "enum": (Kind.ENUM,), "": (Kind.TYPEDEF,)}
#: Words around a body that need no look-up.
_KEYWORDS = frozenset(b"struct union typedef static const __packed __attribute__ packed aligned __aligned".split())
#: Marks of values that may not fit into an int.
_WIDE = re.compile(
    rb"\bBIT_ULL\b|\bGENMASK_ULL\b|\b0[xX][0-9a-fA-F]{9,}|\b(?:0[xX][0-9a-fA-F]+|\d+)[uU]?[lL]+|<<\s*(?:3[2-9]|[4-6]\d)"
)


def layout_of(reader: CardReader, symbol: Symbol) -> Layout | None:
    """The layout of a struct or union; None if its members cannot be read."""
    sizes = _Sizes(reader, symbol)
    found = sizes.lay_out(symbol)
    if found is None or not found.fields:
        return None
    found.configuration = sizes.configuration
    return found


class _Sizes:
    def __init__(self, reader: CardReader, symbol: Symbol) -> None:
        self._reader = reader
        self._compilation = Compilation(reader.view, reader.source(reader.path or symbol.path))
        self._constants = MacroMeanings(reader, self._compilation, self._measure)
        self._known: dict[str, Size | None] = {}
        self._lookups = _MAX_LOOKUPS
        self._bytes = _MAX_INNER_BYTES
        self._inside: list[str] = []  # paths of the structs being laid out, outermost first

    @property
    def configuration(self) -> str:
        """The configuration in view in words, if it decided anything; else ""."""
        return self._compilation.name

    def lay_out(self, symbol: Symbol) -> Layout | None:
        data = self._reader.data(symbol.path) or b""
        if not self._enter(symbol):
            return None
        try:
            kind = "union" if symbol.kind == Kind.UNION else "struct"
            body = self._text(symbol, data, kind)
            body += b" " + self._attributes(data, symbol) + b";"
            return self._layout(body, kind, data, symbol)
        finally:
            self._inside.pop()

    def _layout(self, body: bytes, kind: str, data: bytes, symbol: Symbol) -> Layout:
        return layout(
            with_members(body, self._macro), kind, self.size_of, self.constant, self._packing(data, symbol),
            not self._compilation.decides, lambda call: members_made(call, self._macro),
        )  # fmt: skip

    def _packing(self, data: bytes, symbol: Symbol) -> int | None:
        if b"pragma" not in data:
            return None
        had_decided = self._compilation.has_decided
        found = packing_at(self._compilation.text(symbol.path, data, 0, symbol.start), symbol.start)
        if found is None:
            self._compilation.has_decided = had_decided
        return found

    def _measure(self, keyword: str, operand: str) -> int | None:
        """What ``sizeof`` or an alignment says of a type or of a plain string."""
        if operand.startswith('"'):
            return len(operand) - 1 if operand.find('"', 1) == len(operand) - 1 and "\\" not in operand else None
        size = builtin(operand) or (POINTER if operand.endswith("*") else self.size_of(operand))
        return None if size is None or not size.exact else size.size if keyword == "sizeof" else size.align

    def _macro(self, name: str) -> Macro | None:
        return self._constants.macro(name, self._inside[-1])

    def _text(self, symbol: Symbol, data: bytes, keyword: str) -> bytes:
        """The text of a definition, with the braces that a macro makes."""
        text = self._compilation.text(symbol.path, data, symbol.start, symbol.end)
        if symbol.flags & Flag.IDIOM:
            made = expand_call(decode(text), self._macro) or ""
            return encode(type_in(made, keyword, symbol.name)) or text
        return text

    def _enter(self, symbol: Symbol) -> bool:
        """True if the text of a definition may be read within the bounds; the caller leaves it again."""
        size = symbol.end - symbol.start
        if not 0 < size <= _MAX_BODY_BYTES or len(self._inside) >= _MAX_DEPTH:
            return False
        if self._inside:
            self._bytes -= size
            if self._bytes < 0:
                return False
        self._inside.append(symbol.path)
        return True

    def _attributes(self, data: bytes, symbol: Symbol) -> bytes:
        """The attributes after the closing brace, and those from macros of the tree before and after the body."""
        tokens = Tokens(data, symbol.end, symbol.end + _MAX_TAIL_BYTES)
        at = 0
        while tokens.is_word(at):
            at = tokens.past(at + 1) if tokens[at + 1] == "(" else at + 1
        tail = data[symbol.end : tokens.stop(at - 1)] if at else b""
        head = data[symbol.start : data.find(b"{", symbol.start, symbol.end)]
        for word in sorted(set(_WORD.findall(head + tail)) - {symbol.name.encode(), *_KEYWORDS})[:_MAX_WORDS]:
            macros = self._reader.lookup(word.decode("latin-1"), (Kind.MACRO,), limit=4)
            texts = [self._reader.text(macro).partition(word)[2] for macro in self._compilation.variants(macros)]
            tail += next((b" " + text for text in texts if b"packed" in text or b"aligned" in text), b"")
        return tail.replace(b"\\\n", b" ")

    def size_of(self, name: str) -> Size | None:
        """The size of "struct foo", "union foo", "enum foo" or a typedef."""
        if name not in self._known:
            self._known[name] = None  # a struct that holds itself has no size
            self._known[name] = self._find(name) or well_known(name)
        return self._known[name]

    def constant(self, name: str) -> int | None:
        """The value of a macro, such as the length of an array."""
        return self._constants.value(name, self._inside[-1])

    def _find(self, name: str) -> Size | None:
        keyword, _, tag = name.rpartition(" ")
        if self._lookups <= 0 or keyword not in _KINDS:
            return None
        self._lookups -= 1
        path = self._inside[-1]
        found = [
            row for row in self._reader.view.lookup(tag, _KINDS[keyword], _MAX_DEFINITIONS)
            if row.path == path or not is_private(row)
        ]  # fmt: skip
        near = [row for row in found if is_in_reach(row.path, path)]
        found = self._compilation.variants(near or found)
        found = [row for row in found if row.path == path] or found
        if not found:
            return self._of_macro(keyword, tag)
        if not near and len(found) > 1:
            return None
        found.sort(key=self._rank)
        match found[0].kind:
            case Kind.TYPEDEF:
                size = self._typedef(found[0])
            case Kind.ENUM:
                size = self._enum(found[0])
            case _:
                size = self._record(found[0])
        return size if size is None or len(found) == 1 else size._replace(exact=False)

    def _of_macro(self, keyword: str, tag: str) -> Size | None:
        """The size of a type whose name is a macro: of another name, or of a type."""
        macro = self._macro(tag)
        if macro is None or macro.parameters is not None or not macro.body:
            return None
        if keyword:
            other = sole_word(macro.body)
            return self.size_of(f"{keyword} {other}") if other and other != tag else None
        found = layout(encode(f"{{ {macro.body} it; }}"), "struct", self.size_of, self.constant)
        member = found.fields[0] if len(found.fields) == 1 else None
        return None if member is None or member.size is None else Size(member.size, member.align, member.exact)

    def _rank(self, symbol: Symbol) -> tuple[bool, bool, bool, str]:
        is_global = symbol.path.startswith(("include/", "arch/x86/"))
        return symbol.path not in self._inside, not symbol.path.startswith("include/linux/"), not is_global, symbol.path

    def _record(self, symbol: Symbol) -> Size | None:
        found = self.lay_out(symbol)
        return None if found is None or found.size is None else Size(found.size, found.align, found.exact)

    def _enum(self, symbol: Symbol) -> Size:
        """An int, but for packed enumerations and those with larger values."""
        data = self._reader.data(symbol.path) or b""
        body = self._compilation.text(symbol.path, data, symbol.start, symbol.end)
        head = body.partition(b"{")[0]
        attributes, _ = attributes_of(decode(head + b" " + self._attributes(data, symbol)))
        if not attributes.packed and not _WIDE.search(body):
            return Size(4, 4)
        values = [each.value for each in enumerator_values(body[:MAX_ENUM_BYTES], self._macro)]
        known = [value for value in values if value is not None]
        low, high = min(known, default=0), max(known, default=0)
        bits = max((~low).bit_length() + 1, high.bit_length() + 1) if low < 0 else high.bit_length()
        size = next((size for size in (1, 2, 4) if bits <= 8 * size and (attributes.packed or size == 4)), 8)
        return Size(size, size, len(known) == len(values))

    def _typedef(self, symbol: Symbol) -> Size | None:
        """The size of the type that a typedef names: that of a member of its name, declared so."""
        data = self._reader.data(symbol.path) or b""
        if not self._enter(symbol):
            return None
        try:
            text = self._text(symbol, data, "")
            start = _TYPEDEF.match(text)
            body = b"{" + text[start.end() if start else 0 :].rstrip().rstrip(b";") + b";}"
            found = self._layout(body, "struct", data, symbol)
        finally:
            self._inside.pop()
        member = next((each for each in found.fields if each.name == symbol.name and not each.depth), None)
        if member is None or member.size is None:
            return None
        align = member.align
        attributes, _ = attributes_of(decode(text[text.rfind(b"}") + 1 :]))
        if len(attributes.aligned) == 1 and attributes.aligned[0].isdigit():
            align = int(attributes.aligned[0])  # unlike a member's, a typedef's alignment may be lower too
        return Size(member.size, align, member.exact)
