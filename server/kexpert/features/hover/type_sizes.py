"""The layout of a struct, with the sizes of its members' types looked up in the tree.

Look-ups and nested structs are bounded; sizes past the bounds stay unknown. Of several definitions of a type the
nearest is taken, and its size is marked as approximate.
"""

from __future__ import annotations

import re

from kexpert.core.c.declarators import is_annotation, read_declaration
from kexpert.core.c.layout import Layout, layout
from kexpert.core.c.members import packing_at
from kexpert.core.c.sizes import Size
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import encode
from kexpert.features.hover.card_reader import CardReader, is_in_reach
from kexpert.features.hover.code_card import as_declaration
from kexpert.features.hover.macro_card import MacroLookup
from kexpert.features.semantics.macro_expansion import evaluate

_MAX_LOOKUPS = 40
_MAX_DEFINITIONS = 40
_MAX_INNER_BYTES = 16 * 1024  # of struct bodies, besides the struct itself
_MAX_DEPTH = 6
_MAX_BODY_BYTES = 64 * 1024
_MAX_TAIL_BYTES = 400  # after a closing brace
_MAX_WORDS = 4  # around a body that are looked up
_WORD = re.compile(rb"[A-Za-z_]\w*")
#: Words around a body that need no look-up.
_KEYWORDS = frozenset(b"struct union typedef static const __packed __attribute__ packed aligned __aligned".split())


def layout_of(reader: CardReader, symbol: Symbol) -> Layout | None:
    """The layout of a struct or union; None if its members cannot be read."""
    found = _Sizes(reader).lay_out(symbol)
    return found if found is not None and found.fields else None


class _Sizes:
    def __init__(self, reader: CardReader) -> None:
        self._reader = reader
        self._macros = MacroLookup(reader)
        self._known: dict[str, Size | None] = {}
        self._lookups = _MAX_LOOKUPS
        self._bytes = _MAX_INNER_BYTES
        self._inside: list[str] = []  # paths of the structs being laid out, outermost first

    def lay_out(self, symbol: Symbol) -> Layout | None:
        data = self._reader.data(symbol.path) or b""
        body = data[symbol.start : symbol.end]
        if not body or len(body) > _MAX_BODY_BYTES or len(self._inside) >= _MAX_DEPTH:
            return None
        if self._inside:
            self._bytes -= len(body)
            if self._bytes < 0:
                return None
        self._inside.append(symbol.path)
        try:
            body += b" " + self._attributes(data, symbol) + b";"
            kind = "union" if symbol.kind == Kind.UNION else "struct"
            return layout(body, kind, self.size_of, self.constant, packing_at(data, symbol.start))
        finally:
            self._inside.pop()

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
            texts = [self._reader.text(macro).partition(word)[2] for macro in macros]
            tail += next((b" " + text for text in texts if b"packed" in text or b"aligned" in text), b"")
        return tail.replace(b"\\\n", b" ")

    def size_of(self, name: str) -> Size | None:
        """The size of "struct foo", "union foo" or a typedef."""
        if name not in self._known:
            self._known[name] = None  # a struct that holds itself has no size
            self._known[name] = self._find(name)
        return self._known[name]

    def constant(self, name: str) -> int | None:
        """The value of a macro, such as the length of an array."""
        return evaluate(name, self._macros)

    def _find(self, name: str) -> Size | None:
        keyword, _, tag = name.rpartition(" ")
        kinds = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,)}.get(keyword, (Kind.TYPEDEF,))
        if self._lookups <= 0 or (keyword and kinds == (Kind.TYPEDEF,)):
            return None
        self._lookups -= 1
        found = [
            symbol for symbol in self._reader.view.lookup(tag, kinds, _MAX_DEFINITIONS)
            if is_in_reach(symbol.path, self._inside[-1] if self._inside else symbol.path)
        ]  # fmt: skip
        if not found:
            return None
        found.sort(key=self._rank)
        size = self._typedef(found[0]) if found[0].kind == Kind.TYPEDEF else self._record(found[0])
        return size if size is None or len(found) == 1 else size._replace(exact=False)

    def _rank(self, symbol: Symbol) -> tuple[bool, bool, bool, str]:
        is_global = symbol.path.startswith(("include/", "arch/x86/"))
        return symbol.path not in self._inside, not symbol.path.startswith("include/linux/"), not is_global, symbol.path

    def _record(self, symbol: Symbol) -> Size | None:
        found = self.lay_out(symbol)
        return None if found is None or found.size is None else Size(found.size, found.align, found.exact)

    def _typedef(self, symbol: Symbol) -> Size | None:
        """The size of the type that a typedef names."""
        data = self._reader.data(symbol.path) or b""
        tokens = Tokens(data, symbol.start, min(symbol.end, symbol.start + _MAX_BODY_BYTES))
        declaration = read_declaration(tokens, 0, symbol.path)
        declared = declaration.declared if declaration else ()
        named = next((each for each in declared if each.name == symbol.name), None)
        if named is None or len(self._inside) >= _MAX_DEPTH:
            return None
        body = named.type.body
        if body is not None and not named.type.derived and named.type.keyword != "enum":
            kind = "union" if named.type.keyword == "union" else "struct"
            text = data[body.start : body.end] + b" " + data[body.end : named.name_start] + b";"
        else:  # a struct with only a member of that type has its size
            text, kind = encode(f"{{ {as_declaration(named.type.text, 'member')}; }}"), "struct"
        found = layout(text, kind, self.size_of, self.constant, packing_at(data, symbol.start))
        return None if found.size is None else Size(found.size, found.align, found.exact)
