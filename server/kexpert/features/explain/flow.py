"""The control flow of a function: a point for each statement and condition, edges between them.

A switch, a loop and a goto have their edges; code under ``#if`` may run or not. ``Flow.complete`` is False where an
edge may be missing (syntax errors, computed gotos, jumps within macros, nesting that is too deep): then nothing that
depends on *all* paths may be said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tree_sitter import Node

from kexpert.core.c.lex import blank_comments
from kexpert.core.text import decode
from kexpert.features.explain.body import Body, Call
from kexpert.features.explain.guards import Guard

_MAX_DEPTH = 120  # nested statements
_MAX_POINTS = 20_000
_PREPROC = ("preproc_if", "preproc_ifdef", "preproc_elif", "preproc_elifdef", "preproc_else")
_NO_RETURN = frozenset({
    "BUG", "panic", "do_exit", "make_task_dead", "unreachable", "__builtin_unreachable", "kthread_exit",
    "kthread_complete_and_exit", "do_group_exit", "machine_halt",
})  # fmt: skip
#: Names of macros that may hold a ``return`` or a ``goto``.
_JUMPS = re.compile(r"RETURN|(?:^|_)RET(?:_|$)|GOTO|BAIL|(?:^|_)TRY(?:_|$)")
#: An edge that leaves the end of a point, with the outcome of its condition where it has one.
End = tuple["Point", bool | None]


@dataclass(slots=True, eq=False)
class Point:
    """A statement, or the condition of a statement. ``parts`` are the expressions that run there."""

    node: Node
    kind: str  # "plain", "branch", "loop", "switch", "case", "label", "goto", "return", "config", "end"
    guard: Guard | None
    parts: tuple[Node, ...] = ()
    successors: list[tuple[Point, bool | None]] = field(default_factory=list)
    calls: tuple[Call, ...] = ()
    #: Guard of each call where the expression itself has a condition (``a && f()``), by position in ``calls``.
    call_guards: tuple[Guard | None, ...] = ()
    line: int = 0


@dataclass(slots=True)
class _Target:
    """Where ``break`` and ``continue`` go, and the ``case`` labels."""

    breaks: list[End] = field(default_factory=list)
    continues: Point | None = None
    switch: Point | None = None
    subject: str = ""
    values: list[str] = field(default_factory=list)  # of the cases that fall through to here
    has_default: bool = False


class Flow:
    """The points of a body in the order of the text."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.points: list[Point] = []
        self.labels: dict[str, Point] = {}
        self.complete = not (body.has_error or body.is_cut)
        self._gotos: list[tuple[Point, str]] = []
        self._targets: list[_Target] = []
        self._depth = 0
        self.end: Point | None = None
        if body.root is None:
            return
        entry = Point(body.root, "entry", None, line=body.line(body.root))
        self.points.append(entry)
        ends = self._block(body.root.named_children, [(entry, None)], None)
        for point, name in self._gotos:
            target = self.labels.get(name)
            if target is None:
                self.complete = False
            else:
                point.successors.append((target, None))
        self._jumps_of_macros()
        self.end = self._point(body.root, "end", None, ends)
        self.end.line = body.end_line(body.root)

    @property
    def returns(self) -> list[Point]:
        return [point for point in self.points if point.kind == "return"]

    def reachable(self) -> set[int]:
        """Identities of the points that some path reaches."""
        seen: set[int] = set()
        pending = self.points[:1]  # the entry
        while pending:
            point = pending.pop()
            if id(point) not in seen:
                seen.add(id(point))
                pending.extend(target for target, _ in point.successors)
        return seen

    def _jumps_of_macros(self) -> None:
        """Edges to labels that are given to a macro: ``ceph_decode_32_safe(&p, end, value, e_inval)``."""
        reached = {name for _, name in self._gotos}
        for point in self.points if self.labels else ():
            for call in point.calls:
                for argument in call.arguments:
                    label = self.labels.get(self.body.text(argument)) if argument.type == "identifier" else None
                    if label is not None and self.body.text(argument) not in self.body.locals:
                        point.successors.append((label, None))
                        reached.add(self.body.text(argument))
        if self.labels.keys() - reached:
            self.complete = False  # a macro jumps there without naming it
        if any(_JUMPS.search(call.name) for point in self.points for call in point.calls if not call.member):
            self.complete = False

    # -- building -------------------------------------------------------------------------------

    def _point(
        self, node: Node, kind: str, guard: Guard | None, ends: list[End], parts: tuple[Node, ...] = ()
    ) -> Point:
        point = Point(node, kind, guard, parts, line=self.body.line(node))
        for before, outcome in ends:
            before.successors.append((point, outcome))
        calls: list[Call] = []
        guards: list[Guard | None] = []
        for part in parts:
            for call, inner in _calls_with_guards(self.body, part, guard):
                calls.append(call)
                guards.append(inner)
        point.calls, point.call_guards = tuple(calls), tuple(guards)
        self.points.append(point)
        return point

    def _block(self, statements: list[Node], ends: list[End], guard: Guard | None) -> list[End]:
        for statement in statements:
            ends = self._statement(statement, ends, guard)
        return ends

    def _statement(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        if self._depth >= _MAX_DEPTH or len(self.points) >= _MAX_POINTS:
            self.complete = False
            return ends
        self._depth += 1
        try:
            return self._one(node, ends, guard)
        finally:
            self._depth -= 1

    def _one(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        kind = node.type
        if kind == "comment" or (kind.startswith("preproc_") and kind not in _PREPROC):
            return ends
        if kind == "ERROR":
            self.complete = False
            return ends
        if kind == "compound_statement":
            return self._block(node.named_children, ends, guard)
        if kind == "if_statement":
            return self._if(node, ends, guard)
        if kind in ("while_statement", "for_statement"):
            return self._loop(node, ends, guard)
        if kind == "do_statement":
            return self._do(node, ends, guard)
        if kind == "switch_statement":
            return self._switch(node, ends, guard)
        if kind == "case_statement":
            return self._case(node, ends, guard)
        if kind == "labeled_statement":
            return self._label(node, ends, guard)
        if kind in _PREPROC:
            return self._conditional_text(node, ends, guard)
        if kind == "attributed_statement":
            return self._block(node.named_children[-1:], ends, guard)
        return self._simple(node, ends, guard)

    def _simple(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        kind = node.type
        if kind == "return_statement":
            self._point(node, "return", guard, ends, tuple(node.named_children))
            return []
        if kind == "goto_statement":
            label = node.child_by_field_name("label")
            point = self._point(node, "goto", guard, ends)
            if label is None or self.body.raw(node)[4:].lstrip().startswith(b"*"):
                self.complete = False
            else:
                self._gotos.append((point, self.body.text(label)))
            return []
        point = self._point(node, "plain", guard, ends, (node,))
        if kind == "break_statement":
            self._leave(point)
            return []
        if kind == "continue_statement":
            target = next((t.continues for t in reversed(self._targets) if t.continues is not None), None)
            if target is None:
                self.complete = False
            else:
                point.successors.append((target, None))
            return []
        if any(call.name in _NO_RETURN and not call.member for call in point.calls) and kind == "expression_statement":
            return []
        return [(point, None)]

    def _leave(self, point: Point) -> None:
        if self._targets:
            self._targets[-1].breaks.append((point, None))
        else:
            self.complete = False

    def _if(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        """An ``if`` with all its ``else if``, without recursion along the chain."""
        done: list[End] = []
        while True:
            condition = node.child_by_field_name("condition")
            then = node.child_by_field_name("consequence")
            otherwise = node.child_by_field_name("alternative")
            if condition is None or then is None:
                self.complete = False
                return ends + done
            text, line = self.body.text(condition), self.body.line(node)
            branch = self._point(node, "branch", guard, ends, (condition,))
            done += self._statement(then, [(branch, True)], Guard("if", text, line, guard))
            ends = [(branch, False)]
            if otherwise is None:
                return done + ends
            guard = Guard("else", text, line, guard)
            inner = [child for child in otherwise.named_children if child.type != "comment"]
            if len(inner) == 1 and inner[0].type == "if_statement":
                node = inner[0]
                continue
            return done + self._block(inner, ends, guard)

    def _loop(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        statement = node.child_by_field_name("body")
        if statement is None:
            self.complete = False
            return ends
        head = [child for child in node.named_children if child != statement and child.type != "comment"]
        initializer = node.child_by_field_name("initializer")
        if initializer is not None:
            ends = [(self._point(initializer, "plain", guard, ends, (initializer,)), None)]
            head = [child for child in head if child != initializer]
        test = self._point(node, "loop", guard, ends, tuple(head))
        target = _Target(continues=test)
        self._targets.append(target)
        inner = Guard("loop", loop_head(self.body, node), test.line, guard)
        once = is_scope(self.body, node)
        last = self._statement(statement, [(test, None)], guard if once else inner)
        self._targets.pop()
        for before, outcome in last:
            before.successors.append((test, outcome))
        forever = not once and _is_forever(self.body, node)
        return target.breaks + ([] if forever else [(test, None)])

    def _do(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        statement, condition = node.child_by_field_name("body"), node.child_by_field_name("condition")
        if statement is None or condition is None:
            self.complete = False
            return ends
        start = self._point(node, "plain", guard, ends)
        target = _Target()
        # ``continue`` goes to the test; its point is made first so that the edge can be drawn.
        test = Point(condition, "loop", guard, (condition,), line=self.body.line(condition))
        target.continues = test
        self._targets.append(target)
        text = self.body.text(condition)
        once = text in ("(0)", "0", "(false)")
        inner = guard if once else Guard("loop", f"do while {text}", start.line, guard)
        last = self._statement(statement, [(start, None)], inner)
        self._targets.pop()
        pairs = list(_calls_with_guards(self.body, condition, guard))
        test.calls, test.call_guards = tuple(call for call, _ in pairs), tuple(each for _, each in pairs)
        self.points.append(test)
        for before, outcome in last:
            before.successors.append((test, outcome))
        if not once:
            test.successors.append((start, None))
        return [*target.breaks, (test, None)]

    def _switch(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        condition, statement = node.child_by_field_name("condition"), node.child_by_field_name("body")
        if condition is None or statement is None:
            self.complete = False
            return ends
        head = self._point(node, "switch", guard, ends, (condition,))
        target = _Target(switch=head, subject=self.body.text(condition))
        outer = next((t.continues for t in reversed(self._targets) if t.continues is not None), None)
        target.continues = outer
        self._targets.append(target)
        last = self._block(statement.named_children, [], guard)
        self._targets.pop()
        return target.breaks + last + ([] if target.has_default else [(head, None)])

    def _case(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        target = next((each for each in reversed(self._targets) if each.switch is not None), None)
        if target is None or target.switch is None:
            self.complete = False
            return ends
        value = node.child_by_field_name("value")
        target.has_default |= value is None
        shown = self.body.text(value) if value is not None else "default"
        target.values = [*target.values, shown] if ends else [shown]
        case = self._point(node, "case", guard, [*ends, (target.switch, None)])
        known = len(target.values) == 1 or "default" not in target.values
        inner = Guard("case", case_condition(target.subject, target.values), case.line, guard) if known else guard
        statements = [child for child in node.named_children if child != value and child.type != "comment"]
        return self._block(statements, [(case, None)], inner)

    def _label(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        label = node.child_by_field_name("label")
        point = self._point(node, "label", guard, ends)
        if label is not None:
            self.labels.setdefault(self.body.text(label), point)
        statements = [child for child in node.named_children if child != label and child.type != "comment"]
        return self._block(statements, [(point, None)], guard)

    def _conditional_text(self, node: Node, ends: list[End], guard: Guard | None) -> list[End]:
        condition = node.child_by_field_name("condition") or node.child_by_field_name("name")
        otherwise = node.child_by_field_name("alternative")
        text = self.body.text(condition) if condition is not None else ""
        if node.type == "preproc_ifdef" and self.body.raw(node).lstrip(b"# \t").startswith(b"ifndef"):
            text = f"!{text}"
        point = self._point(node, "config", guard, ends)
        inner = Guard("config", text, point.line, guard) if text else guard
        statements = [child for child in node.named_children if child not in (condition, otherwise)]
        begin: list[End] = [(point, None)] if ends else []  # nothing runs into what follows a break
        done = self._block(statements, begin, inner)
        if otherwise is None:
            return done if node.type == "preproc_else" else [*done, *begin]
        return done + self._statement(otherwise, begin, guard)


def loop_head(body: Body, node: Node) -> str:
    """``for (i = 0; i < n; i++)``, ``list_for_each_entry(x, &head, list)``: a loop without its body."""
    statement = node.child_by_field_name("body")
    end = statement.start_byte if statement is not None else node.end_byte
    text = body.raw(node)[: end - node.start_byte]
    return " ".join(decode(blank_comments(text, strings=False)).replace("\\\n", " ").split())


def is_scope(body: Body, node: Node) -> bool:
    """Whether what the tree has for a loop is a block that runs once: ``scoped_guard(…) { }``."""
    return body.raw(node).startswith((b"scoped_", b"with_", b"class_"))


def case_condition(subject: str, values: list[str]) -> str:
    """``cmd == A``, ``cmd is A, B``; of a default alone, that no other case fits."""
    subject = subject[1:-1].strip() if subject.startswith("(") and subject.endswith(")") else subject
    if values == ["default"]:
        return f"{subject}: default"
    if len(values) == 1:
        return f"{subject} == {values[0]}" if "..." not in values[0] else f"{subject}: {values[0]}"
    return f"{subject}: " + ", ".join(values[:4]) + (", …" if len(values) > 4 else "")


def _is_forever(body: Body, node: Node) -> bool:
    condition = node.child_by_field_name("condition")
    if node.type == "for_statement":
        return condition is None and body.raw(node).startswith(b"for")
    return condition is not None and body.text(condition) in ("(1)", "(true)") and body.raw(node).startswith(b"while")


def _calls_with_guards(body: Body, part: Node, guard: Guard | None) -> list[tuple[Call, Guard | None]]:
    """The calls of an expression in order; what ``&&``, ``||`` and ``?:`` make conditional has its condition."""
    found: list[tuple[Call, Guard | None]] = []
    pending: list[tuple[Node, Guard | None]] = [(part, guard)]
    while pending:
        node, inner = pending.pop()
        if node.type == "ERROR":
            continue
        if node.type == "call_expression" and (call := body.call(node)):
            found.append((call, inner))
        children = node.named_children
        guards = [inner] * len(children)
        operator = node.child_by_field_name("operator")
        if node.type == "binary_expression" and operator is not None and len(children) == 2:
            if operator.type == "&&":
                guards[1] = Guard("if", body.text(children[0]), body.line(node), inner)
            elif operator.type == "||":
                guards[1] = Guard("else", body.text(children[0]), body.line(node), inner)
        elif node.type == "conditional_expression":
            condition = node.child_by_field_name("condition")
            if condition is not None:
                text, line = body.text(condition), body.line(node)
                for at, child in enumerate(children):
                    if child == node.child_by_field_name("consequence"):
                        guards[at] = Guard("if", text, line, inner)
                    elif child == node.child_by_field_name("alternative"):
                        guards[at] = Guard("else", text, line, inner)
        pending.extend(reversed(list(zip(children, guards, strict=True))))
    return sorted(found, key=lambda pair: pair[0].start)
