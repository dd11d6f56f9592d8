"""Words and small questions that the steps of an explanation are made with."""

from __future__ import annotations

import re

from tree_sitter import Node

from kexpert.features.explain.body import Body, Call, declared_name, walk
from kexpert.features.explain.explanation import as_code
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
    "PTR_ERR", "ERR_PTR", "READ_ONCE", "cpu_to_le16", "cpu_to_le32", "le16_to_cpu", "le32_to_cpu", "BIT", "round_up",
    "round_down", "DIV_ROUND_UP", "IS_ENABLED", "offsetof", "typeof", "array_index_nospec", "rcu_dereference",
})  # fmt: skip


def is_worth_telling(name: str) -> bool:
    """Whether a call of this name says what a function does: no accessor, no logging, no macro in capitals."""
    return not (name in _TRIVIAL or name in VIEWS or name.isupper() or _LOGS.fullmatch(name) or name == "guard")


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
        return (body.shown(left, 60), right) if left is not None else ("", None)
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


def change(body: Body, node: Node) -> str:
    """What a statement without calls does to a variable: "sets `x` to `0`", "sets `READY` in `flags`"; else ""."""
    inner = node.named_children[0] if node.type == "expression_statement" and node.named_children else None
    if inner is None or next(body.calls_in(inner), None) is not None:
        return ""
    if inner.type == "update_expression" and (target := inner.child_by_field_name("argument")) is not None:
        return f"{'increments' if operator_of(inner) == '++' else 'decrements'} {as_code(body.shown(target, 60))}"
    left, right = inner.child_by_field_name("left"), inner.child_by_field_name("right")
    if inner.type != "assignment_expression" or left is None or right is None:
        return ""
    name, value, operator = as_code(body.shown(left, 60)), body.shown(right, 60), operator_of(inner)
    if operator == "&=":
        return f"clears {as_code(value.lstrip('~ '))} in {name}" if value.startswith("~") else f"changes {name}"
    form = {"=": "sets {0} to {1}", "|=": "sets {1} in {0}", "+=": "adds {1} to {0}", "-=": "takes {1} from {0}"}
    return form.get(operator, "changes {0}").format(name, as_code(value))


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
