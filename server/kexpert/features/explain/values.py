"""Values that variables may hold: assignments in a point, and which branches a constant can take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tree_sitter import Node

from kexpert.features.explain.body import Body, declared_name, walk
from kexpert.features.explain.flow import Point

_ERRNO = re.compile(r"-\s*(E[A-Z0-9]{2,})")
_WRAPPED = re.compile(r"ERR_PTR\s*\(\s*-\s*(E[A-Z0-9]{2,})\s*\)")
#: Calls that return one of their arguments: index of it.
RETURNS_ARGUMENT = {"dev_err_probe": 1, "dev_warn_probe": 1}
#: Macros that store into a plain argument, with its index.
_STORES = {"get_user": 0, "__get_user": 0, "unsafe_get_user": 0, "swap": 0, "check_add_overflow": 2}
#: Macros in capitals that only look at their arguments.
_LOOKS = re.compile(
    r"(?:WARN|BUG|VM_|IS_|PTR_ERR|ERR_|KERN|DEBUG|ASSERT|READ_ONCE|XFS_IS|MIN|MAX|ARRAY_SIZE|NET_INC)\w*"
)


@dataclass(frozen=True, slots=True)
class Value:
    """What is assigned or returned."""

    kind: Literal["errno", "error pointer", "zero", "null", "constant", "call", "other", "unknown"]
    text: str  # as written
    errno: str = ""
    #: Name of the function whose value it is.
    call: str = ""
    node: Node | None = None

    @property
    def negative(self) -> bool:
        return self.kind == "errno"


_SAME_TRUTH = ("likely", "unlikely", "WARN_ON", "WARN_ON_ONCE")
UNKNOWN = Value("unknown", "")
CONSTANTS = ("errno", "error pointer", "zero", "null", "constant")


def value_of(body: Body, node: Node) -> Value:
    """An expression as a value."""
    while node.type in ("parenthesized_expression", "cast_expression"):
        inner = node.child_by_field_name("value") if node.type == "cast_expression" else None
        named = [child for child in node.named_children if child.type != "comment"]
        if inner is None and len(named) != 1:
            break
        node = inner if inner is not None else named[0]
    text = body.text(node)
    if match := _ERRNO.fullmatch(text):
        return Value("errno", f"-{match[1]}", match[1], node=node)
    if match := _WRAPPED.fullmatch(text):
        return Value("error pointer", f"ERR_PTR(-{match[1]})", match[1], node=node)
    if text == "0":
        return Value("zero", "0", node=node)
    if text == "NULL":
        return Value("null", "NULL", node=node)
    if node.type in ("number_literal", "true", "false") or (node.type == "identifier" and text.isupper()):
        return Value("constant", text, node=node)
    if node.type == "call_expression" and (call := body.call(node)) and not call.guard_class:
        returned = RETURNS_ARGUMENT.get(call.name)
        if returned is not None and not call.member and returned < len(call.arguments):
            return value_of(body, call.arguments[returned])
        return Value("call", text, call=_call_name(body, call.name, call.member, node), node=node)
    return Value("other", text, node=node)


def _call_name(body: Body, name: str, member: bool, node: Node) -> str:
    function = node.child_by_field_name("function")
    return body.shown(function, 60) if member and function is not None else name


def assignments(body: Body, point: Point, variable: str) -> list[Value]:
    """Values that a point gives a variable, in order; UNKNOWN for what cannot be read."""
    found: list[tuple[int, Value]] = []
    name = variable.encode()
    for part in point.parts:
        if name not in body.raw(part):
            continue
        loop_macro = point.kind == "loop" and part.type == "parenthesized_expression" and _is_macro_loop(body, point)
        inner_end = 0  # of a block within the expression, whose own conditions are not followed
        for node in walk(part):
            if node.type == "compound_statement":
                inner_end = max(inner_end, node.end_byte)
            value = _assigned(body, node, variable, loop_macro)
            if value is not None:
                found.append((node.end_byte, UNKNOWN if node.start_byte < inner_end else value))
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def _is_macro_loop(body: Body, point: Point) -> bool:
    return not body.raw(point.node).startswith((b"while", b"for", b"do"))


def _assigned(body: Body, node: Node, variable: str, loop_macro: bool) -> Value | None:
    kind = node.type
    if kind == "assignment_expression":
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None or left.type != "identifier" or body.text(left) != variable:
            return None
        operator = node.child_by_field_name("operator")
        if operator is None or operator.type != "=":
            return UNKNOWN
        while right.type == "assignment_expression" and (inner := right.child_by_field_name("right")) is not None:
            right = inner
        return value_of(body, right)
    if kind == "init_declarator":
        name, initial = declared_name(node), node.child_by_field_name("value")
        if name is None or initial is None or body.text(name) != variable:
            return None
        return value_of(body, initial)
    if kind == "update_expression":
        argument = node.child_by_field_name("argument")
        return UNKNOWN if argument is not None and body.text(argument) == variable else None
    if kind == "pointer_expression" and body.raw(node).startswith(b"&"):
        argument = node.child_by_field_name("argument")
        return UNKNOWN if argument is not None and body.text(argument) == variable else None
    if kind == "gnu_asm_output_operand":
        return UNKNOWN if any(body.text(child) == variable for child in node.named_children) else None
    if kind == "call_expression":
        call = body.call(node)
        if call is None or call.member:
            return None
        for at, argument in enumerate(call.arguments):
            if argument.type == "identifier" and body.text(argument) == variable:
                stores = _STORES.get(call.name) == at or (call.name == "swap")
                if stores or (call.name.isupper() and not _LOOKS.match(call.name)):
                    return UNKNOWN
        return None
    if loop_macro and kind == "identifier" and body.text(node) == variable:
        return UNKNOWN
    return None


def member_values(body: Body, member: str, end: int) -> list[Value]:
    """Values that a body assigns to ``x->y``; none if it does so after the byte ``end`` too."""
    values: list[Value] = []
    for node in walk(body.root) if body.root is not None else ():
        if node.type == "assignment_expression":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if left is not None and right is not None and body.text(left) == member:
                values.append(value_of(body, right))
                if right.end_byte > end:
                    return []
    return values


def mentions(code: str, variable: str) -> bool:
    return re.search(rf"(?<![\w.>]){re.escape(variable)}\b", code) is not None


def tests_only(code: str, variable: str) -> bool:
    """Whether a condition is about the value of a variable alone: ``ret``, ``!ret``, ``ret < 0``, ``IS_ERR(ret)``."""
    name = re.escape(variable)
    tested = rf"!?\s*(?:{name}|IS_ERR(?:_OR_NULL)?\({name}\))\s*(?:[<>=!]=?\s*(?:0|NULL|-E\w+))?"
    return re.fullmatch(tested, code) is not None


def zero_outcome(body: Body, point: Point, variable: str) -> bool | None:
    """The outcome of a branch that says that a variable is 0; None if neither does."""
    if not point.parts:
        return None
    node, truth = _tested(body, point.parts[0])
    if node.type == "identifier":
        return not truth if body.text(node) == variable else None
    match = re.fullmatch(rf"{re.escape(variable)} ?([!=]=) ?(?:0|NULL)", body.text(node))
    return None if match is None else truth is (match[1] == "==")


def tested_call(body: Body, point: Point, function: str) -> bool | None:
    """The outcome of a branch with which a call gave other than 0, where the condition is that call or its opposite."""
    if not point.parts:
        return None
    node, truth = _tested(body, point.parts[0])
    call = body.call(node) if node.type == "call_expression" else None
    return truth if call is not None and call.name == function else None


def _tested(body: Body, node: Node) -> tuple[Node, bool]:
    """What a condition tests, and the outcome with which it is not 0: ``(!unlikely(x))`` -> ``x``, False."""
    truth = True
    for _ in range(20):
        call = body.call(node) if node.type == "call_expression" else None
        if node.type == "parenthesized_expression" and node.named_child_count == 1:
            node = node.named_children[0]
        elif node.type == "unary_expression" and body.raw(node).startswith(b"!") and node.named_children:
            node, truth = node.named_children[0], not truth
        elif call is not None and call.name in _SAME_TRUTH and call.arguments:
            node = call.arguments[0]
        else:
            break
    return node, truth


def can_pass(body: Body, point: Point, outcome: bool | None, variable: str, value: Value) -> bool:
    """Whether a constant in a variable can leave a branch by an edge. True where that is not known."""
    if outcome is None or not point.parts or value.kind not in ("errno", "error pointer", "zero", "null"):
        return True
    truth = _truth(body, point.parts[0], variable, value)
    return truth is None or truth is outcome


def _truth(body: Body, node: Node, variable: str, value: Value) -> bool | None:
    """Truth of a condition given a variable's value; None where it depends on more."""
    for _ in range(40):
        if node.type == "parenthesized_expression" and node.named_child_count == 1:
            node = node.named_children[0]
            continue
        break
    kind = node.type
    is_zero = value.kind in ("zero", "null")
    if kind == "identifier":
        return not is_zero if body.text(node) == variable else None
    if kind == "unary_expression":
        argument, operator = node.child_by_field_name("argument"), node.child_by_field_name("operator")
        if argument is None or operator is None or operator.type != "!":
            return None
        inner = _truth(body, argument, variable, value)
        return None if inner is None else not inner
    if kind == "call_expression":
        return _call_truth(body, node, variable, value)
    if kind == "binary_expression":
        return _binary_truth(body, node, variable, value)
    return None


def _call_truth(body: Body, node: Node, variable: str, value: Value) -> bool | None:
    call = body.call(node)
    if call is None or len(call.arguments) != 1:
        return None
    argument = call.arguments[0]
    if call.name in _SAME_TRUTH:
        return _truth(body, argument, variable, value)
    if argument.type == "identifier" and body.text(argument) == variable:
        if call.name == "IS_ERR":
            return value.kind in ("errno", "error pointer")
        if call.name == "IS_ERR_OR_NULL":
            return True
    return None


def _binary_truth(body: Body, node: Node, variable: str, value: Value) -> bool | None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    operator = node.child_by_field_name("operator")
    if left is None or right is None or operator is None:
        return None
    if operator.type in ("&&", "||"):
        pair = (_truth(body, left, variable, value), _truth(body, right, variable, value))
        decisive = operator.type == "||"
        if decisive in pair:
            return decisive
        return None if None in pair else not decisive
    if left.type != "identifier" or body.text(left) != variable:
        return None
    other = value_of(body, right)
    if other.kind in ("zero", "null"):
        sign = 0 if value.kind in ("zero", "null") else -1 if value.kind == "errno" else None
        if sign is None:
            return {"==": False, "!=": True}.get(operator.type)
        return {
            "==": sign == 0, "!=": sign != 0, "<": sign < 0, ">": False, "<=": True, ">=": sign == 0,
        }.get(operator.type)  # fmt: skip
    if other.kind == value.kind == "errno":
        same = other.errno == value.errno
        return {"==": same, "!=": not same}.get(operator.type)
    if other.kind == "errno" and value.kind == "zero":
        return {"==": False, "!=": True}.get(operator.type)
    return None
