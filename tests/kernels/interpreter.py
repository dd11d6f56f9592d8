"""What Triton's interpreter (3.9) needs so that the tests are quick, and right in bf16."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.interpreter import TensorHandle


def mend() -> None:
    """Changes the interpreter of this process; for tests alone."""
    builder = interpreter.interpreter_builder
    builder.options = dataclasses.replace(builder.options, sanitize_overflow=False)  # half of the time goes to that
    builder.create_dot = _widened(builder.create_dot)
    builder.create_fp_trunc = _rounded(builder.create_fp_trunc)
    interpreter._patch_lang = _patch_once(interpreter._patch_lang)


def _widened(dot: Callable[..., Any]) -> Callable[..., Any]:
    """bf16 is kept as 16-bit integers, and ``tl.dot`` multiplies those. In fp32 the products are exact."""

    def widen(handle: TensorHandle) -> TensorHandle:
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    return lambda a, b, *rest: dot(widen(a), widen(b), *rest)


def _rounded(truncate: Callable[..., Any]) -> Callable[..., Any]:
    """fp32 to bf16 is cut off; hardware rounds to the nearest, ties to even."""

    def create_fp_trunc(value: TensorHandle, to: tl.dtype) -> TensorHandle:
        if (value.dtype.scalar, to.scalar) != (tl.float32, tl.bfloat16):
            return truncate(value, to)
        bits = np.ascontiguousarray(value.data).view(np.uint32)
        return TensorHandle(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16), tl.bfloat16)

    return create_fp_trunc


def _patch_once(patch: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The functions of ``tl`` are replaced again at every call of one kernel function by another, which takes longer
    than the call. Here that happens once a launch for each set of modules that kernel functions name."""
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
