"""The layout of a struct, with the sizes of its members' types looked up in the tree.

The configuration in view decides ``#if`` and which of several definitions of a type is meant. Look-ups and nested
structs are bounded; sizes past the bounds stay unknown. Where several definitions remain, the nearest is taken, and its
size is marked as approximate.
"""

from __future__ import annotations

import re

from kexpert.core.c.declarators import is_annotation
from kexpert.core.c.layout import Layout, layout
from kexpert.core.c.members import attributes_of, packing_at
from kexpert.core.c.sizes import Size, well_known
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.hover.card_reader import CardReader, is_in_reach
from kexpert.features.hover.type_constants import TypeConstants
from kexpert.features.semantics.compiled_text import Compilation
from kexpert.features.semantics.definition_ranking import is_private

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
_WIDE = re.compile(rb"\bBIT_ULL\b|\bGENMASK_ULL\b|\b0[xX][0-9a-fA-F]{9,}|[0-9a-fA-F][uU]?[lL]+\b|<<\s*(?:3[2-9]|[4-6]\d)")


def layout_of(reader: CardReader, symbol: Symbol) -> Layout | None:
    """The layout of a struct or union; None if its members cannot be read."""
    found = _Sizes(reader, symbol).lay_out(symbol)
    return found if found is not None and found.fields else None


class _Sizes:
    def __init__(self, reader: CardReader, symbol: Symbol) -> None:
        self._reader = reader
        self._compilation = Compilation(reader.view, reader.source(reader.path or symbol.path))
        self._constants = TypeConstants(reader, self._compilation)
        self._known: dict[str, Size | None] = {}
        self._lookups = _MAX_LOOKUPS
        self._bytes = _MAX_INNER_BYTES
        self._inside: list[str] = []  # paths of the structs being laid out, outermost first

    def lay_out(self, symbol: Symbol) -> Layout | None:
        data = self._reader.data(symbol.path) or b""
        if not self._enter(symbol):
            return None
        try:
            body = self._compilation.text(symbol.path, data, symbol.start, symbol.end)
            body += b" " + self._attributes(data, symbol) + b";"
            kind = "union" if symbol.kind == Kind.UNION else "struct"
            return self._layout(body, kind, data, symbol)
        finally:
            self._inside.pop()

    def _layout(self, body: bytes, kind: str, data: bytes, symbol: Symbol) -> Layout:
        return layout(
            body, kind, self.size_of, self.constant, packing_at(data, symbol.start), not self._compilation.decides
        )

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
        while tokens.is_word(at) and (is_annotation(tokens[at]) or tokens[at].isupper()):
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
            if is_in_reach(row.path, path) and (row.path == path or not is_private(row))
        ]  # fmt: skip
        found = self._compilation.variants(found)
        found = [row for row in found if row.path == path] or found
        if not found:
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

    def _rank(self, symbol: Symbol) -> tuple[bool, bool, bool, str]:
        is_global = symbol.path.startswith(("include/", "arch/x86/"))
        return symbol.path not in self._inside, not symbol.path.startswith("include/linux/"), not is_global, symbol.path

    def _record(self, symbol: Symbol) -> Size | None:
        found = self.lay_out(symbol)
        return None if found is None or found.size is None else Size(found.size, found.align, found.exact)

    def _enum(self, symbol: Symbol) -> Size | None:
        data = self._reader.data(symbol.path) or b""
        body = data[symbol.start : symbol.end]
        attributes, _ = attributes_of(decode(self._attributes(data, symbol)))
        is_plain = not attributes.packed and not _WIDE.search(body)
        return Size(4, 4) if is_plain else None

    def _typedef(self, symbol: Symbol) -> Size | None:
        """The size of the type that a typedef names: that of a member of its name, declared so."""
        data = self._reader.data(symbol.path) or b""
        if not self._enter(symbol):
            return None
        try:
            text = self._compilation.text(symbol.path, data, symbol.start, symbol.end)
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
