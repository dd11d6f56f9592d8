"""``python -m tests.kernels.compile_for 90 0 64``: compile every kernel for an architecture, without a GPU.

Prints a line of JSON for each launch: the kernel (for decoding with the rows of its tile), the hash of its source, the
shared memory it takes and the amount that autotuning expects, and the counts of some instructions. The second argument
is the index of the configuration among the candidates for the device, the third the head dimension.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

from kexpert_kernels.autotuning import Configuration, Device, candidates, shared_memory
from kexpert_kernels.decode_attention import launch_decode
from kexpert_kernels.flash_backward import flash_backward
from kexpert_kernels.flash_forward import flash_forward

SHARED_MEMORY = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99, 121: 99}


class Driver:
    """The parts of a driver that compilation needs."""

    def __init__(self, architecture: int) -> None:
        self.target = GPUTarget("cuda", architecture, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _device: int) -> int:
        return 0


def main(architecture: int, number: int, d: int = 64) -> None:
    device = Device("", divmod(architecture, 10), SHARED_MEMORY[architecture] * 1024)
    triton.runtime.driver.set_active(Driver(architecture))
    real_run = JITFunction.run
    expected: dict[str, int] = {}

    def run(self: Any, *args: Any, warmup: bool = False, **kwargs: Any) -> None:
        kernel = real_run(self, *args, warmup=True, **kwargs)
        ptx = kernel.asm["ptx"]
        found = {
            name: ptx.count(name) for name in ("wgmma.mma_async", "tcgen05.mma", "mma.sync", "cp.async.bulk.tensor")
        }
        name = self.__name__ + (f" {kwargs['ROWS']}" if "ROWS" in kwargs else "")
        memory = {"shared": kernel.metadata.shared, "expected": expected.get(name)}
        print(json.dumps({"kernel": name, "hash": kernel.hash, **memory, **found}), flush=True)

    JITFunction.run = run
    q = torch.empty(1, 4, 256, d, dtype=torch.bfloat16)
    k = torch.empty(1, 2, 256, d, dtype=torch.bfloat16)
    lse = torch.empty(1, 4, 256)

    def chosen(kernel: str, rows: int | None = None) -> Configuration:
        offered = candidates(kernel, d, 2, device, tma=True, rows=rows)
        configuration = offered[number % len(offered)]
        name = f"flash_{kernel}_kernel" if rows is None else f"{kernel}_kernel {rows}"
        expected[name] = shared_memory(kernel, configuration, d, 2, device.capability)
        return configuration

    rule = (None, None, True, 0, 0, 0.125, 0.0)
    flash_forward(q, k, k, *rule, chosen("forward"))
    flash_backward(q, lse, q, k, k, q, lse, *rule, (chosen("backward_keys"), chosen("backward_queries")))
    for queries, rows in ((1, 16), (32, 64)):
        for keys in (250, 256):
            k, mask = k.new_empty(1, 2, keys, d), torch.empty(1, queries, keys, dtype=torch.bool)
            launch_decode(q[:, :, :queries], k, k, None, mask, None, False, 0, 0.125, 2, chosen("decode", rows))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
