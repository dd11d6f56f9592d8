"""Which statements of a body belong together: those of a span, those that are always run, those under conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tree_sitter import Node

PREPROC = ("preproc_if", "preproc_ifdef", "preproc_elif", "preproc_elifdef", "preproc_else")


def unconditional(statements: Iterable[Node]) -> Iterator[Node]:
    """The statements that are run whenever the first one is, and the conditions of the others."""
    for node in statements:
        if node.type in ("if_statement", "switch_statement"):
            if (condition := node.child_by_field_name("condition")) is not None:
                yield condition
        elif node.type == "compound_statement":
            yield from unconditional(node.named_children)
        else:
            yield node


def conditional(statements: Iterable[Node]) -> Iterator[Node]:
    """The branches of ``if`` and ``switch``."""
    for node in statements:
        if node.type in ("if_statement", "switch_statement"):
            condition = node.child_by_field_name("condition")
            yield from (child for child in node.named_children if child != condition)
        elif node.type == "compound_statement":
            yield from conditional(node.named_children)


def narrowed(root: Node, span: tuple[int, int] | None) -> list[Node]:
    """The statements of the innermost block that holds the whole span."""
    node = root
    for _ in range(200):
        if span is None:
            break
        inner = next(
            (child for child in node.named_children if child.start_byte <= span[0] and span[1] <= child.end_byte), None
        )
        if inner is None:
            break
        if inner.type not in ("compound_statement", "if_statement", "else_clause", "while_statement", "for_statement",
                              "do_statement", "switch_statement", "case_statement", "labeled_statement", *PREPROC):
            return [inner]
        node = inner
    if node.type in ("compound_statement",):
        return list(node.named_children)
    return [node] if node != root else list(root.named_children)
