"""One optimizer step of a fine-tuning run: the trained weights, their float32 copies, and AdamW.

The base may be bfloat16. The trained weights are then float32 copies ("masters"), which are rounded into the model
after each step; gradients are summed in float32 over micro-batches and ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kexpert_trainer.data.chat_batches import Example
from kexpert_trainer.training.distributed import Ranks

_OPTIMIZER, _MASTERS = "optimizer.pt", "masters.safetensors"
_BETAS = (0.9, 0.98)
_MAX_GRADIENT_NORM = 1.0


class Learner:
    """A model whose weights that require gradients are trained. ``paged``: AdamW of bitsandbytes, on a GPU."""

    def __init__(self, model: Any, ranks: Ranks, paged: bool = False) -> None:
        self.model = model
        self.ranks = ranks
        trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.names = list(trained)
        self.weights: list[Tensor] = list(trained.values())
        self.masters = [weight.detach().float().clone().requires_grad_() for weight in self.weights]
        if paged:
            from kexpert_trainer.models.qlora import paged_adamw_8bit

            self.optimizer = paged_adamw_8bit(self.masters, _BETAS)
        else:
            self.optimizer = torch.optim.AdamW(self.masters, lr=0.0, betas=_BETAS, weight_decay=0.0)

    @property
    def trainable(self) -> int:
        """The number of trained weights."""
        return sum(master.numel() for master in self.masters)

    @property
    def device(self) -> torch.device:
        return self.weights[0].device

    def step(self, losses: Sequence[Callable[[], Tensor]], learning_rate: float) -> float:
        """One step on the sum of ``losses``, each of a micro-batch of this rank. Returns the sum over all ranks."""
        self.model.train()
        total = torch.zeros((), device=self.device)
        for master in self.masters:
            master.grad = torch.zeros_like(master)
        for loss in losses:
            value = loss()
            value.backward()
            for master, weight in zip(self.masters, self.weights, strict=True):
                if weight.grad is not None:
                    assert master.grad is not None
                    master.grad += weight.grad.float()
                    weight.grad = None
            total += value.detach()
        for master in self.masters:
            assert master.grad is not None
            self.ranks.sum(master.grad)
        torch.nn.utils.clip_grad_norm_(self.masters, _MAX_GRADIENT_NORM)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._publish()
        return float(self.ranks.sum(total))

    def _publish(self) -> None:
        """Round the masters into the model."""
        with torch.no_grad():
            for master, weight in zip(self.masters, self.weights, strict=True):
                weight.copy_(master)

    def save(self, folder: Path) -> None:
        """Write the model (an adapter: its weights alone), the masters and the optimizer."""
        from safetensors.torch import save_file

        self.model.save_pretrained(str(folder))
        masters = {name: master.detach().cpu() for name, master in zip(self.names, self.masters, strict=True)}
        save_file(masters, str(folder / _MASTERS))
        torch.save(self.optimizer.state_dict(), folder / _OPTIMIZER)

    def restore(self, folder: Path) -> None:
        """Read masters and optimizer."""
        from safetensors.torch import load_file

        stored = load_file(str(folder / _MASTERS))
        with torch.no_grad():
            for name, master in zip(self.names, self.masters, strict=True):
                master.copy_(stored[name])
        self._publish()
        self.optimizer.load_state_dict(torch.load(folder / _OPTIMIZER, weights_only=True))


def answer_nats(model: Any, batch: Sequence[Example]) -> Tensor:
    """The negative log-probability of each example's answer, in nats: (examples,) float32.

    Padding is on the right under a causal mask, so it needs no mask of its own. The head sees the answers alone.
    """
    device = next(model.parameters()).device
    length = max(len(example.tokens) for example in batch)
    tokens = torch.zeros(len(batch), length, dtype=torch.long)
    rows: list[int] = []
    places: list[int] = []
    for row, example in enumerate(batch):
        tokens[row, : len(example.tokens)] = torch.tensor(example.tokens)
        wanted = range(example.answer_start - 1, len(example.tokens) - 1)
        rows += [row] * len(wanted)
        places += wanted
    tokens = tokens.to(device)
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = causal.model(tokens, use_cache=False).last_hidden_state
    row_of = torch.tensor(rows, device=device)
    place = torch.tensor(places, device=device)
    logits = causal.lm_head(hidden[row_of, place]).float() / getattr(causal.config, "logits_scaling", 1.0)  # Granite
    nats = cross_entropy(logits, tokens[row_of, place + 1], reduction="none")
    return torch.zeros(len(batch), device=device).index_add(0, row_of, nats)


def answer_tokens(batch: Sequence[Example]) -> int:
    """The number of tokens that carry the loss."""
    return sum(len(example.tokens) - example.answer_start for example in batch)
