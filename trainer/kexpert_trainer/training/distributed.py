"""The processes of one training run: one, or those that torchrun starts."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all processes of the run."""

    rank: int
    world: int  # processes
    device: torch.device

    @property
    def is_first(self) -> bool:
        """True for the process that logs and saves."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all ranks, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def any(self, condition: bool) -> bool:
        """True on every rank if it is true on one, so that all ranks stop at the same step."""
        if self.world == 1:
            return condition
        return bool(self.sum(torch.tensor(float(condition), device=self.device)))


def join_ranks() -> Ranks:
    """Join the process group of torchrun, if there is one, and choose the device: a GPU of its own, or the CPU."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    if not cuda:
        return Ranks(rank, world, torch.device("cpu"))
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return Ranks(rank, world, device)
