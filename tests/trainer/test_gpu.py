"""On a GPU: attention keeps documents apart, and loss and optimizer are what they are on a CPU.

Needs torch and what pre-training needs, nothing that reads kernel trees: it runs where only that is installed.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kexpert_trainer.models import llama
from kexpert_trainer.models.sizes import Shape
from kexpert_trainer.training.batches import Packed
from kexpert_trainer.training.loss import IGNORED, head_loss
from kexpert_trainer.training.muon import orthogonalise

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

END, HOLE = 6, 2


def packed() -> Packed:
    # Of many tokens each: in a document of one token all keys are alike, and their gradient is nothing but rounding.
    rng = np.random.default_rng(0)
    documents = [[*rng.integers(7, 57, length).tolist(), END] for length in (100, 3, 30, 250, 1, 64, 255)]
    return Packed(np.concatenate([np.array(ids, dtype=np.uint16) for ids in documents]), END, HOLE, 256)


@pytest.mark.parametrize("attention", ["varlen", "triton"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_model_reads_packed_documents_as_with_the_mask(attention: str, compiled: bool) -> None:
    torch.manual_seed(0)
    device = torch.device("cuda")
    model = llama.Llama(Shape(256, 2, 512, 2, 64, 256)).to(device)
    data = packed()
    batch = data.batch(data.rows(0))
    gradients = []
    for attend, masked in ((llama.attend_masked, True), (llama.ATTENTION[attention], False)):
        model.attend = attend
        model.zero_grad()
        given = batch.to(device, masked)
        forward = torch.compile(model) if compiled and not masked else model
        with torch.autocast("cuda", torch.bfloat16):
            hidden = forward(given.tokens, given.documents)
        loss = head_loss(hidden.flatten(0, 1), model.head, given.targets.flatten()) / batch.count
        loss.backward()
        gradients.append((loss.detach(), model.model.layers[0].self_attn.k_proj.weight.grad.clone()))
    (loss, gradient), (other_loss, other_gradient) = gradients
    torch.testing.assert_close(other_loss, loss, atol=1e-2, rtol=1e-2)
    # bfloat16 keeps eight bits: gradients that went through a dozen products agree to a few percent.
    assert (other_gradient - gradient).norm() < 0.05 * gradient.norm()


def test_the_loss_in_half_precision_is_near_the_exact_one() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(500, 64), 0.1 * torch.randn(1000, 64)
    targets = torch.randint(0, 1000, (500,))
    targets[::5] = IGNORED
    exact = head_loss(hidden, head, targets)
    half = head_loss(hidden.cuda().bfloat16(), head.cuda(), targets.cuda())
    assert float(half) == pytest.approx(float(exact), rel=1e-2)


def test_updates_are_orthogonal() -> None:
    values = torch.linalg.svdvals(orthogonalise(torch.randn(4, 256, 512, device="cuda")).float())
    assert values.min() > 0.3 and values.max() < 1.3
