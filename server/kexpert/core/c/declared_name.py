"""The name that a declarator of the syntax tree declares."""

from __future__ import annotations

from tree_sitter import Node


def declared_name(node: Node | None) -> tuple[Node, bool] | None:
    """The node of the declared name, and True if the declarator declares a function."""
    function = False
    for _ in range(64):
        if node is None:
            return None
        kind = node.type
        if kind in ("identifier", "field_identifier", "type_identifier", "primitive_type"):
            return node, function  # the grammar calls size_t a primitive type even in its own typedef
        inner = node.child_by_field_name("declarator")
        if kind == "function_declarator":
            function = inner is not None and inner.type in ("identifier", "parenthesized_declarator")
            if inner is not None and inner.type == "parenthesized_declarator":
                # ``(*name)(…)`` is a pointer, ``(name)(…)`` a function whose name must not expand as a macro
                function = not any(child.type == "pointer_declarator" for child in inner.named_children)
        elif kind in ("pointer_declarator", "array_declarator") and function:
            function = False
        if inner is None and kind in ("parenthesized_declarator", "attributed_declarator", "ERROR"):
            inner = next((c for c in node.named_children if c.type.endswith(("declarator", "identifier"))), None)
        node = inner
    return None
