"""Patches for Triton's interpreter (3.9): correct bf16, and faster tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.interpreter import TensorHandle


def patch_interpreter() -> None:
    """Patch the interpreter of this process; for tests only."""
    builder = interpreter.interpreter_builder
    builder.options = dataclasses.replace(builder.options, sanitize_overflow=False)  # it takes half of the time
    builder.create_dot = _widened(builder.create_dot)
    builder.create_fp_trunc = _rounded(builder.create_fp_trunc)
    interpreter._patch_lang = _patch_once(interpreter._patch_lang)


def _widened(dot: Callable[..., Any]) -> Callable[..., Any]:
    """Multiply bf16 in fp32, where products are exact; the interpreter would multiply its 16-bit integers."""

    def widen(handle: TensorHandle) -> TensorHandle:
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    return lambda a, b, *rest: dot(widen(a), widen(b), *rest)


def _rounded(truncate: Callable[..., Any]) -> Callable[..., Any]:
    """Round fp32 to the nearest bf16, ties to even, as hardware does; the interpreter truncates."""

    def create_fp_trunc(value: TensorHandle, to: tl.dtype) -> TensorHandle:
        if (value.dtype.scalar, to.scalar) != (tl.float32, tl.bfloat16):
            return truncate(value, to)
        bits = np.ascontiguousarray(value.data).view(np.uint32)
        return TensorHandle(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16), tl.bfloat16)

    return create_fp_trunc


def _patch_once(patch: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Patch the functions of ``tl`` once for each launch and set of modules that kernel functions name.

    The interpreter patches them at every call of one kernel function by another, which takes longer than the call.
    """
    patched: dict[frozenset[int], Any] = {}

    class Launch:
        def restore(self) -> None:
            while patched:
                patched.popitem()[1].restore()

    def once(fn: Any) -> Launch:
        modules = frozenset(id(value) for value in fn.__globals__.values() if value is tl or value is tl.core)
        if modules not in patched:
            patched[modules] = patch(fn)
        return Launch()

    return once
