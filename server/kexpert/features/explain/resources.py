"""Memory that a function allocates and frees, and references that it takes and drops."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tree_sitter import Node

from kexpert.core.kernel.resource_calls import ALLOCATORS, COUNTS, FREES, GETS, REFERENCES, Reference
from kexpert.features.explain.body import Body, Call, declared_name
from kexpert.features.explain.explanation import Fact, FactKind, Location, Statement, as_code
from kexpert.features.explain.flow import Flow, Point
from kexpert.features.explain.guards import Guard, condition_of, phrase
from kexpert.features.explain.sleeping import gfp_flags

#: A member that counts references, by its name.
_REFERENCE_COUNT = re.compile(r"(?:->|\.)(?:\w*_)?(?:refcount|refcnt|refs?|ref_count|ref_cnt)$")


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """One allocation, free, take or drop."""

    verb: str  # "allocates", "frees", "takes a reference on", "drops a reference on"
    target: str  # what it is done to; "" where no name holds the value
    function: str
    detail: str
    line: int
    guard: Guard | None

    @property
    def kind(self) -> FactKind:
        return FactKind.ALLOCATION if self.verb in ("allocates", "frees") else FactKind.REFERENCE

    @property
    def drops(self) -> bool:
        return self.verb.startswith("drops")

    @property
    def may_fail(self) -> bool:
        return self.verb.startswith("tries")

    @property
    def text(self) -> str:
        target = f" {as_code(self.target)}" if self.target else " memory" if self.verb == "allocates" else ""
        return f"{self.verb}{target} ({as_code(self.function + '()')}{self.detail})"


def resource_use(body: Body, call: Call, guard: Guard | None) -> ResourceUse | None:
    """What a call allocates, frees, takes or drops; None if it is none of the functions that are known."""
    if not body.is_by_name(call) or call.name == body.name:
        return None
    name = call.name
    if name in ALLOCATORS:
        allocator = ALLOCATORS[name]
        flags = gfp_flags(body, call) if allocator.gfp else []
        detail = f", {as_code(flags[0])}" if flags else ""
        if allocator.managed:
            detail += ", freed with the device"
        return ResourceUse("allocates", _holder(body, call.node), name, detail, call.line, guard)
    if name in FREES:
        at = FREES[name]
        if at >= len(call.arguments):
            return None
        return ResourceUse("frees", body.shown(call.arguments[at], 60), name, "", call.line, guard)
    if name in GETS and (holder := _holder(body, call.node)):
        return ResourceUse(verb_of(GETS[name]), holder, name, "", call.line, guard)
    if not call.arguments:
        return _wrapped(body, call, guard)
    object_ = body.shown(call.arguments[0], 60)
    reference = REFERENCES.get(name) or (COUNTS.get(name) if _REFERENCE_COUNT.search(object_) else None)
    if reference is not None:
        return ResourceUse(verb_of(reference), object_, name, "", call.line, guard)
    return _wrapped(body, call, guard)


def _wrapped(body: Body, call: Call, guard: Guard | None) -> ResourceUse | None:
    """What the callee does with resources for its caller."""
    wrapper = body.effects.resource_wrapper(call.name) if body.effects is not None else None
    if wrapper is None:
        return None
    if wrapper.parameter is None:
        target = _holder(body, call.node)
    elif wrapper.parameter < len(call.arguments):
        target = body.shown(call.arguments[wrapper.parameter], 60)
    else:
        target = ""
    return ResourceUse(wrapper.verb, target, call.name, wrapper.detail, call.line, guard) if target else None


def verb_of(reference: Reference) -> str:
    if not reference.take:
        return "drops a reference on"
    return "tries to take a reference on" if reference.may_fail else "takes a reference on"


def _holder(body: Body, node: Node) -> str:
    """The name or member that a value is assigned to."""
    parent = node.parent
    while parent is not None and parent.type in ("parenthesized_expression", "cast_expression"):
        parent = parent.parent
    if parent is None:
        return ""
    if parent.type == "assignment_expression":
        left = parent.child_by_field_name("left")
        return body.shown(left, 60) if left is not None and left.end_byte < node.start_byte else ""
    if parent.type == "init_declarator":
        name = declared_name(parent)
        return body.text(name) if name is not None else ""
    return ""


def resource_uses(body: Body, flow: Flow) -> list[ResourceUse]:
    """In the order of the text."""
    return [use for _, use in placed_uses(body, flow)]


def placed_uses(body: Body, flow: Flow) -> list[tuple[Point, ResourceUse]]:
    """The same, each with the statement that it is in."""
    return [
        (point, use)
        for point in flow.points
        for call, guard in zip(point.calls, point.call_guards, strict=True)
        if (use := resource_use(body, call, guard)) is not None
    ]


def resource_facts(body: Body, uses: list[ResourceUse]) -> list[Fact]:
    return list(dict.fromkeys(
        Fact(use.kind, f"{use.text}{phrase(condition_of(use.guard))}", body.path, use.line) for use in uses
    ))  # fmt: skip


def ownership(body: Body, uses: list[ResourceUse]) -> list[Statement]:
    """For "How to call it": what it allocates, frees, takes and drops, equal ones once."""
    groups: dict[str, list[Location]] = {}
    for use in uses:
        text = use.text[:1].upper() + use.text[1:]
        groups.setdefault(text, []).append(Location(body.path, use.line))
    return [Statement(text, tuple(dict.fromkeys(places))) for text, places in groups.items()]
