"""The layout of a struct, with the sizes of what it holds looked up in the tree.

The work is bounded: so many look-ups for one card, so many structs inside structs; what is left
over stays unknown. Where a type has several definitions the nearest is taken, and marked as approximate.
"""

from __future__ import annotations

from kexpert.core.c.declarators import read_declaration
from kexpert.core.c.layout import Layout, layout
from kexpert.core.c.sizes import Size
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import encode
from kexpert.features.hover.card_reader import Reading, in_reach
from kexpert.features.hover.macro_card import MacroLookup
from kexpert.features.hover.variable_card import declared
from kexpert.features.semantics.macro_expansion import evaluate

_MAX_LOOKUPS = 40
_MAX_INNER = 16 * 1024  # bytes of struct bodies read beside the struct itself
_MAX_DEPTH = 6
_MAX_BODY = 64 * 1024


def layout_of(reading: Reading, symbol: Symbol) -> Layout | None:
    """The layout of a struct or union; None when its members cannot be read."""
    laid = _Sizes(reading).lay_out(symbol)
    return laid if laid is not None and laid.fields else None


class _Sizes:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._macros = MacroLookup(reading)
        self._known: dict[str, Size | None] = {}
        self._lookups = _MAX_LOOKUPS
        self._bytes = _MAX_INNER
        self._inside: list[str] = []  # paths of the structs being laid out, outermost first

    def lay_out(self, symbol: Symbol) -> Layout | None:
        body = self._reading.text(symbol)
        if not body or len(body) > _MAX_BODY or len(self._inside) >= _MAX_DEPTH:
            return None
        if self._inside:
            self._bytes -= len(body)
            if self._bytes < 0:
                return None
        self._inside.append(symbol.path)
        try:
            return layout(body, "union" if symbol.kind == Kind.UNION else "struct", self.size_of, self.constant)
        finally:
            self._inside.pop()

    def size_of(self, name: str) -> Size | None:
        """The size of "struct foo", "union foo" or a typedef."""
        if name not in self._known:
            self._known[name] = None  # what holds itself has no size
            self._known[name] = self._find(name)
        return self._known[name]

    def constant(self, name: str) -> int | None:
        """The value of a macro that is an array's length, say."""
        return evaluate(name, self._macros)

    def _find(self, name: str) -> Size | None:
        keyword, _, tag = name.rpartition(" ")
        kinds = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,)}.get(keyword, (Kind.TYPEDEF,))
        if self._lookups <= 0 or (keyword and kinds == (Kind.TYPEDEF,)):
            return None
        self._lookups -= 1
        found = [
            one for one in self._reading.view.lookup(tag, kinds, 40)
            if in_reach(one.path, self._inside[-1] if self._inside else one.path)
        ]  # fmt: skip
        if not found:
            return None
        found.sort(key=lambda one: (one.path not in self._inside, not one.path.startswith("include/linux/"),
                                    not one.path.startswith(("include/", "arch/x86/")), one.path))  # fmt: skip
        size = self._typedef(found[0]) if found[0].kind == Kind.TYPEDEF else self._record(found[0])
        return size if size is None or len(found) == 1 else size._replace(exact=False)

    def _record(self, symbol: Symbol) -> Size | None:
        laid = self.lay_out(symbol)
        return None if laid is None or laid.size is None else Size(laid.size, laid.align, laid.exact)

    def _typedef(self, symbol: Symbol) -> Size | None:
        """The size of what a typedef names."""
        data = self._reading.data(symbol.path) or b""
        tokens = Tokens(data, symbol.start, min(symbol.end, symbol.start + _MAX_BODY))
        declaration = read_declaration(tokens, 0, symbol.path)
        named = next((one for one in declaration.declared if one.name == symbol.name), None) if declaration else None
        if named is None or len(self._inside) >= _MAX_DEPTH:
            return None
        body = named.type.body
        if body is not None and not named.type.derived and named.type.keyword != "enum":
            text, kind = data[body.start : body.end], "union" if named.type.keyword == "union" else "struct"
        else:  # a struct with one member of that type has its size
            text, kind = encode(f"{{ {declared(named.type.text, 'member')}; }}"), "struct"
        laid = layout(text, kind, self.size_of, self.constant)
        return None if laid.size is None else Size(laid.size, laid.align, laid.exact)
