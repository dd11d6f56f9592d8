"""A Hugging Face base model with a LoRA adapter (Hu et al. 2021, arXiv:2106.09685), by PEFT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kexpert_trainer.errors import UserError

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """``first_layer``: layers below it have no adapter, so that no gradient need reach them."""

    r: int = 16
    alpha: int = 32
    rslora: bool = False
    dropout: float = 0.0
    targets: Sequence[str] = LINEAR
    first_layer: int = 0


def compute_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_bf16 else torch.float32


def load_base(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """Raises UserError for a folder that holds no model."""
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # it fills a log
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no Hugging Face model; make one with kexpert-train base")
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=dtype, attn_implementation="sdpa", local_files_only=True, trust_remote_code=False
    )
    return model.to(device)


def add_adapter(base: Any, settings: LoraSettings) -> Any:
    """Wrap ``base`` in a fresh adapter, which changes nothing before training."""
    from peft import LoraConfig, get_peft_model

    count = base.config.num_hidden_layers
    config = LoraConfig(
        r=settings.r, lora_alpha=settings.alpha, use_rslora=settings.rslora, lora_dropout=settings.dropout,
        target_modules=list(settings.targets), task_type="CAUSAL_LM",
        layers_to_transform=list(range(settings.first_layer, count)) if settings.first_layer else None,
    )  # fmt: skip
    return get_peft_model(base, config, autocast_adapter_dtype=False)


def load_adapter(base: Any, folder: Path, trainable: bool = False) -> Any:
    """Wrap ``base`` in an adapter from a PEFT folder (safetensors only)."""
    from peft import PeftModel

    return PeftModel.from_pretrained(
        base, str(folder), is_trainable=trainable, autocast_adapter_dtype=False, use_safetensors=True
    )
