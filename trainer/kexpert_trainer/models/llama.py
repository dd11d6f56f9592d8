"""A plain Llama: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied head. Nothing that GGUF lacks.

Parameters have the names and shapes of ``transformers.LlamaForCausalLM``, and the logits are equal. Written out here so
that packed documents, the chunked loss and our attention kernels fit together. In shapes B is rows, T tokens of a row,
H heads, D the head size.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kexpert_trainer.errors import UserError
from kexpert_trainer.models.sizes import HEAD_SIZE, ModelSize

WEIGHTS, CONFIG = "model.safetensors", "config.json"

#: Attention over packed rows: q (B, T, H, D), k and v (B, T, KV heads, D), documents -> (B, T, H, D).
Attend = Callable[[Tensor, Tensor, Tensor, "Documents"], Tensor]


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents of a batch of packed rows; tokens attend only within a document."""

    position: Tensor  # (B, T) int64: of a token in its document
    mask: Tensor | None = None  # (B, 1, T, T) bool, true where row attends to column; for ``attend_masked``
    starts: Tensor | None = None  # (n + 1,) int32: starts of documents in the flattened batch; for the others


def attend_masked(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """Any device: torch's SDPA with an explicit mask."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=documents.mask, enable_gqa=q.shape[1] != k.shape[1])
    return out.transpose(1, 2)


def attend_each(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """CPU: torch's causal SDPA on each document alone, which skips everything a mask would hide."""
    assert documents.starts is not None
    starts = documents.starts.tolist()
    groups = q.shape[2] // k.shape[2]
    q_each, k_each, v_each = (
        x.flatten(0, 1).transpose(0, 1).repeat_interleave(times, 0).unsqueeze(0)
        for x, times in ((q, 1), (k, groups), (v, groups))
    )
    out = [
        F.scaled_dot_product_attention(
            q_each[:, :, start:end], k_each[:, :, start:end], v_each[:, :, start:end], is_causal=True
        )
        for start, end in itertools.pairwise(starts)
        if start < end
    ]
    return torch.cat(out, 2).squeeze(0).transpose(0, 1).view_as(q)


def attend_varlen(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """CUDA: torch's FlashAttention over documents end to end."""
    from torch.nn.attention.varlen import varlen_attn

    assert documents.starts is not None
    groups = q.shape[2] // k.shape[2]
    k, v = (x.repeat_interleave(groups, 2) for x in (k, v))
    longest, starts = q.shape[1], documents.starts
    flat_q, flat_k, flat_v = (x.flatten(0, 1) for x in (q, k, v))
    out = varlen_attn(flat_q, flat_k, flat_v, starts, starts, longest, longest, window_size=(-1, 0))
    assert isinstance(out, Tensor)
    return out.view_as(q)


def attend_triton(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """CUDA: the same with our own kernels."""
    from kexpert_kernels.flash_attention import flash_attention_packed

    assert documents.starts is not None
    flat_q, flat_k, flat_v = (x.flatten(0, 1) for x in (q, k, v))
    out, _ = flash_attention_packed(flat_q, flat_k, flat_v, documents.starts)
    return out.reshape(q.shape)


#: Names for the command line.
ATTENTION: dict[str, Attend] = {
    "masked": attend_masked, "each": attend_each, "varlen": attend_varlen, "triton": attend_triton,
}  # fmt: skip


def half_precision(device: torch.device) -> torch.autocast:
    """Compute in bfloat16 within the block, on a GPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + epsilon) * weight, over the last dimension."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon).to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions: (B, T, width) -> the same."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        kv_width = size.kv_heads * HEAD_SIZE
        self.q_proj = nn.Linear(size.width, size.width, bias=False)
        self.k_proj = nn.Linear(size.width, kv_width, bias=False)
        self.v_proj = nn.Linear(size.width, kv_width, bias=False)
        self.o_proj = nn.Linear(size.width, size.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, documents: Documents, attend: Attend) -> Tensor:
        split = (*x.shape[:2], -1, HEAD_SIZE)
        q, k, v = self.q_proj(x).view(split), self.k_proj(x).view(split), self.v_proj(x).view(split)
        out = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, documents)
        projected: Tensor = self.o_proj(out.reshape(x.shape))
        return projected


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021). ``x`` (B, T, H, D), ``cos`` and ``sin`` (B, T, 1, D / 2).

    Rotates x[i] with x[i + D / 2], as transformers does; GGUF rotates x[2 i] with x[2 i + 1] (see ``export``).
    """
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


class MLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(size.width, size.mlp_width, bias=False)
        self.up_proj = nn.Linear(size.width, size.mlp_width, bias=False)
        self.down_proj = nn.Linear(size.mlp_width, size.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return projected


class Layer(nn.Module):
    """Pre-norm attention and MLP, each added to its input."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(size.width, size.rms_epsilon)
        self.self_attn = Attention(size)
        self.post_attention_layernorm = RMSNorm(size.width, size.rms_epsilon)
        self.mlp = MLP(size)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, documents: Documents, attend: Attend) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, documents, attend)
        added: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return added


class Stack(nn.Module):
    """Embedding, layers and final norm, under the names of transformers."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(size.vocabulary, size.width)
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.layers))
        self.norm = RMSNorm(size.width, size.rms_epsilon)


class Llama(nn.Module):
    """Tokens (B, T) int64 -> the last layer's output (B, T, width). Its head is the embedding, ``head``."""

    cos: Tensor  # (sequence, D / 2)
    sin: Tensor

    def __init__(self, size: ModelSize, attend: Attend = attend_masked) -> None:
        super().__init__()
        self.size = size
        self.attend = attend
        self.model = Stack(size)
        frequency = size.rope_theta ** (-torch.arange(0, HEAD_SIZE, 2).float() / HEAD_SIZE)
        angle = torch.outer(torch.arange(size.sequence).float(), frequency)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                # GPT-2: the more layers add to the residual stream, the smaller their output matrices start.
                is_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * size.layers) ** 0.5 if is_residual else 0.02)

    @property
    def head(self) -> Tensor:
        """The output matrix (vocabulary, width)."""
        return self.model.embed_tokens.weight

    @property
    def needs_mask(self) -> bool:
        """True if batches need ``Documents.mask``."""
        return self.attend is attend_masked

    def forward(self, tokens: Tensor, documents: Documents) -> Tensor:
        x: Tensor = self.model.embed_tokens(tokens)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        cos = self.cos[documents.position].unsqueeze(2).to(x.dtype)
        sin = self.sin[documents.position].unsqueeze(2).to(x.dtype)
        for layer in self.model.layers:
            x = layer(x, cos, sin, documents, self.attend)
        out: Tensor = self.model.norm(x)
        return out

    def flops_per_token(self, mean_context: float) -> float:
        """FLOPs of training on one token: 6 a weight, and 12 a layer, unit of width and token of context."""
        weights = sum(p.numel() for p in self.parameters() if p.ndim == 2)
        return 6 * weights + 12 * self.size.layers * self.size.width * mean_context


def save(model: Llama, folder: Path) -> None:
    """Write weights (float32) and configuration as ``LlamaForCausalLM.from_pretrained`` reads them."""
    size = model.size
    weights = {name: tensor.detach().float().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": size.width,
        "num_hidden_layers": size.layers,
        "intermediate_size": size.mlp_width,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "head_dim": HEAD_SIZE,
        "vocab_size": size.vocabulary,
        "max_position_embeddings": size.sequence,
        "rope_theta": size.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": size.rope_theta},
        "rms_norm_eps": size.rms_epsilon,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def read_size(folder: Path) -> ModelSize:
    """The dimensions in a checkpoint's ``config.json``. Raises UserError if there is none."""
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder}: no checkpoint (it lacks {CONFIG}); give the folder `last` of a run")
    config = json.loads((folder / CONFIG).read_text())
    return ModelSize(
        config["hidden_size"], config["num_hidden_layers"], config["intermediate_size"],
        config["num_key_value_heads"], config["vocab_size"], config["max_position_embeddings"],
        config["rope_theta"], config["rms_norm_eps"],
    )  # fmt: skip


def load(folder: Path, attend: Attend = attend_masked) -> Llama:
    """Load a model that ``save`` wrote."""
    model = Llama(read_size(folder), attend)
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model
