"""Run the kernels in Triton's interpreter on the CPU, or with ``KEXPERT_TEST_DEVICE=cuda`` on a GPU."""

from __future__ import annotations

import os

import pytest
import torch

from tests.kernels import interpreter

DEVICE = os.environ.get("KEXPERT_TEST_DEVICE", "cpu")

if DEVICE == "cpu":
    interpreter.patch_interpreter()
else:
    # Timing all configurations of every case would take most of an hour. One test does time; another runs each of them.
    os.environ["KEXPERT_KERNELS_TUNE"] = "0"


@pytest.fixture(scope="session")
def device() -> torch.device:
    if DEVICE == "cuda" and not torch.cuda.is_available():
        pytest.skip("KEXPERT_TEST_DEVICE=cuda, but torch finds no CUDA device")
    return torch.device(DEVICE)


@pytest.fixture(autouse=True)
def _seeded(device: torch.device) -> None:
    torch.manual_seed(0)


@pytest.fixture
def cuda(device: torch.device) -> torch.device:
    if device.type != "cuda":
        pytest.skip("too slow for the interpreter: `make test-gpu` runs it on a GPU")
    return device
