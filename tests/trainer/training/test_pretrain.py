"""Pre-training: the model is a Llama, documents are kept apart, and a run's division does not change its result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from kexpert_trainer.models import llama
from kexpert_trainer.release import checkpoint_parts as parts
from kexpert_trainer.training.batches import Batch, Cursor, PackedSplit, steps
from kexpert_trainer.training.checkpoint import LAST, OPTIMIZERS, read_state
from kexpert_trainer.training.deadline import Deadline
from kexpert_trainer.training.loss import IGNORED, linear_cross_entropy, token_losses
from kexpert_trainer.training.muon import Muon, orthogonalise
from kexpert_trainer.training.pretrain import PretrainConfig, RunLimits, run, schedule
from tests.support.small_training import checkpoint, make_corpus

END, FIM_MIDDLE = 6, 2
CPU = torch.device("cpu")
SEQUENCE = 128
CONFIG = PretrainConfig(corpus="", size="tiny", tokens=12 * 4 * SEQUENCE, batch_rows=4, micro_batch=4)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> PretrainConfig:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, SEQUENCE)
    return replace(CONFIG, corpus=str(folder / "corpus"))


def packed(*documents: list[int], sequence: int = 16) -> PackedSplit:
    ids = np.array([at for document in documents for at in [*document, END]], dtype=np.uint16)
    return PackedSplit(ids, END, FIM_MIDDLE, sequence)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / LAST / llama.WEIGHTS)


# -- the model -----------------------------------------------------------------------------------


def test_logits_are_those_of_transformers(tmp_path: Path) -> None:
    model = checkpoint(tmp_path, width=128, kv_heads=1)
    theirs = LlamaForCausalLM.from_pretrained(tmp_path)
    tokens = torch.randint(0, 400, (2, 50))
    position = torch.arange(50).expand(2, -1)
    batch = Batch(tokens, tokens, llama.Documents(position)).to(CPU, masked=True)
    with torch.no_grad():
        logits = model(batch.tokens, batch.documents) @ model.head.T
        torch.testing.assert_close(logits, theirs(tokens).logits, atol=2e-4, rtol=1e-4)
    assert logits.std() > 0.5


def test_a_packed_document_gives_the_same_output_as_alone(tmp_path: Path) -> None:
    model = checkpoint(tmp_path)
    first, second = list(range(20, 27)), list(range(40, 46))
    data = packed(first, second)
    (row,) = data.rows(0)
    batch = data.batch([row]).to(CPU, masked=True)
    with torch.no_grad():
        together = model(batch.tokens, batch.documents)[0]
        for document in (first, second):
            alone = packed(document).batch([[0]]).to(CPU, masked=True)
            begin = int((batch.tokens[0] == document[0]).nonzero())
            there = slice(begin, begin + len(document))
            expected = model(alone.tokens, alone.documents)[0, : len(document)]
            torch.testing.assert_close(together[there], expected)


@pytest.mark.parametrize("attention", ["each", "triton"])
def test_attention_by_document_equals_attention_with_a_mask(tmp_path: Path, attention: str) -> None:
    model = checkpoint(tmp_path)
    data = packed(list(range(20, 27)), [19], list(range(40, 46)), list(range(30, 44)))
    batch = data.batch(data.rows(0))
    losses, gradients = [], []
    for attend, masked in ((llama.attend_masked, True), (llama.ATTENTION[attention], False)):
        model.attend = attend
        model.zero_grad()
        given = batch.to(CPU, masked)
        hidden = model(given.tokens, given.documents).flatten(0, 1)
        loss = linear_cross_entropy(hidden, model.head, given.targets.flatten())
        loss.backward()
        losses.append(loss.detach())
        gradients.append(model.model.layers[0].self_attn.k_proj.weight.grad.clone())
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)


def test_no_loss_crosses_from_one_document_to_the_next() -> None:
    first, second = [20, FIM_MIDDLE, 21, 22], [30, 31, 32]
    data = packed(first, second)
    batch = data.batch([[0, 1]])
    assert batch.tokens[0, :9].tolist() == [*first, END, *second, END]
    # The end of a filled span is a target; the end of a plain window is arbitrary and is not.
    assert batch.targets[0].tolist() == [FIM_MIDDLE, 21, 22, END, IGNORED, 31, 32, IGNORED, *[IGNORED] * 8]
    assert batch.documents.position[0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, *range(7)]
    assert batch.kinds(FIM_MIDDLE)[0, :9].tolist() == [2, 1, 1, 1, 1, 0, 0, 0, 0]


# -- the loss and the optimizer ------------------------------------------------------------------


def test_the_chunked_loss_and_its_gradients_equal_cross_entropy() -> None:
    torch.manual_seed(0)
    # More rows than fit one chunk.
    hidden, head = torch.randn(300, 8, requires_grad=True), torch.randn(9000, 8, requires_grad=True)
    targets = torch.randint(0, 9000, (300,))
    targets[::7] = IGNORED
    expected = F.cross_entropy(hidden @ head.T, targets, ignore_index=IGNORED, reduction="sum")
    expected_gradients = torch.autograd.grad(expected / 3, (hidden, head))
    loss = linear_cross_entropy(hidden, head, targets)
    gradients = torch.autograd.grad(loss / 3, (hidden, head))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradients, expected_gradients)
    each = token_losses(hidden, head, targets)
    torch.testing.assert_close(each.sum(), expected)
    assert (each[::7] == 0).all()


@pytest.mark.parametrize("shape", [(3, 32, 64), (2, 64, 32), (1, 48, 48)])
def test_an_orthogonalised_update_has_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.3 and values.max() < 1.3


def test_muon_takes_the_steps_of_torchs_muon() -> None:
    """torch computes the orthogonalisation in bfloat16, hence the tolerance."""
    torch.manual_seed(0)
    ours, theirs = ([torch.nn.Parameter(torch.ones(shape)) for shape in ((32, 64), (64, 32), (64, 32))] for _ in "ab")
    optimizers = (Muon(ours, lr=0.1, weight_decay=0.1), torch.optim.Muon(theirs, lr=0.1, weight_decay=0.1))
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=3e-3, rtol=0)


def test_learning_rates_rise_stay_and_fall() -> None:
    rates = [schedule(done / 100, warmup=0.1, decay=0.2) for done in range(101)]
    assert rates[0] < 0.1 and rates[20] == rates[70] == 1
    assert rates[90] == pytest.approx(0.5) and rates[100] == 0


# -- the data ------------------------------------------------------------------------------------


def test_an_epoch_has_every_document_once() -> None:
    rng = np.random.default_rng(0)
    documents = [[7] * int(length) for length in rng.integers(1, 15, 500)]
    data = packed(*documents)
    rows = data.rows(3)
    assert sorted(document for row in rows for document in row) == list(range(500))
    assert all(sum(len(documents[document]) + 1 for document in row) <= 16 for row in rows)
    assert sum(len(ids) + 1 for ids in documents) / (16 * len(rows)) > 0.9
    assert data.rows(3) == rows != data.rows(4)


def test_data_continues_at_the_cursor() -> None:
    data = packed(*([at] * 9 for at in range(10, 20)))
    stream = steps(data, Cursor(), 3)
    seen = [next(stream) for _ in range(8)]
    for at in range(7):
        assert next(steps(data, seen[at][1], 3)) == seen[at + 1]
    assert seen[3][1].epoch == 1


def test_documents_longer_than_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="up to 31 tokens"):
        packed([7] * 30)


# -- a run ---------------------------------------------------------------------------------------


def test_training_reduces_held_out_loss(config: PretrainConfig, tmp_path: Path) -> None:
    config = replace(config, tokens=40 * 4 * SEQUENCE)
    before = run(replace(config, tokens=1), tmp_path / "one", RunLimits())
    after = run(config, tmp_path / "run", RunLimits())
    assert after.plain < 0.8 * before.plain
    assert after.filled < 0.8 * before.filled
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"loss_nats", "tokens_per_second", "mfu"} <= set().union(*lines)
    assert any((tmp_path / "run" / "tensorboard").iterdir())


def test_a_resumed_run_equals_an_uninterrupted_one(config: PretrainConfig, tmp_path: Path) -> None:
    run(config, tmp_path / "full", RunLimits())
    run(config, tmp_path / "broken", RunLimits(steps=5))
    assert read_state(tmp_path / "broken" / LAST).step == 5
    run(config, tmp_path / "broken", RunLimits(steps=4))
    run(config, tmp_path / "broken", RunLimits())
    full, broken = weights(tmp_path / "full"), weights(tmp_path / "broken")
    assert full.keys() == broken.keys()
    assert all(torch.equal(full[name], broken[name]) for name in full)


def test_a_run_continues_with_another_corpus(config: PretrainConfig, tmp_path: Path) -> None:
    make_corpus(tmp_path, SEQUENCE, seed=1)
    run(config, tmp_path / "run", RunLimits(steps=3))
    before = read_state(tmp_path / "run" / LAST)
    run(replace(config, corpus=str(tmp_path / "corpus")), tmp_path / "run", RunLimits(steps=2))
    after = read_state(tmp_path / "run" / LAST)
    assert (before.step, before.cursor) == (3, Cursor(0, 12))
    assert (after.step, after.cursor) == (5, Cursor(0, 8))


def test_pretraining_imports_little_besides_torch() -> None:
    """A rented GPU machine may have torch and tokenizers, but no package that reads kernel trees."""
    absent = ("datasketch", "tree_sitter", "tree_sitter_c", "gguf", "llama_cpp", "chromadb", "pygls", "watchdog")
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in absent)
    needed = "from kexpert_trainer.release import checkpoint_parts\nfrom kexpert_trainer.training import pretrain\n"
    code = f"import sys\n{blocked}{needed}from kexpert_trainer import cli\ncli.arguments()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_size_of_micro_batches_does_not_change_the_result(config: PretrainConfig, tmp_path: Path) -> None:
    full = replace(config, tokens=2 * 4 * SEQUENCE)
    run(full, tmp_path / "full", RunLimits())
    run(replace(full, micro_batch=1), tmp_path / "divided", RunLimits())
    one, other = weights(tmp_path / "full"), weights(tmp_path / "divided")
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=1e-4, rtol=1e-3)


def test_two_processes_give_the_result_of_one(config: PretrainConfig, tmp_path: Path) -> None:
    arguments = ["pretrain", "--corpus", config.corpus, "--size", "tiny", "--tokens", str(2 * 4 * SEQUENCE)]
    arguments += ["--batch-rows", "4", "--micro-batch", "4", "--threads", "1", "--decay", "0.3"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, "-m", "kexpert_trainer", *arguments, "--out", str(tmp_path / "two")]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
    run(replace(config, tokens=2 * 4 * SEQUENCE), tmp_path / "one", RunLimits())
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-4, rtol=1e-3)


def test_a_run_stops_at_its_time_limit_and_continues_later(config: PretrainConfig, tmp_path: Path) -> None:
    run(replace(config, tokens=10**9), tmp_path, RunLimits(minutes=0.0))
    assert read_state(tmp_path / LAST).step == 0
    run(replace(config, tokens=4 * SEQUENCE), tmp_path, RunLimits())
    assert read_state(tmp_path / LAST).step == 1


def test_a_deadline_leaves_time_for_the_last_evaluation_and_save() -> None:
    now = [0.0]
    deadline = Deadline(minutes=1, clock=lambda: now[0])
    deadline.evaluation_took(20)
    deadline.save_took(10)
    for seconds, near in ((4.0, False), (20.0, False), (27.0, True), (100.0, True)):
        deadline.step_took(4)
        now[0] = seconds
        assert deadline.is_near() is near
    assert not Deadline().is_near()


def test_a_run_ends_within_its_minutes(config: PretrainConfig, tmp_path: Path) -> None:
    """Steps, evaluations and saves included; the first guesses reserve 11 s, so a few seconds remain to train."""
    seconds = 15.0
    begun = time.monotonic()
    run(replace(config, tokens=10**9), tmp_path, RunLimits(minutes=seconds / 60, evaluate_every=5))
    assert time.monotonic() - begun < 2 * seconds  # twice, for a machine that does something else
    assert read_state(tmp_path / LAST).step > 0


def test_optimizers_of_another_version_are_refused(config: PretrainConfig, tmp_path: Path) -> None:
    run(replace(config, tokens=4 * SEQUENCE), tmp_path, RunLimits())
    file = tmp_path / LAST / OPTIMIZERS
    states = torch.load(file, weights_only=True)
    del states["muon"]["param_groups"][0]["momentum"]
    torch.save(states, file)
    with pytest.raises(ValueError, match="delete it"):
        run(config, tmp_path, RunLimits())
    file.unlink()
    run(config, tmp_path, RunLimits(steps=1))


def test_a_save_that_was_interrupted_does_no_harm(config: PretrainConfig, tmp_path: Path) -> None:
    config = replace(config, tokens=4 * SEQUENCE)
    run(config, tmp_path, RunLimits())
    before = weights(tmp_path)
    (tmp_path / "last.part").mkdir()
    (tmp_path / "last.part" / llama.WEIGHTS).write_text("half of it")
    run(config, tmp_path, RunLimits())
    after = weights(tmp_path)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_kill_between_two_checkpoints_loses_neither(config: PretrainConfig, tmp_path: Path) -> None:
    """The old checkpoint is moved away before the new one gets its name."""
    run(config, tmp_path, RunLimits(steps=3))
    (tmp_path / LAST).rename(tmp_path / "last.old")
    run(config, tmp_path, RunLimits(steps=1))
    assert read_state(tmp_path / LAST).step == 4
    assert not (tmp_path / "last.old").exists()


def test_weights_are_split_into_parts_and_joined(config: PretrainConfig, tmp_path: Path) -> None:
    run(replace(config, tokens=4 * SEQUENCE), tmp_path, RunLimits())
    last = tmp_path / LAST
    names = parts.split(last, tmp_path / "parts", 50_000)
    assert len(names) > 3
    assert max((tmp_path / "parts" / name).stat().st_size for name in names[1:]) <= 50_000
    parts.join(tmp_path / "parts", tmp_path / "joined")
    full, joined = load_file(last / llama.WEIGHTS), load_file(tmp_path / "joined" / llama.WEIGHTS)
    for name in full:
        torch.testing.assert_close(joined[name], full[name], atol=1e-3, rtol=4e-3)
    (tmp_path / "parts" / names[-1]).unlink()
    with pytest.raises(ValueError, match=names[-1]):
        parts.join(tmp_path / "parts", tmp_path / "joined")
