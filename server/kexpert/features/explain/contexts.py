"""Contexts: what may sleep, what runs where interrupts or preemption are off, interrupt handlers and callbacks.

A call that sleeps only under a condition is given with it: ``if (gfp & __GFP_WAIT) cond_resched();``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kexpert.core.c.tokens import Tokens
from kexpert.core.kernel.lock_calls import INTERRUPTION_CALLS
from kexpert.core.kernel.locking_context import ATOMIC_GFP, locking_rules
from kexpert.core.text import decode
from kexpert.features.explain.body import Body, Call
from kexpert.features.explain.explanation import Fact, FactKind, Location, Statement, as_code
from kexpert.features.explain.flow import Flow
from kexpert.features.explain.guards import Guard, condition_of, phrase
from kexpert.features.explain.sleeping import gfp_flags, sleep_cause

if TYPE_CHECKING:
    from kexpert.features.explain.callee_effects import CalleeEffects

_MAX_CAUSES = 4
_SECTIONS = {
    "__init": "`__init`: its code is freed once the kernel has started",
    "__exit": "`__exit`: only for unloading the module",
    "noinstr": "`noinstr`: must not be instrumented",
    "__kprobes": "`__kprobes`: must not be probed",
}
#: Registration -> (index of the argument that is the callback, what it then is).
_REGISTRATIONS: dict[str, tuple[tuple[int, str], ...]] = {
    "request_irq": ((1, "an interrupt handler"),),
    "request_threaded_irq": ((1, "an interrupt handler"), (2, "the thread of an interrupt: it may sleep")),
    "devm_request_irq": ((2, "an interrupt handler"),),
    "devm_request_threaded_irq": ((2, "an interrupt handler"), (3, "the thread of an interrupt: it may sleep")),
    "request_percpu_irq": ((1, "an interrupt handler"),),
    "INIT_WORK": ((1, "a work item, in process context"),),
    "INIT_DELAYED_WORK": ((1, "a delayed work item, in process context"),),
    "timer_setup": ((1, "a timer, in softirq context"),),
    "tasklet_setup": ((1, "a tasklet, in softirq context"),),
    "tasklet_init": ((1, "a tasklet, in softirq context"),),
    "call_rcu": ((1, "an RCU callback"),),
    "kthread_run": ((0, "a kernel thread"),),
    "kthread_create": ((0, "a kernel thread"),),
    "pci_request_irq": ((2, "an interrupt handler"), (3, "the thread of an interrupt: it may sleep")),
    "devm_request_any_context_irq": ((2, "an interrupt handler, in a thread of its own if the interrupt is nested"),),
    "INIT_DEFERRABLE_WORK": ((1, "a deferrable work item, in process context"),),
    "INIT_RCU_WORK": ((1, "a work item after an RCU grace period, in process context"),),
    "kthread_init_work": ((1, "a work item of a kernel thread"),),
    "kthread_init_delayed_work": ((1, "a delayed work item of a kernel thread"),),
    "kthread_create_on_node": ((0, "a kernel thread"),),
    "kthread_create_on_cpu": ((0, "a kernel thread"),),
    "kthread_run_on_cpu": ((0, "a kernel thread"),),
    "init_irq_work": ((1, "an irq_work item, in interrupt context"),),
    "DEFINE_TIMER": ((1, "a timer, in softirq context"),),
    "DECLARE_TASKLET": ((1, "a tasklet, in softirq context"),),
    "call_srcu": ((2, "an SRCU callback"),),
    "devm_add_action": ((1, "an action when the device is unbound"),),
    "devm_add_action_or_reset": ((1, "an action when the device is unbound"),),
    "DECLARE_WORK": ((1, "a work item, in process context"),),
    "DECLARE_DELAYED_WORK": ((1, "a delayed work item, in process context"),),
    "netif_napi_add": ((2, "a NAPI poll function, in softirq context"),),
    "on_each_cpu": ((0, "a function that runs on each CPU, with interrupts off"),),
}


def context_facts(body: Body, statements: Sequence[Statement]) -> list[Fact]:
    return [
        Fact(FactKind.CONTEXT, f"{each.text[:1].lower()}{each.text[1:]}", body.path, each.locations[0].line)
        for each in statements
    ]


def context_statements(body: Body, flow: Flow) -> list[Statement]:
    """The contexts for "How to call it"."""
    statements: list[Statement] = []
    at = Location(body.path, body.first_line)
    registered = registrations(body)
    if not registered and re.search(r"\birqreturn_t\b", body.return_type):
        statements.append(Statement("Handles an interrupt: returns `irqreturn_t`", (at,)))
    statements += registered
    statements += _sleeping(body, flow)
    statements += _atomic(body, flow)
    head = locking_rules(body.source.data[body.start : body.start + (body.root.start_byte if body.root else 0)])
    statements += [Statement(f"Marked {_SECTIONS[name]}", (at,)) for name in head.sections if name in _SECTIONS]
    if locking_rules(body.source.data[body.start : body.end]).rcu_dereference and flow.complete:
        line = _line_of_dereference(flow)
        if line is not None:
            text = "Uses `rcu_dereference()` without `rcu_read_lock()` of its own: the caller holds the RCU read side"
            statements.append(Statement(text, (Location(body.path, line),)))
    return statements


def _line_of_dereference(flow: Flow) -> int | None:
    return next((call.line for point in flow.points for call in point.calls if call.name == "rcu_dereference"), None)


def _calls(flow: Flow) -> list[tuple[Call, Guard | None]]:
    return [pair for point in flow.points for pair in zip(point.calls, point.call_guards, strict=True)]


def _sleeping(body: Body, flow: Flow) -> list[Statement]:
    """Why it may sleep: calls that always run first; if there are none, those under a condition; else its callees."""
    causes = _causes(body, flow, lambda call: sleep_cause(body, call))
    effects = body.effects
    if not causes and effects is not None:
        causes = _causes(body, flow, lambda call: _through(call, effects) if body.is_by_name(call) else None)
    if not causes:
        return []
    shown = list(causes)[:_MAX_CAUSES]
    places = tuple(dict.fromkeys(place for cause in shown for place in causes[cause][:3]))
    return [Statement(f"May sleep: {', '.join(shown)}", places)]


def _causes(body: Body, flow: Flow, cause_of: Callable[[Call], str | None]) -> dict[str, list[Location]]:
    always: dict[str, list[Location]] = {}
    conditional: dict[str, list[Location]] = {}
    reachable = flow.reachable()
    for point in flow.points:
        if id(point) not in reachable:
            continue
        for call, guard in zip(point.calls, point.call_guards, strict=True):
            cause = cause_of(call)
            if cause is None:
                continue
            location = Location(body.path, call.line)
            condition = condition_of(guard)
            if condition is None:
                always.setdefault(cause, []).append(location)
            else:
                conditional.setdefault(f"{cause}{phrase(condition)}", []).append(location)
    return always or conditional


def _through(call: Call, effects: CalleeEffects) -> str | None:
    cause = effects.always_sleeps(call.name)
    return f"{as_code(call.name + '()')} calls {cause}" if cause else None


def _atomic(body: Body, flow: Flow) -> list[Statement]:
    found: dict[str, list[Location]] = {}
    for call, guard in _calls(flow):
        if call.member:
            continue
        where = Location(body.path, call.line)
        flags = gfp_flags(body, call)
        for flag in flags:
            if flag in ATOMIC_GFP:
                text = f"{as_code(call.name + '()')} allocates with {as_code(flag)}, which does not sleep"
                found.setdefault(text, []).append(where)
        if call.name in INTERRUPTION_CALLS and condition_of(guard) is None:
            found.setdefault(f"Turns {INTERRUPTION_CALLS[call.name]} ({as_code(call.name + '()')})", []).append(where)
    return [Statement(text, tuple(places[:3])) for text, places in found.items()]


def registrations(body: Body) -> list[Statement]:
    """Where its own file registers it as a handler, a work item, a timer and the like."""
    data = body.source.data
    name = body.name.encode()
    if body.what != "function" or not name:
        return []
    found: dict[str, list[Location]] = {}
    for registration, places in _REGISTRATIONS.items():
        word = registration.encode()
        at = data.find(word)
        while at >= 0:
            after = at + len(word)
            before_is_word = at > 0 and (data[at - 1 : at].isalnum() or data[at - 1 : at] == b"_")
            if not before_is_word and data[after : after + 1] == b"(":
                tokens = Tokens(data, at, min(len(data), at + 1000))
                arguments = tokens.commas(2, tokens.past(1) - 1)
                for index, what in places:
                    if index < len(arguments) and tokens.join(*arguments[index]).lstrip("&") == body.name:
                        line = body.source.lines.line_of(at)
                        if not _in_comment(data, at):
                            found.setdefault(f"Runs as {what} ({as_code(registration + '()')})", []).append(
                                Location(body.path, line)
                            )
            at = data.find(word, after)
    return [Statement(text, tuple(places[:3])) for text, places in found.items()]


def _in_comment(data: bytes, at: int) -> bool:
    line = data.rfind(b"\n", 0, at) + 1
    before = decode(data[line:at]).strip()
    return before.startswith(("*", "//", "/*")) or data.rfind(b"/*", 0, at) > data.rfind(b"*/", 0, at)
