"""The choice of an attention implementation for transformers. Without a CUDA device it imports only torch."""

from __future__ import annotations

import functools
import logging

import torch

log = logging.getLogger(__name__)


@functools.cache
def implementation(device: torch.device | str) -> str:
    """Return the ``attn_implementation`` for a device: these kernels on CUDA, otherwise ``sdpa``.

    Without Triton it is ``sdpa`` on CUDA too. The reason is logged once.
    """
    if torch.device(device).type != "cuda":
        log.info("attention: sdpa, since %s is not a CUDA device", device)
        return "sdpa"
    try:
        from kexpert_kernels.attention_interface import register
    except ImportError as error:
        log.warning("attention: sdpa, since the Triton kernels cannot be imported: %s", error)
        return "sdpa"
    return register()
