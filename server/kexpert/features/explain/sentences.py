"""What single statements and calls do, as parts of sentences."""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node

from kexpert.features.explain.body import Body, Call, walk
from kexpert.features.explain.callees import Briefs
from kexpert.features.explain.explanation import as_code, listed
from kexpert.features.explain.flow import Point
from kexpert.features.explain.guards import shortened
from kexpert.features.explain.lock_use import LockUse, lock_use
from kexpert.features.explain.resources import resource_use
from kexpert.features.explain.state import WRITERS
from kexpert.features.explain.step_words import (
    Change,
    argument_of,
    assignment,
    change,
    changed_by,
    clause,
    is_list_call,
    is_log,
    is_worth_telling,
)
from kexpert.features.explain.values import value_of

LEAVES = ("return_statement", "goto_statement", "break_statement", "continue_statement")


class Sentences:
    """The wording of a body's statements."""

    def __init__(self, body: Body, briefs: Briefs, locks: Sequence[LockUse]) -> None:
        self.body = body
        self.briefs = briefs
        self._taken = {use.key for use in locks if use.call.action != "release"}

    def leave(self, node: Node) -> str:
        """"returns `-EINVAL`", "goes to `out`"."""
        kind = node.type
        if kind == "goto_statement":
            label = node.child_by_field_name("label")
            return f"goes to {as_code(self.body.text(label))}" if label is not None else "goes on"
        if kind == "break_statement":
            return "leaves the loop or switch"
        if kind == "continue_statement":
            return "goes on with the next round"
        if not node.named_children:
            return "returns"
        value = value_of(self.body, node.named_children[0])
        if value.kind == "call" and value.call in ("PTR_ERR", "ERR_CAST", "dev_err_probe"):
            known = value.call != "dev_err_probe"
            return f"returns the error in {argument_of(value.text)}" if known else "returns that error"
        if value.kind == "call" and self._is_told(value.call):
            return f"returns what {as_code(value.call + '()')} returns" + self.brief(value.call)
        return f"returns {as_code(shortened(value.text))}"

    def _is_told(self, call: str) -> bool:
        """False for ``ERR_PTR``, ``min`` and the like: the whole expression says more than that they are called."""
        return not call.isidentifier() or is_worth_telling(call) or is_log(call)

    def brief(self, name: str) -> str:
        text = self.briefs.of(name) if name.isidentifier() else ""
        return f" ({text[:1].lower() + text[1:] if text[1:2].islower() else text})" if text else ""

    def errno_set(self, node: Node) -> Change | None:
        """A statement that only gives an errno to a local: "sets `ret` to `-EINVAL`"; None for another."""
        target, right = assignment(self.body, node)
        if right is None or target not in self.body.locals:
            return None
        value = value_of(self.body, right)
        if value.kind != "errno":
            return None
        given = f"{as_code(target)} to {as_code(value.text)}"
        return Change(given, f"sets {given}", self.body.line(node))

    def known_call(self, call: Call) -> str:
        """A lock, an allocation or a reference, in words; "" for another call."""
        point = Point(call.node, "plain", None)
        use = lock_use(self.body, call, None, point)
        if use is not None and use.is_wrapped and use.key not in self._taken:
            use = None
        if use is not None:
            if use.scoped:
                return f"Takes {use.described} until the end of the scope."
            verb = {"take": "Takes", "try": "Tries to take", "release": "Releases"}[use.call.action]
            return f"{verb} {use.name if use.call.action == 'release' else use.described}."
        resource = resource_use(self.body, call, None)
        if resource is not None:
            return f"{resource.text[:1].upper()}{resource.text[1:]}."
        return ""

    def worth_telling(self, call: Call) -> bool:
        if call.member or call.name in self.body.locals:
            return call.member
        return is_worth_telling(call.name) and (call.name not in WRITERS or is_list_call(call.name))

    def check(self, target: str, following: Node | None) -> str:
        """`` ; if that fails, returns `ret` `` where the next statement only checks a result."""
        if following is None or following.type != "if_statement":
            return ""
        condition = following.child_by_field_name("condition")
        if condition is None or following.child_by_field_name("alternative") is not None:
            return ""
        text = shortened(self.body.text(condition))
        fails = {f"{target} < 0", f"IS_ERR({target})", f"!{target}", f"IS_ERR_OR_NULL({target})", f"{target} == NULL"}
        leave = self.only_leaves(following.child_by_field_name("consequence"))
        if leave is None:
            return ""
        if leave == f"returns the error in {as_code(target)}":
            leave = "returns its error"
        if text in fails:
            return f"; if that fails, {leave.replace(f'returns {as_code(target)}', 'returns its error')}"
        if text not in (target, f"{target} != 0"):
            return ""
        return f"; if that is not 0, {leave.replace(f'returns {as_code(target)}', 'returns it')}"

    def only_leaves(self, node: Node | None) -> str | None:
        """How a branch leaves, if it does nothing else (logging aside)."""
        if node is None:
            return None
        inner = [node]
        if node.type == "compound_statement":
            inner = [child for child in node.named_children if child.type != "comment"]
        if not inner or inner[-1].type not in LEAVES:
            return None
        changes: list[str] = []
        for child in inner[:-1]:
            if child.type != "expression_statement":
                return None
            calls = list(self.body.calls_in(child))
            target, _ = assignment(self.body, child)
            if target.isidentifier() and [call.name for call in calls] == ["PTR_ERR"]:
                continue  # the error that is returned
            if self.is_local_change(child) and (found := change(self.body, child)):
                changes.append(found.clause)
            elif not calls or not all(is_log(call.name) for call in calls[:1]):
                return None
        return listed([*changes, self.leave(inner[-1])], 4)

    def is_local_change(self, node: Node) -> bool:
        """Whether a statement changes nothing but a variable."""
        inner = node.named_children[0] if node.type == "expression_statement" and node.named_children else None
        return inner is not None and (target := changed_by(inner)) is not None and target.type == "identifier"

    def changed(self, node: Node) -> list[str]:
        """The variables that a statement or a block changes."""
        targets = (changed_by(inner) for inner in walk(node))
        return [self.body.text(target) for target in targets if target is not None and target.type == "identifier"]

    def written(self, node: Node) -> list[Change]:
        """Members and ``*p`` that a statement writes; but not locals."""
        found = []
        for inner in walk(node):
            if inner.type == "call_expression" and (call := self.body.call(inner)) and not call.member:
                at = WRITERS.get(call.name)
                if at is not None and at < len(call.arguments) and not is_list_call(call.name):
                    name = as_code(self.body.shown(call.arguments[at], 60).removeprefix("&"))
                    found.append(Change(name, f"sets {name}", call.line))
                continue
            target = changed_by(inner)
            if target is None:
                continue
            text = self.body.shown(target, 60)
            if target.type != "identifier" or (text not in self.body.locals and text not in self.body.parameters):
                found.append(Change(as_code(text), clause(self.body, inner), self.body.line(inner)))
        return found
