"""Which attention transformers is to use on a device. Needs torch alone until there is a CUDA device."""

from __future__ import annotations

import functools
import logging

import torch

log = logging.getLogger(__name__)


@functools.cache
def implementation(device: torch.device | str) -> str:
    """What to give transformers as ``attn_implementation``: these kernels on CUDA, ``sdpa`` elsewhere and where Triton
    is missing; the log says so once."""
    if torch.device(device).type != "cuda":
        log.info("attention: sdpa, since %s is not a CUDA device", device)
        return "sdpa"
    try:
        from kexpert_kernels.attention_interface import register
    except ImportError as error:
        log.warning("attention: sdpa, since the Triton kernels cannot be imported: %s", error)
        return "sdpa"
    return register()
