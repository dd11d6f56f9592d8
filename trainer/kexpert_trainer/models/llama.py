"""A plain Llama: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied head. Nothing that GGUF lacks.

Parameters have the names and shapes of ``transformers.LlamaForCausalLM``, whose logits these are. Written out here
so that packed documents, fused loss and attention kernels meet in one place that can be read.
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

from kexpert_trainer.models.sizes import HEAD_SIZE, Shape

WEIGHTS, CONFIG = "model.safetensors", "config.json"

#: Attention over packed rows: q (B, T, H, D), k and v (B, T, H or fewer, D) and where documents begin.
Attend = Callable[[Tensor, Tensor, Tensor, "Documents"], Tensor]


@dataclass(frozen=True, slots=True)
class Documents:
    """Which tokens of a batch of packed rows see each other: those of one document."""

    position: Tensor  # (B, T): of a token in its document
    mask: Tensor | None = None  # (B, 1, T, T), true where row may look at column; for ``attend_masked``
    starts: Tensor | None = None  # (n + 1,) int32: begins of documents in the flattened batch; for the others


def attend_masked(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """Any device: torch's SDPA with the mask written out."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=documents.mask, enable_gqa=q.shape[1] != k.shape[1])
    return out.transpose(1, 2)


def attend_each(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """CPU: torch's SDPA on one document after the other, so that nothing above the diagonal is worked out."""
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
    """CUDA: torch's FlashAttention over documents end to end, none of which sees another."""
    from torch.nn.attention.varlen import varlen_attn

    assert documents.starts is not None
    groups = q.shape[2] // k.shape[2]
    k, v = (x.repeat_interleave(groups, 2) for x in (k, v))
    longest, starts = q.shape[1], documents.starts
    out = varlen_attn(*(x.flatten(0, 1) for x in (q, k, v)), starts, starts, longest, longest, window_size=(-1, 0))
    assert isinstance(out, Tensor)
    return out.view_as(q)


def attend_triton(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """CUDA: the same with our own kernels."""
    from kexpert_kernels.flash_attention import flash_attention_packed

    assert documents.starts is not None
    out, _ = flash_attention_packed(*(x.flatten(0, 1) for x in (q, k, v)), documents.starts)
    return out.reshape(q.shape)


#: Names for the command line.
ATTENTION: dict[str, Attend] = {
    "masked": attend_masked, "each": attend_each, "varlen": attend_varlen, "triton": attend_triton,
}  # fmt: skip


class RMSNorm(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        kv_width = shape.kv_heads * HEAD_SIZE
        self.q_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.k_proj = nn.Linear(shape.width, kv_width, bias=False)
        self.v_proj = nn.Linear(shape.width, kv_width, bias=False)
        self.o_proj = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, documents: Documents, attend: Attend) -> Tensor:
        split = (*x.shape[:2], -1, HEAD_SIZE)
        q, k, v = self.q_proj(x).view(split), self.k_proj(x).view(split), self.v_proj(x).view(split)
        out = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, documents)
        return self.o_proj(out.reshape(x.shape))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, halves apart (as transformers has them; GGUF wants neighbours, see ``export``)."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


class MLP(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape.width, shape.epsilon)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.width, shape.epsilon)
        self.mlp = MLP(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, documents: Documents, attend: Attend) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, documents, attend)
        return x + self.mlp(self.post_attention_layernorm(x))


class Stack(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.width, shape.epsilon)


class Llama(nn.Module):
    """Tokens (B, T) -> the last layer's output (B, T, width); the head is the embedding, ``head``."""

    def __init__(self, shape: Shape, attend: Attend = attend_masked) -> None:
        super().__init__()
        self.shape = shape
        self.attend = attend
        self.model = Stack(shape)
        frequency = shape.theta ** (-torch.arange(0, HEAD_SIZE, 2).float() / HEAD_SIZE)
        angle = torch.outer(torch.arange(shape.sequence).float(), frequency)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                # What adds to the residual stream starts smaller the more layers add to it (GPT-2).
                quiet = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * shape.layers) ** 0.5 if quiet else 0.02)

    @property
    def head(self) -> Tensor:
        return self.model.embed_tokens.weight

    def forward(self, tokens: Tensor, documents: Documents) -> Tensor:
        x = self.model.embed_tokens(tokens)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        cos = self.cos[documents.position].unsqueeze(2).to(x.dtype)
        sin = self.sin[documents.position].unsqueeze(2).to(x.dtype)
        for layer in self.model.layers:
            x = layer(x, cos, sin, documents, self.attend)
        return self.model.norm(x)

    def operations(self, mean_context: float) -> float:
        """Floating-point operations of training on one token: 6 a weight, 12 a layer and column of attention."""
        weights = sum(p.numel() for p in self.parameters() if p.ndim == 2)
        return 6 * weights + 12 * self.shape.layers * self.shape.width * mean_context


def save(model: Llama, folder: Path) -> None:
    """Weights and configuration as ``LlamaForCausalLM.from_pretrained`` reads them."""
    shape = model.shape
    weights = {name: tensor.detach().float().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "intermediate_size": shape.hidden,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": HEAD_SIZE,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.sequence,
        "rope_theta": shape.theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.theta},
        "rms_norm_eps": shape.epsilon,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def read_shape(folder: Path) -> Shape:
    config = json.loads((folder / CONFIG).read_text())
    return Shape(
        config["hidden_size"], config["num_hidden_layers"], config["intermediate_size"],
        config["num_key_value_heads"], config["vocab_size"], config["max_position_embeddings"],
        config["rope_theta"], config["rms_norm_eps"],
    )  # fmt: skip


def load(folder: Path, attend: Attend = attend_masked) -> Llama:
    """A model that ``save`` wrote."""
    model = Llama(read_shape(folder), attend)
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model
