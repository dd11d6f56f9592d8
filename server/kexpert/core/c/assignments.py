"""Initialisers of function pointers in a syntax tree: ``.open = foo_open``, ``.open = &foo_open``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node, Query, QueryCursor

from kexpert.core.c.compact_text import CompactText
from kexpert.core.c.declared_name import declared_name
from kexpert.core.c.parse import LANGUAGE
from kexpert.core.c.skeleton import PAIR
from kexpert.core.symbols import Assignment

_PAIRS = Query(
    LANGUAGE,
    """
    (initializer_pair designator: (field_designator (field_identifier) @member)
                      value: [(identifier) @function (pointer_expression argument: (identifier) @function)
                              (call_expression function: (identifier) @wrapper
                                               arguments: (argument_list . (identifier) @function .))]) @pair
    """,
)
#: ``.suspend = pm_sleep_ptr(foo_suspend)``: macros that give their argument or NULL.
_WRAPPERS = frozenset({"pm_ptr", "pm_sleep_ptr", "of_match_ptr"})
#: ``struct kobj_attribute rate_attribute = __ATTR_RW(rate);`` takes rate_show and rate_store.
_ATTRIBUTE = re.compile(rb"__(BIN_)?ATTR_(RO|WO|RW)(?:_MODE)?[ \t]*\(\s*([A-Za-z_]\w*)")
_ATTRIBUTE_HOLDER = re.compile(rb"\bstruct\s++(\w++)\s++(\w++)\s*+=\s*\Z")
_MAX_HOLDER_BYTES = 200
_RECORDS = ("struct_specifier", "union_specifier", "enum_specifier")
#: The structs that macros of boards begin to fill.
_MACHINES = {
    "MACHINE_START": "machine_desc", "DT_MACHINE_START": "machine_desc", "define_machine": "machdep_calls",
}  # fmt: skip
_MAX_NESTING = 64


def assignments(path: str, compact: CompactText, root: Node, base: int = 0, lines: int = 0) -> list[Assignment]:
    """The assignments in the tree of a text, which begins at offset ``base`` and line ``lines`` of its file."""
    text = compact.text
    found = list(_by_attributes(path, compact, base, lines)) if b"ATTR_" in text else []
    if not PAIR.search(text):
        return found
    owners: dict[int, tuple[str, str]] = {}
    for _, captures in QueryCursor(_PAIRS).matches(root):
        function, member, pair = captures["function"][0], captures["member"][0], captures["pair"][0]
        if "wrapper" in captures and _text(text, captures["wrapper"][0]) not in _WRAPPERS:
            continue
        name = _text(text, function)
        if name.isupper() or len(name) < 3 or name in ("true", "false", "NULL"):
            continue
        holder = pair.parent
        if holder is None:
            continue
        owner = owners.get(holder.id)
        if owner is None:
            owner = owners[holder.id] = _owner(text, holder)
        at, line = compact.place(function.start_byte, function.start_point.row)
        found.append(Assignment(owner[0], _text(text, member), name, owner[1], path, base + at, lines + line))
    return found


def _by_attributes(path: str, compact: CompactText, base: int, lines: int) -> Iterator[Assignment]:
    """The functions that __ATTR_RO(x) and its kind take by pasting their names."""
    text = compact.text
    for match in _ATTRIBUTE.finditer(text):
        holder = _ATTRIBUTE_HOLDER.search(text, max(0, match.start() - _MAX_HOLDER_BYTES), match.start())
        struct, table = (holder[1].decode(), holder[2].decode()) if holder else ("", "")
        reads, writes = ("read", "write") if match[1] else ("show", "store")
        at, line = compact.place(match.start(3), text.count(b"\n", 0, match.start(3)))
        for member, wanted in ((reads, b"R"), (writes, b"W")):
            if wanted in match[2]:
                yield Assignment(struct, member, f"{match[3].decode()}_{member}", table, path, base + at, lines + line)


def _owner(text: bytes, holder: Node) -> tuple[str, str]:
    """(struct, table) that an initialiser list fills. The struct of a nested list is written ``outer.member``; the
    caller must know the outer struct to resolve it."""
    path: list[str] = []
    node: Node | None = holder
    for _ in range(_MAX_NESTING):
        if node is None:
            break
        if node.type == "initializer_pair":
            designators = [d for d in node.named_children if d.type == "field_designator"]
            path[:0] = [_text(text, d)[1:].strip() for d in designators]
        elif node.type == "init_declarator":
            found = declared_name(node)
            declaration = node.parent
            kind = declaration.child_by_field_name("type") if declaration else None
            return ".".join([_tag(text, kind), *path]), _text(text, found[0]) if found else ""
        elif node.type == "compound_literal_expression":
            descriptor = node.child_by_field_name("type")
            kind = descriptor.child_by_field_name("type") if descriptor else None
            return ".".join([_tag(text, kind), *path]), ""
        elif node.type in ("function_definition", "translation_unit"):
            break
        node = node.parent
    return "", ""


def _tag(text: bytes, kind: Node | None) -> str:
    if kind is None:
        return ""
    name = kind.child_by_field_name("name") if kind.type in _RECORDS else kind
    tag = _text(text, name) if name else ""
    return _MACHINES.get(tag, tag)


def _text(text: bytes, node: Node) -> str:
    return text[node.start_byte : node.end_byte].decode("utf-8", "replace")
