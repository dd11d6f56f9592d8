"""Words and small questions that the steps of an explanation are made with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from tree_sitter import Node

from kexpert.features.explain.body import Body, Call, declared_name, walk
from kexpert.features.explain.explanation import as_code, listed
from kexpert.features.explain.state import VIEWS

#: Logging, debugging and checks: they say nothing of what a function does.
_LOGS = re.compile(
    r"_?(?:pr|dev|netdev|netif|drm|hw|tty|acpi|DRM|ath\w*|wiphy|sd|v4l2|ioc|sysfs|xfs|ext4|btrfs|ntfs)_"
    r"(?:v?dbg|debug|info|warn|err|error|notice|emerg|crit|alert|printk|log|ratelimited|once|level|warning|msg)\w*|"
    r"printk\w*|dump_stack|trace_\w+|WARN\w*|DPRINTK|dprintk|DEBUG\w*|\w*_dbg|lockdep_\w+|might_\w+|ASSERT\w*|"
    r"BUILD_BUG_ON\w*|VM_BUG_ON\w*|BUG_ON|kasan_\w+|kcsan_\w+|kmsan_\w+|prefetchw?|cond_resched|rcu_lockdep_\w+|"
    r"lockdep\w*|mod_timer_dbg|instrument_\w+|context_tracking_\w+|schedstat_\w+|assert_\w+|cpu_relax|barrier"
)
_TRIVIAL = frozenset({
    "likely", "unlikely", "min", "max", "min_t", "max_t", "clamp", "container_of", "sizeof", "ARRAY_SIZE", "IS_ERR",
    "PTR_ERR", "ERR_PTR", "READ_ONCE", "BIT", "round_up",
    "round_down", "DIV_ROUND_UP", "IS_ENABLED", "offsetof", "typeof", "array_index_nospec", "rcu_dereference",
})  # fmt: skip
#: include/linux/byteorder/generic.h, without those that write to what they are given
_BYTE_ORDER = re.compile(r"(?:__)?(?:cpu_to_[bl]e\d\dp?|[bl]e\d\d_to_cpup?)|[hn]to[nh][sl]|get_unaligned\w*")


MAX_RUN = 4  # calls or writes in a step
_MAX_SHOWN = 60  # characters of a target or a value


class Change(NamedTuple):
    """A write to something: what is written, and what is done to it."""

    name: str  # "`dev->x`"
    clause: str  # "sets `dev->x` to `1`"
    line: int


def is_worth_telling(name: str) -> bool:
    """Whether a call of this name says what a function does: no accessor, no logging, no macro in capitals."""
    if name in _TRIVIAL or name in VIEWS or name.isupper() or name == "guard":
        return False
    return not (_LOGS.fullmatch(name) or _BYTE_ORDER.fullmatch(name))


def is_list_call(name: str) -> bool:
    """Whether a call of this name adds to or removes from a list."""
    return name.startswith(("list_", "hlist_"))


def is_log(name: str) -> bool:
    """Whether a call of this name logs, traces or checks."""
    return _LOGS.fullmatch(name) is not None


def argument_of(call: str) -> str:
    """``PTR_ERR(x)`` -> `x`."""
    return as_code(call.partition("(")[2].removesuffix(")").strip())


def assignment(body: Body, node: Node) -> tuple[str, Node | None]:
    """(target, value) of ``x = …;`` or ``type x = …;``; ("", None) for anything else."""
    inner = node.named_children[0] if node.type == "expression_statement" and node.named_children else None
    if inner is not None and inner.type == "assignment_expression" and operator_of(inner) == "=":
        left, right = inner.child_by_field_name("left"), inner.child_by_field_name("right")
        return (body.shown(left, _MAX_SHOWN), right) if left is not None else ("", None)
    if node.type == "declaration":
        for child in node.children_by_field_name("declarator"):
            value = child.child_by_field_name("value") if child.type == "init_declarator" else None
            name = declared_name(child) if value is not None else None
            if name is not None and value is not None and value.type == "call_expression":
                return body.text(name), value
    return "", None


def operator_of(node: Node) -> str:
    """``|=`` of an assignment, ``++`` of an update."""
    operator = node.child_by_field_name("operator")
    return operator.type if operator is not None else ""


def change(body: Body, node: Node) -> Change | None:
    """What a statement without calls, accessors aside, does to a variable; None for another one."""
    inner = node.named_children[0] if node.type == "expression_statement" and node.named_children else None
    if inner is None or any(call.member or is_worth_telling(call.name) for call in body.calls_in(inner)):
        return None
    target, text = changed_by(inner), clause(body, inner)
    return Change(as_code(body.shown(target, _MAX_SHOWN)), text, body.line(inner)) if target and text else None


def changed_by(node: Node) -> Node | None:
    """What an assignment or ``++`` changes; None for another node."""
    field = {"assignment_expression": "left", "update_expression": "argument"}.get(node.type)
    return node.child_by_field_name(field) if field else None


def clause(body: Body, node: Node) -> str:
    """What an assignment or ``++`` does: "sets `x` to `0`", "sets `READY` in `flags`"; "" for another expression.

    A value that is too long to read is left out.
    """
    if node.type == "update_expression" and (target := node.child_by_field_name("argument")) is not None:
        verb = "increments" if operator_of(node) == "++" else "decrements"
        return f"{verb} {as_code(body.shown(target, _MAX_SHOWN))}"
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if node.type != "assignment_expression" or left is None or right is None:
        return ""
    name, value, operator = as_code(body.shown(left, _MAX_SHOWN)), body.text(right), operator_of(node)
    is_long = len(value) > _MAX_SHOWN or right.type in ("assignment_expression", "ERROR")
    if operator == "=" and is_long:
        return f"sets {name}"
    if operator == "&=" and value.startswith("~") and not is_long:
        return f"clears {as_code(value.lstrip('~ '))} in {name}"
    form = {"=": "sets {0} to {1}", "|=": "sets {1} in {0}", "+=": "adds {1} to {0}", "-=": "takes {1} from {0}"}
    return form.get("" if is_long else operator, "changes {0}").format(name, as_code(value))


def several_changes(changes: Iterable[Change]) -> str:
    """Changes as one clause: "sets `x` to `0` and `y` to `1`". Of more than two, only what they set; of what is set in
    several ways, only that it is changed."""
    ways: dict[str, dict[str, None]] = {}
    for change in changes:
        ways.setdefault(change.name, {})[change.clause] = None
    if len(ways) > 2:
        return f"sets {listed(list(ways), MAX_RUN)}"
    clauses = [next(iter(each)) if len(each) == 1 else f"changes {name}" for name, each in ways.items()]
    if all(clause.startswith("sets ") for clause in clauses):
        return f"sets {listed([clause.removeprefix('sets ') for clause in clauses], 2)}"
    return listed(clauses, 2)


def called(body: Body, call: Call) -> str:
    function = call.node.child_by_field_name("function")
    return body.shown(function, 50) if call.member and function is not None else call.name


def goto_labels(body: Body) -> dict[str, list[int]]:
    """Label -> lines of the gotos that lead to it."""
    found: dict[str, list[int]] = {}
    for node in walk(body.root) if body.root is not None else ():
        if node.type == "goto_statement" and (label := node.child_by_field_name("label")) is not None:
            found.setdefault(body.text(label), []).append(body.line(node))
    return found
