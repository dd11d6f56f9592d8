"""The kernels compile for real architectures. The interpreter accepts code that the compiler rejects; no GPU needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kernels.compile_for import SHARED_MEMORY

ROOT = Path(__file__).resolve().parents[2]
KERNELS = {
    "flash_forward_kernel",
    "row_terms_kernel",
    "flash_backward_keys_kernel",
    "flash_backward_queries_kernel",
    "decode_kernel 16",
    "decode_kernel 64",
    "reduce_kernel",
}


def compiled(*which: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.kernels.compile_for", *map(str, which)]
    environment = {**os.environ, "TRITON_INTERPRET": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("architecture", "d"), [(86, 64), (86, 256), (90, 64), (100, 64)])
def test_the_defaults_compile_and_fit(architecture: int, d: int) -> None:
    lines = compiled(architecture, 0, d)
    kernels = {line["kernel"]: line for line in lines}
    assert set(kernels) == KERNELS
    for rows in (16, 64):  # a growing cache must not cause another compilation
        assert len({line["hash"] for line in lines if line["kernel"] == f"decode_kernel {rows}"}) == 1
    for kernel in kernels.values():
        assert kernel["shared"] <= SHARED_MEMORY[architecture] * 1024
        if kernel["expected"]:  # autotuning filters candidates by this estimate
            assert kernel["shared"] <= kernel["expected"] <= 1.25 * kernel["shared"] + 4096
    products = {86: "mma.sync", 90: "wgmma.mma_async", 100: "tcgen05.mma"}[architecture]
    assert kernels["flash_forward_kernel"][products] and kernels["flash_backward_keys_kernel"][products]
    assert not kernels["flash_forward_kernel"]["cp.async.bulk.tensor"]


def test_descriptors_compile_to_copy_engine_instructions() -> None:
    """The last candidate on sm_90; the tensor cores read the tiles from shared memory."""
    kernels = {line["kernel"]: line for line in compiled(90, -1)}
    for name in ("flash_forward_kernel", "flash_backward_keys_kernel", "flash_backward_queries_kernel"):
        assert kernels[name]["cp.async.bulk.tensor"] and kernels[name]["wgmma.mma_async"]
        assert kernels[name]["shared"] <= kernels[name]["expected"]
