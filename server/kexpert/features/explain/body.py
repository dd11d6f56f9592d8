"""One function (or the body of a macro) parsed by itself: its nodes as text, its names, its calls.

The rest of the file is not parsed, so an error elsewhere does no harm and a large file costs nothing. Offsets of
nodes are shifted into the file by ``Body.offset``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tree_sitter import Node

from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.parse import parse
from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.hover.code_card import start_with_annotations

if TYPE_CHECKING:
    from kexpert.features.explain.callee_effects import CalleeEffects

_MAX_BYTES = 1 << 20  # of a longer function only the beginning is read
_MAX_SHOWN_CHARS = 80
_MACRO_HEAD = re.compile(rb"\s*#\s*define\s+\w+(?:\([^()\n]*\))?")
_WRAPPER = b"void f(void) {"
_NAME = re.compile(rb"([A-Za-z_]\w*)\s*\(")
_BLANKS = re.compile(r"[\s\\]+")


@dataclass(frozen=True, slots=True)
class Call:
    """A call by name or through a member (``x->ops->open()``, whose name is ``open``)."""

    name: str
    member: bool
    node: Node
    start: int  # byte offset in the file
    line: int
    arguments: tuple[Node, ...]
    #: Of ``guard(class)(lock)``: the class.
    guard_class: str = ""


class Body:
    """A function's text and tree. ``root`` holds the statements; None if there is no body to read."""

    def __init__(self, source: Source, name: str, what: str, start: int, end: int, is_macro: bool = False) -> None:
        self.source = source
        self.path = source.path
        self.name = name
        self.what = what
        self.start = start
        self.end = end
        text = source.data[start : min(end, start + _MAX_BYTES)]
        self.is_cut = end - start > _MAX_BYTES
        self.shift = start
        if is_macro:
            head = _MACRO_HEAD.match(text)
            begin = head.end() if head else len(text)
            text = _WRAPPER + re.sub(rb"\\(\r?\n)", rb" \1", text[begin:]) + b";}"
            self.shift = start + begin - len(_WRAPPER)
        self.bytes = text
        parsed = parse(text)
        self._tree = parsed.tree
        self.function = _definition(self._tree.root_node)
        self.root = self.function.child_by_field_name("body") if self.function else None
        self.has_error = self.root is None or self.root.has_error or parsed.repaired
        #: What callees do, for who can look them up.
        self.effects: CalleeEffects | None = None

    # -- text -----------------------------------------------------------------------------------

    def offset(self, node: Node) -> int:
        """Where a node begins in the file."""
        return node.start_byte + self.shift

    def line(self, node: Node) -> int:
        return self.source.lines.line_of(self.offset(node))

    def end_line(self, node: Node) -> int:
        return self.source.lines.line_of(max(node.end_byte - 1, node.start_byte) + self.shift)

    @property
    def first_line(self) -> int:
        return self.source.lines.line_of(self.start)

    @property
    def last_line(self) -> int:
        return self.source.lines.line_of(max(self.end - 1, self.start))

    def raw(self, node: Node) -> bytes:
        """A node's bytes as they are in the file (masking leaves no trace in them)."""
        return self.bytes[node.start_byte : node.end_byte]

    def text(self, node: Node) -> str:
        """A node's code on one line, without comments."""
        raw = self.raw(node)
        if b"/" in raw:
            raw = blank_comments(raw, strings=False)
        return _BLANKS.sub(" ", decode(raw)).strip()

    def shown(self, node: Node, max_chars: int = _MAX_SHOWN_CHARS) -> str:
        """The same, cut where it is too long to read."""
        text = self.text(node)
        return text if len(text) <= max_chars else text[: max_chars - 1].rstrip() + "…"

    # -- names ----------------------------------------------------------------------------------

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        declarator = self.function.child_by_field_name("declarator") if self.function else None
        while declarator is not None and declarator.type != "function_declarator":
            declarator = declarator.child_by_field_name("declarator")
        found = declarator.child_by_field_name("parameters") if declarator else None
        names = (declared_name(child) for child in found.named_children) if found else ()
        return tuple(self.text(name) for name in names if name is not None)

    @cached_property
    def locals(self) -> frozenset[str]:
        """Every name declared anywhere in the body."""
        found: set[str] = set()
        for node in walk(self.root) if self.root else ():
            if node.type == "declaration":
                found.update(
                    self.text(name)
                    for child in node.children_by_field_name("declarator")
                    if (name := declared_name(child)) is not None
                )
        return frozenset(found)

    @cached_property
    def return_type(self) -> str:
        node = self.function.child_by_field_name("type") if self.function else None
        return self.text(node) if node else ""

    @property
    def returns_nothing(self) -> bool:
        if self.function is None or self.return_type != "void":
            return False
        declarator = self.function.child_by_field_name("declarator")
        return declarator is not None and declarator.type == "function_declarator"

    @property
    def returns_pointer(self) -> bool:
        declarator = self.function.child_by_field_name("declarator") if self.function else None
        return declarator is not None and declarator.type == "pointer_declarator"

    # -- calls ----------------------------------------------------------------------------------

    def call(self, node: Node) -> Call | None:
        """A call expression as a ``Call``; None for a call of a value."""
        function = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        if function is None or arguments is None:
            return None
        guard_class = ""
        if function.type == "call_expression":
            inner = function.child_by_field_name("function")
            classes = function.child_by_field_name("arguments")
            if inner is None or classes is None or self.text(inner) != "guard":
                return None
            guard_class, function = self.text(classes).strip("() "), inner
        while function.type == "parenthesized_expression" and function.named_child_count == 1:
            function = function.named_children[0]
        member = function.type == "field_expression"
        name = function.child_by_field_name("field") if member else function
        if name is None or name.type not in ("identifier", "field_identifier"):
            return None
        given = tuple(child for child in arguments.named_children if child.type != "comment")
        return Call(self.text(name), member, node, self.offset(node), self.line(node), given, guard_class)

    def is_by_name(self, call: Call) -> bool:
        """Whether a call names a function or a macro: it is neither through a member nor through a variable."""
        return not (call.member or call.name in self.locals or call.name in self.parameters)

    def calls_in(self, node: Node) -> Iterator[Call]:
        """The calls of an expression or a statement, in the order in which they are written."""
        for inner in walk(node):
            if inner.type == "call_expression" and (call := self.call(inner)):
                yield call


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, parents first, in order; what was not understood (ERROR) is left out."""
    pending = [node]
    while pending:
        current = pending.pop()
        if current.type == "ERROR":
            continue
        yield current
        pending.extend(reversed(current.named_children))


def declared_name(declarator: Node) -> Node | None:
    """The identifier in a declarator."""
    for _ in range(12):
        if declarator.type == "identifier":
            return declarator
        inner = declarator.child_by_field_name("declarator")
        if inner is None:
            named = declarator.named_children
            wraps = declarator.type in ("parenthesized_declarator", "attributed_declarator") and named
            if not wraps:
                return None
            inner = named[0]
        declarator = inner
    return None


def _definition(root: Node) -> Node | None:
    """The function of a text that holds one function."""
    functions = [
        child
        for child in root.named_children
        if child.type == "function_definition" and child.child_by_field_name("body") is not None
    ]
    return max(functions, key=lambda child: child.end_byte - child.start_byte, default=None)


_WHAT = {Kind.FUNCTION: "function", Kind.SYSCALL: "system call", Kind.MACRO: "macro"}


def body_of(source: Source, symbol: Symbol) -> Body:
    """The body of a symbol of this file."""
    start = symbol.start if symbol.kind is Kind.MACRO else start_with_annotations(source.data, symbol.start)
    return Body(source, symbol.name, _WHAT.get(symbol.kind, "function"), start, symbol.end, symbol.kind is Kind.MACRO)


def body_around(source: Source, offset: int) -> Body | None:
    """The function around an offset in a text of which no symbols are known."""
    extent = enclosing_function(source, offset)
    if extent is None:
        return None
    name = _NAME.search(source.data, extent.start, extent.body_start)
    return Body(source, decode(name[1]) if name else "", "function", extent.start, extent.end)
