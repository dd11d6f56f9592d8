"""Loss on held-out files, in bits per byte of text."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kexpert_trainer.models import llama
from kexpert_trainer.training.batches import PackedSplit
from kexpert_trainer.training.loss import IGNORED, token_losses


@dataclass(frozen=True, slots=True)
class HeldOutLoss:
    """Bits per byte.

    ``plain``: windows read left to right, to compare with other models. ``filled``: the tokens after
    ``<|fim_middle|>`` in windows with a span cut out, where the text after the span is known.
    """

    plain: float = math.nan
    filled: float = math.nan


@torch.no_grad()
def evaluate(
    model: llama.Llama, data: PackedSplit, byte_lengths: Tensor, max_rows: int, micro_batch: int
) -> HeldOutLoss:
    """Loss on the first ``max_rows`` rows of ``data``, always the same rows; every rank computes all of them.

    ``byte_lengths`` (vocabulary,): bytes of text that each id encodes, on the model's device.
    """
    device = byte_lengths.device
    rows = data.rows(0)[:max_rows]
    nats, read = torch.zeros(2, device=device), torch.zeros(2, device=device)
    for at in range(0, len(rows), micro_batch):
        batch = data.batch(rows[at : at + micro_batch])
        kinds = batch.kinds(data.fim_middle).to(device)
        batch = batch.to(device, model.needs_mask)
        with llama.half_precision(device):
            hidden = model(batch.tokens, batch.documents)
        losses = token_losses(hidden.flatten(0, 1), model.head, batch.targets.flatten())
        lengths = byte_lengths[batch.targets.clamp(min=0)].flatten() * (batch.targets.flatten() != IGNORED)
        for kind in (0, 1):
            counted = (kinds.flatten() == kind) & (lengths > 0)
            nats[kind] += losses[counted].sum()
            read[kind] += lengths[counted].sum()
    plain, filled = (nats / read / math.log(2)).tolist()
    return HeldOutLoss(plain, filled)
