"""A base in four bits under an adapter of full precision (QLoRA; Dettmers et al. 2023, arXiv:2305.14314).

By bitsandbytes, on a GPU only: NF4 with double quantisation, and AdamW with paged states of eight bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kexpert_trainer.errors import UserError


def require_qlora(device: torch.device) -> None:
    """Raises UserError where QLoRA cannot run."""
    if device.type != "cuda":
        raise UserError('method "qlora" needs an NVIDIA GPU and torch finds none; on a CPU use method = "lora"')
    if find_spec("bitsandbytes") is None:
        raise UserError('method "qlora" needs bitsandbytes; pip install -c constraints.txt -e .[train,gpu]')


def load_base_in_nf4(folder: Path, device: torch.device) -> Any:
    """Load a base with its matrices in NF4; embedding, head and norms stay in bfloat16.

    ``peft.prepare_model_for_kbit_training`` would turn these into float32: 4 GB more for a vocabulary of 152,000.
    """
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    require_qlora(device)
    quantization = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=torch.bfloat16, quantization_config=quantization, device_map={"": device},
        attn_implementation="sdpa", local_files_only=True, trust_remote_code=False,
    )  # fmt: skip
    return model


def paged_adamw_8bit(parameters: Sequence[Tensor], betas: tuple[float, float]) -> Any:
    """AdamW whose states take one byte a weight and move to the CPU's memory when the GPU's is short."""
    from bitsandbytes.optim import PagedAdamW8bit

    return PagedAdamW8bit(list(parameters), lr=0.0, betas=betas, weight_decay=0.0)
