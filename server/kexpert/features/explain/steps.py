"""How a function works: its statements as short sentences along the syntax tree, two levels deep.

Writes to locals without a comment, logging and checks are left out; runs of writes become one step. A comment goes with
the step that it stands at. The number of steps is bounded: what is over it is summarised by its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from tree_sitter import Node

from kexpert.features.explain.body import Body
from kexpert.features.explain.branch_text import branch_text
from kexpert.features.explain.callees import Briefs
from kexpert.features.explain.explanation import Step, as_code, listed
from kexpert.features.explain.flow import is_scope, loop_head
from kexpert.features.explain.guards import shortened
from kexpert.features.explain.lock_use import LockUse
from kexpert.features.explain.remarks import opening_remark, remarks_of
from kexpert.features.explain.sentences import LEAVES, Sentences
from kexpert.features.explain.statements import PREPROC, narrowed
from kexpert.features.explain.step_words import (
    MAX_RUN,
    Change,
    assignment,
    called,
    change,
    goto_labels,
    several_changes,
)

_MAX_STEPS = 40
_MAX_INNER = (6, 3, 1, 0)  # steps within a branch or a loop: fewer if there are more than _MAX_STEPS
_MAX_DEPTH = 2


class _Held(NamedTuple):
    """A plain call or a write, which becomes one step with those that follow."""

    what: str | Change  # a call in words, or a write
    depth: int
    line: int
    remark: str


class _Writer:
    """Steps in the order of the text. ``span``: byte offsets in the parsed text; statements outside are left out."""

    def __init__(self, body: Body, say: Sentences, span: tuple[int, int] | None, max_inner: int) -> None:
        self.max_inner = max_inner
        self.body = body
        self.say = say
        self.span = span
        self.steps: list[Step] = []
        self._held: list[_Held] = []  # a run that becomes a step
        self._remark = ""  # on the statement that is being written, until a step has it
        self._errno: Change | None = None  # an errno that the statement before has given to a local
        self._error_paths = goto_labels(body)
        self.left_out = 0

    # -- blocks ---------------------------------------------------------------------------------

    def block(self, statements: list[Node], depth: int) -> None:
        """Write the statements of a block; of an inner block, the first few steps."""
        remarks = remarks_of(self.body, statements)
        statements = [node for node in statements if node.type != "comment"]
        at = 0
        before = len(self.steps)
        while at < len(statements):
            node = statements[at]
            if depth and sum(step.depth == depth for step in self.steps[before:]) >= self.max_inner:
                self._flush()
                last = statements[-1]
                first, end = self.body.line(node) + 1, self.body.end_line(last) + 1
                where = f"line {first}" if first == end else f"lines {first} to {end}"
                self._add(f"… and more ({where})", node, depth)
                return
            if self._outside(node):
                at += 1
                continue
            following = statements[at + 1] if at + 1 < len(statements) else None
            if following is not None and self._outside(following):
                following = None
            self._remark = remarks.get(node.id, "")
            at += self.statement(node, following, depth)
            self._remark = ""
        self._flush()

    def _outside(self, node: Node) -> bool:
        return self.span is not None and (node.end_byte <= self.span[0] or node.start_byte >= self.span[1])

    def _add(self, text: str, node: Node, depth: int) -> None:
        self._flush()
        self._append(text, self.body.line(node), depth, self._take_remark())

    def _append(self, text: str, line: int, depth: int, remark: str = "") -> None:
        if len(self.steps) >= _MAX_STEPS:
            self.left_out += 1
            return
        self.steps.append(Step(text, line, depth, remark))

    def _take_remark(self) -> str:
        remark, self._remark = self._remark, ""
        return remark

    def _flush(self) -> None:
        held, self._held = self._held, []
        while held:
            first = held[0]
            changes = [each.what for each in held if isinstance(each.what, Change)]
            if changes:
                text, held = several_changes(changes), []
            else:
                names = list(dict.fromkeys(str(each.what) for each in held[:MAX_RUN]))
                text, held = f"calls {listed(names, MAX_RUN)}", held[MAX_RUN:]
            self._append(f"{_capital(text)}.", first.line, first.depth, first.remark)

    # -- statements -----------------------------------------------------------------------------

    def statement(self, node: Node, following: Node | None, depth: int) -> int:
        """Write the steps of a statement. Returns how many statements were used up: 2 with the check of a result."""
        kind, errno = node.type, self._errno
        self._errno = None
        if depth > _MAX_DEPTH:
            return 1
        if kind == "ERROR":
            self._add("A part that could not be read.", node, depth)
        elif kind in ("expression_statement", "declaration"):
            return self._expression(node, following, depth)
        elif kind == "if_statement":
            self._errno = errno if errno and self._only_goes(node) else None
            self._if(node, depth)
            self._errno = None
        elif kind in ("while_statement", "for_statement", "do_statement"):
            self._loop(node, depth)
        elif kind == "switch_statement":
            self._switch(node, depth)
        elif kind == "labeled_statement":
            self._label(node, depth)
        elif kind == "compound_statement":
            self.block(node.named_children, depth)
        elif kind in LEAVES:
            if kind == "return_statement" and not node.named_children and following is None and not depth:
                return 1
            self._add(f"{_capital(self.say.leave(node))}.", node, depth)
        elif kind in PREPROC:
            self._config(node, depth)
        elif kind == "attributed_statement":
            self.block(node.named_children[-1:], depth)
        return 1

    # -- expressions ----------------------------------------------------------------------------

    def _expression(self, node: Node, following: Node | None, depth: int) -> int:
        body = self.body
        calls = list(body.calls_in(node))
        target, right = assignment(body, node)
        written = 0
        for call in calls:
            if text := self.say.known_call(call):
                self._add(text, node, depth)
                written += 1
        main = next((call for call in reversed(calls) if self.say.worth_telling(call)), None) if not written else None
        if right is not None and right.type == "call_expression" and not written:
            main = body.call(right)
            if main is not None and not self.say.worth_telling(main):
                main = None
        if main is not None:
            name = as_code(called(body, main) + "()")
            result = f", result in {as_code(target)}" if target and right is not None else ""
            check = self.say.check(target, following) if target else ""
            brief = "" if main.member else self.say.brief(main.name)
            if brief or check:
                self._add(f"Calls {name}{brief}{result}{check}.", node, depth)
            else:
                self._hold(f"{name}{f' for {as_code(target)}' if result else ''}", node, depth)
            return 2 if check else 1
        if written:
            check = self.say.check(target, following) if target else ""
            if check and self.steps and len(self.steps) < _MAX_STEPS:
                last = self.steps[-1]
                self.steps[-1] = replace(last, text=last.text.removesuffix(".") + check + ".")
                return 2
            return 1
        if errno := self.say.errno_set(node):
            self._errno = errno
            if following is None or not self._only_goes(following):
                self._hold(errno, node, depth)
        for write in self.say.written(node):
            self._hold(write, node, depth)
        if self._remark and (found := change(body, node)):
            self._add(f"{_capital(found.clause)}.", node, depth)
        return 1

    def _only_goes(self, node: Node) -> bool:
        """Whether a statement is an ``if`` that only goes to a label: an errno set before belongs to its sentence."""
        if node.type != "if_statement" or node.child_by_field_name("alternative") is not None:
            return False
        return (self.say.only_leaves(node.child_by_field_name("consequence")) or "").startswith("goes to")

    def _hold(self, what: str | Change, node: Node, depth: int) -> None:
        """Keep a plain call or write until the run of its like ends. One with a remark begins a run."""
        if self._held:
            first = self._held[0]
            if self._remark or type(first.what) is not type(what) or first.depth != depth:
                self._flush()
        line = what.line if isinstance(what, Change) else self.body.line(node)
        self._held.append(_Held(what, depth, line, self._take_remark()))

    # -- branches -------------------------------------------------------------------------------

    def _if(self, node: Node, depth: int) -> None:
        self._flush()
        first, before = node, (len(self.steps), self.left_out)
        word, untold = "If", 0
        while True:
            condition = node.child_by_field_name("condition")
            then, otherwise = node.child_by_field_name("consequence"), node.child_by_field_name("alternative")
            if condition is None or then is None:
                return
            self._calls_of_condition(condition, depth)
            self._branch(f"{word} {self._condition(node)}", then, depth, condition)
            if otherwise is None:
                return
            untold += (len(self.steps), self.left_out) == before
            inner = [child for child in otherwise.named_children if child.type != "comment"]
            if not inner:
                return
            is_chain = len(inner) == 1 and inner[0].type == "if_statement"
            # A word like "otherwise" needs a condition before it that was told.
            word = "Else, if" if is_chain else "Otherwise"
            if untold == 1 and node is first:
                word = f"Unless {self._condition(first)}" + (", if" if is_chain else "")
            elif untold and (len(self.steps), self.left_out) == before:
                line = self.body.line(first) + 1
                word = f"Unless a condition from line {line} on holds" + (", if" if is_chain else "")
            if not is_chain:
                self._branch(word, inner[0], depth, inner[0])
                return
            node = inner[0]

    def _condition(self, node: Node) -> str:
        condition = node.child_by_field_name("condition")
        return as_code(shortened(self.body.text(condition))) if condition is not None else ""

    def _calls_of_condition(self, condition: Node, depth: int) -> None:
        """Locks and allocations within a condition: ``if (!spin_trylock(&x->lock))``."""
        for call in self.body.calls_in(condition):
            if text := self.say.known_call(call):
                self._add(text, condition, depth)

    def _branch(self, head: str, then: Node, depth: int, at: Node) -> None:
        leave = self.say.only_leaves(then)
        if leave is not None:
            if self._errno is not None and leave.startswith("goes to"):
                leave += f" with {self._errno.name.replace(' to ', ' = ')}"
            self._remark = self._remark or opening_remark(self.body, then)
            self._add(f"{head}, {leave}.", at, depth)
            return
        inner = then.named_children if then.type == "compound_statement" else [then]
        self._flush()
        before, counted = len(self.steps), self.left_out
        line = self.body.line(at)
        remark = self._take_remark()
        self._append(f"{head}:", line, depth, remark)
        if len(self.steps) == before:
            return
        if depth < _MAX_DEPTH - 1 and self.max_inner:
            self.block(inner, depth + 1)
        new = self.steps[before + 1 :]
        if len(new) == 1 and self.left_out == counted:
            text = new[0].text
            remark = remark or new[0].remark
            self.steps[before:] = [Step(f"{head}: {text[:1].lower() + text[1:]}", line, depth, remark)]
        elif not new:
            statements = [child for child in inner if child.type != "comment"]
            remark = remark or opening_remark(self.body, then)
            self.steps[before:] = self._summarised(head, statements, line, depth, remark)

    def _summarised(
        self, head: str, statements: list[Node], line: int, depth: int, remark: str = ""
    ) -> list[Step]:
        text = branch_text(self.body, self.say, statements)
        return [Step(f"{head}: {text}.", line, depth, remark)] if text else []

    def _loop(self, node: Node, depth: int) -> None:
        body = self.body
        statement = node.child_by_field_name("body")
        if statement is None:
            return
        if is_scope(body, node):
            head = f"Within {as_code(shortened(loop_head(body, node)))}"
        elif node.type == "do_statement":
            condition = node.child_by_field_name("condition")
            text = shortened(body.text(condition)) if condition is not None else ""
            if text in ("0", "false"):
                self.block(statement.named_children, depth)
                return
            head = f"Repeats while {as_code(text)}"
        else:
            head = f"Loops: {as_code(shortened(loop_head(body, node)))}"
        before = len(self.steps) + bool(self._held)
        self._branch(head, statement, depth, node)
        if len(self.steps) <= before and not is_scope(body, node):
            calls = [call for call in body.calls_in(node) if self.say.worth_telling(call)]
            names = listed(list(dict.fromkeys(as_code(called(body, call) + "()") for call in calls)), 4)
            self._add(f"{head}{f', calls {names}' if names else ''}.", node, depth)

    def _switch(self, node: Node, depth: int) -> None:
        condition, statement = node.child_by_field_name("condition"), node.child_by_field_name("body")
        if condition is None or statement is None:
            return
        subject = shortened(self.body.text(condition))
        self._flush()
        before = len(self.steps)
        head = f"Depending on {as_code(subject)}"
        if depth >= _MAX_DEPTH - 1:
            inner = [child for case in statement.named_children for child in case.named_children]
            self.steps += self._summarised(head, [each for each in inner if each.type not in LEAVES],
                                           self.body.line(node), depth)[: _MAX_STEPS - before]  # fmt: skip
            return
        self._add(f"{head}:", node, depth)
        if len(self.steps) == before:
            return
        values: list[str] = []
        shown = 0
        for case in statement.named_children:
            if case.type != "case_statement" or self._outside(case):
                continue
            value = case.child_by_field_name("value")
            values.append(self.body.text(value) if value is not None else "default")
            inner = [child for child in case.named_children if child != value and child.type != "comment"]
            if not inner:
                continue
            if shown == max(self.max_inner, 1):
                self._add("… and other cases", case, depth + 1)
                break
            shown += 1
            head = listed([as_code(each) for each in values], 4, "or")
            values = []
            inner = inner[:-1] if inner[-1].type == "break_statement" else inner
            if not inner:
                shown -= 1
                continue
            leave = self.say.only_leaves(inner[0]) if len(inner) == 1 else None
            if leave is not None:
                self._append(f"{head}: {leave}.", self.body.line(case), depth + 1)
            elif len(self.steps) < _MAX_STEPS:
                self.steps += self._summarised(head, inner, self.body.line(case), depth + 1)
        if len(self.steps) == before + 1:
            self.steps.pop()  # no case was told

    def _label(self, node: Node, depth: int) -> None:
        label = node.child_by_field_name("label")
        name = self.body.text(label) if label is not None else ""
        came = self._error_paths.get(name, [])
        lines = listed([str(line + 1) for line in came], 4)
        if came:
            where = f" (from line{'s' * (len(came) > 1)} {lines})"
            self._add(f"At {as_code(name)}{where}:", node, depth)
        inner = [child for child in node.named_children if child != label and child.type != "comment"]
        self.block(inner, depth)

    def _config(self, node: Node, depth: int) -> None:
        condition = node.child_by_field_name("condition") or node.child_by_field_name("name")
        otherwise = node.child_by_field_name("alternative")
        inner = [child for child in node.named_children if child not in (condition, otherwise)]
        if condition is not None:
            negative = self.body.raw(node).lstrip(b"# \t").startswith(b"ifndef")
            word = "without" if negative else "with"
            self._add(f"Built {word} {as_code(shortened(self.body.text(condition)))}:", node, depth)
            before = len(self.steps)
            self.block(inner, depth + 1 if depth < _MAX_DEPTH else depth)
            if len(self.steps) == before and self.steps:
                self.steps.pop()
        elif inner:
            self._add("Otherwise built:", node, depth)
            before = len(self.steps)
            self.block(inner, depth + 1 if depth < _MAX_DEPTH else depth)
            if len(self.steps) == before and self.steps:
                self.steps.pop()
        if otherwise is not None:
            self._config(otherwise, depth)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def steps_of(
    body: Body, briefs: Briefs, locks: Sequence[LockUse], span: tuple[int, int] | None = None
) -> tuple[Step, ...]:
    """The steps of a body, or of what lies in ``span`` (byte offsets in the file). ``locks``: its ``lock_uses``."""
    if body.root is None:
        return ()
    inside = None if span is None else (span[0] - body.shift, span[1] - body.shift)
    is_long = body.root.named_child_count > 8 * _MAX_STEPS
    for max_inner in _MAX_INNER[-1:] if is_long else _MAX_INNER:
        writer = _Writer(body, Sentences(body, briefs, locks), inside, max_inner)
        writer.block(narrowed(body.root, inside), 0)
        if not writer.left_out:
            break
    steps = writer.steps
    if writer.left_out:
        steps.append(Step(f"… and {writer.left_out} further steps", steps[-1].line if steps else body.first_line, 0))
    return tuple(steps)
