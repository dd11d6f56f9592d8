"""Which calls may sleep, as far as their names and flags say it."""

from __future__ import annotations

import re

from kexpert.core.kernel.lock_calls import LOCK_CALLS
from kexpert.core.kernel.locking_context import ATOMIC_GFP, SLEEPING, SLEEPING_GFP
from kexpert.core.kernel.resource_calls import ALLOCATORS
from kexpert.features.explain.body import Body, Call
from kexpert.features.explain.explanation import as_code

_GFP = re.compile(r"\b(GFP_[A-Z_]+)\b")
#: Functions that allocate with the GFP flags they are given, beside the allocators that are known by name.
_ALLOCATES = re.compile(r"(?:\w*_)?(?:alloc|zalloc|kzalloc|kmalloc|kcalloc|kstrdup|kmemdup)(?:_\w+)?|idr_preload|"
                        r"radix_tree_preload|xa_store|xa_insert|usb_submit_urb|\w*kasprintf|kmemdup_nul")  # fmt: skip
_NO_ALLOCATION = re.compile(r"init|mask|allow|free|set_")


def sleep_cause(body: Body, call: Call) -> str | None:
    """Why a call may sleep, in words; None if that is not certain."""
    if not body.is_by_name(call):
        return None
    lock = LOCK_CALLS.get(call.name)
    if call.name == "guard":
        return None
    if (lock is not None and lock.sleeps) or call.name in SLEEPING:
        return as_code(f"{call.name}()")
    flags = gfp_flags(body, call)
    if flags and any(flag in SLEEPING_GFP for flag in flags) and not any(flag in ATOMIC_GFP for flag in flags):
        return as_code(f"{call.name}({flags[0]})")
    allocator = ALLOCATORS.get(call.name)
    if allocator is not None and allocator.sleeps:
        return as_code(f"{call.name}()")
    wrapper = body.effects.lock_wrapper(call.name) if body.effects is not None else None
    if wrapper is not None and wrapper.call.sleeps:
        return f"{as_code(call.name + '()')}, which takes a {wrapper.call.kind}"
    return None


def gfp_flags(body: Body, call: Call) -> list[str]:
    """The GFP flags that an allocation is given as they are written: not those of a nested call."""
    if call.name not in ALLOCATORS and (not _ALLOCATES.fullmatch(call.name) or _NO_ALLOCATION.search(call.name)):
        return []
    found: list[str] = []
    for argument in call.arguments:
        if argument.type in ("identifier", "binary_expression"):
            text = body.text(argument)
            if "(" not in text and "~" not in text and "?" not in text:
                found += _GFP.findall(text)
    return found
