"""On a GPU: attention keeps documents apart, and loss and optimizer agree with the CPU.

Needs only the packages that pre-training needs, none that read kernel trees.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kexpert_trainer.models import llama
from kexpert_trainer.models.sizes import ModelSize
from kexpert_trainer.training.batches import PackedSplit
from kexpert_trainer.training.loss import IGNORED, linear_cross_entropy
from kexpert_trainer.training.muon import orthogonalise

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

END, FIM_MIDDLE = 6, 2


def packed() -> PackedSplit:
    # Mostly long documents: in a document of one token the gradient of the keys is nothing but rounding.
    rng = np.random.default_rng(0)
    documents = [[*rng.integers(7, 57, length).tolist(), END] for length in (100, 3, 30, 250, 1, 64, 255)]
    return PackedSplit(np.concatenate([np.array(ids, dtype=np.uint16) for ids in documents]), END, FIM_MIDDLE, 256)


@pytest.mark.parametrize("attention", ["varlen", "triton"])
@pytest.mark.parametrize("compiled", [False, True])
def test_attention_over_packed_documents_equals_attention_with_a_mask(attention: str, compiled: bool) -> None:
    torch.manual_seed(0)
    device = torch.device("cuda")
    model = llama.Llama(ModelSize(256, 2, 512, 2, 64, 256)).to(device)
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
        loss = linear_cross_entropy(hidden.flatten(0, 1), model.head, given.targets.flatten()) / batch.count
        loss.backward()
        gradients.append((loss.detach(), model.model.layers[0].self_attn.k_proj.weight.grad.clone()))
    (loss, gradient), (other_loss, other_gradient) = gradients
    torch.testing.assert_close(other_loss, loss, atol=1e-2, rtol=1e-2)
    # bfloat16 has eight bits of precision; after a dozen products gradients agree to a few percent.
    assert (other_gradient - gradient).norm() < 0.05 * gradient.norm()


def test_loss_in_bfloat16_is_close_to_float32() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(500, 64), 0.1 * torch.randn(1000, 64)
    targets = torch.randint(0, 1000, (500,))
    targets[::5] = IGNORED
    exact = linear_cross_entropy(hidden, head, targets)
    half = linear_cross_entropy(hidden.cuda().bfloat16(), head.cuda(), targets.cuda())
    assert float(half) == pytest.approx(float(exact), rel=1e-2)


def test_orthogonalised_updates_have_singular_values_near_one() -> None:
    values = torch.linalg.svdvals(orthogonalise(torch.randn(4, 256, 512, device="cuda")).float())
    assert values.min() > 0.3 and values.max() < 1.3
