"""The model is a Llama, documents do not see each other, and how a run is divided does not change what it makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
from kexpert_trainer.training import pretrain
from kexpert_trainer.training.batches import Batch, Cursor, Packed, steps
from kexpert_trainer.training.loss import IGNORED, head_loss, token_losses
from kexpert_trainer.training.muon import orthogonalise
from kexpert_trainer.training.pretrain import Limits, Plan, run
from tests.support.small_training import checkpoint, make_corpus

END, HOLE = 6, 2
CPU = torch.device("cpu")
SEQUENCE = 128
PLAN = Plan(corpus="", size="tiny", tokens=12 * 4 * SEQUENCE, batch_rows=4, micro_rows=4)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, SEQUENCE)
    return replace(PLAN, corpus=str(folder / "corpus"))


def packed(*documents: list[int], sequence: int = 16) -> Packed:
    return Packed(np.array([at for ids in documents for at in [*ids, END]], dtype=np.uint16), END, HOLE, sequence)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / pretrain.LAST / llama.WEIGHTS)


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


def test_a_packed_document_is_read_as_if_it_were_alone(tmp_path: Path) -> None:
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
def test_documents_by_themselves_are_as_with_the_mask(tmp_path: Path, attention: str) -> None:
    model = checkpoint(tmp_path)
    data = packed(list(range(20, 27)), [19], list(range(40, 46)), list(range(30, 44)))
    batch = data.batch(data.rows(0))
    losses, gradients = [], []
    for attend, masked in ((llama.attend_masked, True), (llama.ATTENTION[attention], False)):
        model.attend = attend
        model.zero_grad()
        given = batch.to(CPU, masked)
        loss = head_loss(model(given.tokens, given.documents).flatten(0, 1), model.head, given.targets.flatten())
        loss.backward()
        losses.append(loss.detach())
        gradients.append(model.model.layers[0].self_attn.k_proj.weight.grad.clone())
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)


def test_no_loss_crosses_from_one_document_to_the_next() -> None:
    first, second = [20, HOLE, 21, 22], [30, 31, 32]
    data = packed(first, second)
    batch = data.batch([[0, 1]])
    assert batch.tokens[0, :9].tolist() == [*first, END, *second, END]
    # The end is learnt where a hole is filled; that of a mere window of a file means nothing.
    assert batch.targets[0].tolist() == [HOLE, 21, 22, END, IGNORED, 31, 32, IGNORED, *[IGNORED] * 8]
    assert batch.documents.position[0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, *range(7)]
    assert batch.kinds(HOLE)[0, :9].tolist() == [2, 1, 1, 1, 1, 0, 0, 0, 0]


# -- the loss and the optimizer ------------------------------------------------------------------


def test_the_loss_and_its_gradients_are_those_of_whole_logits() -> None:
    torch.manual_seed(0)
    # More rows than one chunk holds.
    hidden, head = torch.randn(300, 8, requires_grad=True), torch.randn(9000, 8, requires_grad=True)
    targets = torch.randint(0, 9000, (300,))
    targets[::7] = IGNORED
    expected = F.cross_entropy(hidden @ head.T, targets, ignore_index=IGNORED, reduction="sum")
    expected_gradients = torch.autograd.grad(expected / 3, (hidden, head))
    loss = head_loss(hidden, head, targets)
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


def test_rates_rise_stay_and_fall() -> None:
    rates = [pretrain.schedule(done / 100, warmup=0.1, decay=0.2) for done in range(101)]
    assert rates[0] < 0.1 and rates[20] == rates[70] == 1
    assert rates[90] == pytest.approx(0.5) and rates[100] == 0


# -- the data ------------------------------------------------------------------------------------


def test_an_epoch_holds_every_document_once() -> None:
    rng = np.random.default_rng(0)
    documents = [[7] * int(length) for length in rng.integers(1, 15, 500)]
    data = packed(*documents)
    rows = data.rows(3)
    assert sorted(document for row in rows for document in row) == list(range(500))
    assert all(sum(len(documents[document]) + 1 for document in row) <= 16 for row in rows)
    assert sum(len(ids) + 1 for ids in documents) / (16 * len(rows)) > 0.9
    assert data.rows(3) == rows != data.rows(4)


def test_the_data_goes_on_where_the_cursor_stands() -> None:
    data = packed(*([at] * 9 for at in range(10, 20)))
    stream = steps(data, Cursor(), 3)
    seen = [next(stream) for _ in range(8)]
    for at in range(7):
        assert next(steps(data, seen[at][1], 3)) == seen[at + 1]
    assert seen[3][1].epoch == 1


def test_documents_that_are_too_long_are_refused() -> None:
    with pytest.raises(ValueError, match="up to 31 tokens"):
        packed([7] * 30)


# -- a run ---------------------------------------------------------------------------------------


def test_training_learns(plan: Plan, tmp_path: Path) -> None:
    plan = replace(plan, tokens=40 * 4 * SEQUENCE)
    before = run(replace(plan, tokens=1), tmp_path / "one", Limits())
    after = run(plan, tmp_path / "run", Limits())
    assert after.plain < 0.8 * before.plain
    assert after.filled < 0.8 * before.filled
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"loss_nats", "tokens_per_second", "mfu"} <= set().union(*lines)
    assert any((tmp_path / "run" / "tensorboard").iterdir())


def test_a_resumed_run_equals_one_without_a_break(plan: Plan, tmp_path: Path) -> None:
    run(plan, tmp_path / "whole", Limits())
    run(plan, tmp_path / "broken", Limits(steps=5))
    assert pretrain.read_progress(tmp_path / "broken" / pretrain.LAST).step == 5
    run(plan, tmp_path / "broken", Limits(steps=4))
    run(plan, tmp_path / "broken", Limits())
    whole, broken = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_a_run_goes_on_with_another_corpus(plan: Plan, tmp_path: Path) -> None:
    make_corpus(tmp_path, SEQUENCE, seed=1)
    run(plan, tmp_path / "run", Limits(steps=3))
    before = pretrain.read_progress(tmp_path / "run" / pretrain.LAST)
    run(replace(plan, corpus=str(tmp_path / "corpus")), tmp_path / "run", Limits(steps=2))
    after = pretrain.read_progress(tmp_path / "run" / pretrain.LAST)
    assert (before.step, before.cursor) == (3, Cursor(0, 12))
    assert (after.step, after.cursor) == (5, Cursor(0, 8))


def test_pretraining_needs_little_beside_torch() -> None:
    """A GPU machine without registries has torch and its kin, and nothing that reads kernel trees."""
    absent = ("datasketch", "tree_sitter", "tree_sitter_c", "gguf", "llama_cpp", "chromadb", "pygls", "watchdog")
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in absent)
    needed = "from kexpert_trainer.release import checkpoint_parts\nfrom kexpert_trainer.training import pretrain\n"
    code = f"import sys\n{blocked}{needed}from kexpert_trainer import cli\ncli.arguments()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_how_a_step_is_divided_makes_no_difference(plan: Plan, tmp_path: Path) -> None:
    whole = replace(plan, tokens=2 * 4 * SEQUENCE)
    run(whole, tmp_path / "whole", Limits())
    run(replace(whole, micro_rows=1), tmp_path / "divided", Limits())
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "divided")
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=1e-4, rtol=1e-3)


def test_two_processes_make_what_one_does(plan: Plan, tmp_path: Path) -> None:
    arguments = ["pretrain", "--corpus", plan.corpus, "--size", "tiny", "--tokens", str(2 * 4 * SEQUENCE)]
    arguments += ["--batch-rows", "4", "--micro-rows", "4", "--threads", "1", "--decay", "0.3"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, "-m", "kexpert_trainer", *arguments, "--out", str(tmp_path / "two")]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
    run(replace(plan, tokens=2 * 4 * SEQUENCE), tmp_path / "one", Limits())
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-4, rtol=1e-3)


def test_a_run_keeps_to_its_minutes_and_goes_on(plan: Plan, tmp_path: Path) -> None:
    run(replace(plan, tokens=10**9), tmp_path, Limits(minutes=0.0))
    assert pretrain.read_progress(tmp_path / pretrain.LAST).step == 0
    run(replace(plan, tokens=4 * SEQUENCE), tmp_path, Limits())
    assert pretrain.read_progress(tmp_path / pretrain.LAST).step == 1


def test_a_save_that_broke_off_harms_nothing(plan: Plan, tmp_path: Path) -> None:
    plan = replace(plan, tokens=4 * SEQUENCE)
    run(plan, tmp_path, Limits())
    before = weights(tmp_path)
    (tmp_path / "last.part").mkdir()
    (tmp_path / "last.part" / llama.WEIGHTS).write_text("half of it")
    run(plan, tmp_path, Limits())
    after = weights(tmp_path)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_weights_travel_in_parts(plan: Plan, tmp_path: Path) -> None:
    run(replace(plan, tokens=4 * SEQUENCE), tmp_path, Limits())
    last = tmp_path / pretrain.LAST
    names = parts.split(last, tmp_path / "parts", 50_000)
    assert len(names) > 3
    assert max((tmp_path / "parts" / name).stat().st_size for name in names[1:]) <= 50_000
    parts.join(tmp_path / "parts", tmp_path / "joined")
    whole, joined = load_file(last / llama.WEIGHTS), load_file(tmp_path / "joined" / llama.WEIGHTS)
    for name in whole:
        torch.testing.assert_close(joined[name], whole[name], atol=1e-3, rtol=4e-3)
    (tmp_path / "parts" / names[-1]).unlink()
    with pytest.raises(ValueError, match=names[-1]):
        parts.join(tmp_path / "parts", tmp_path / "joined")
