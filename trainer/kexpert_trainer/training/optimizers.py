"""The optimizers of pre-training: Muon for the matrices of the layers, AdamW for embedding and norms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from kexpert_trainer.training.muon import Muon

#: Name -> optimizer.
Optimizers = Mapping[str, torch.optim.Optimizer]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a model by optimizer."""

    matrices: list[nn.Parameter]  # Muon's
    others: list[nn.Parameter]  # AdamW's; their gradients are clipped


def split_parameters(model: nn.Module) -> Parameters:
    """Matrices of the layers have "proj" in their names, as in transformers."""
    named = list(model.named_parameters())
    return Parameters([w for name, w in named if "proj" in name], [w for name, w in named if "proj" not in name])


def make_optimizers(parameters: Parameters, muon_lr: float, embedding_lr: float, weight_decay: float) -> Optimizers:
    """The optimizers before the first step. ``weight_decay`` applies to the matrices alone."""
    return {
        "muon": Muon(parameters.matrices, lr=muon_lr, weight_decay=weight_decay),
        "adam": torch.optim.AdamW(parameters.others, lr=embedding_lr, betas=(0.9, 0.95), weight_decay=0.0),
    }
