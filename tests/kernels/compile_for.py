"""``python -m tests.kernels.compile_for 90 0``: compiles the launches of every kernel for an architecture, without a
GPU.

Prints a line of JSON for each: the kernel, the shared memory that it takes and that autotuning expects, and how often
some instructions occur. The second argument is the number of the configuration among those that the device is offered.
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
    """As much of a driver as compiling asks for."""

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
        memory = {"shared": kernel.metadata.shared, "expected": expected.get(self.__name__)}
        print(json.dumps({"kernel": self.__name__, **memory, **found}), flush=True)

    JITFunction.run = run
    q = torch.empty(1, 4, 256, d, dtype=torch.bfloat16)
    k = torch.empty(1, 2, 256, d, dtype=torch.bfloat16)
    lse = torch.empty(1, 4, 256)

    def chosen(kernel: str) -> Configuration:
        offered = candidates(kernel, d, 2, device, tma=True)
        configuration = offered[number % len(offered)]
        name = f"{'' if kernel == 'decode' else 'flash_'}{kernel}_kernel"
        expected[name] = shared_memory(kernel, configuration, d, 2, device.capability)
        return configuration

    rule = (None, None, True, 0, 0, 0.125, 0.0)
    flash_forward(q, k, k, *rule, chosen("forward"))
    flash_backward(q, lse, q, k, k, q, lse, *rule, (chosen("backward_keys"), chosen("backward_queries")))
    launch_decode(q[:, :, :1], k, k, None, None, None, True, 0, 0.125, 2, chosen("decode"))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
