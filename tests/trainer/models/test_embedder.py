"""From a small tree to an embedder and a ranker that search can serve."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from kexpert.core.retrieval.chunk import Chunk, ChunkKind
from kexpert.core.retrieval.ranking_features import FEATURES
from kexpert.search.embedder import load_embedder
from kexpert_trainer.cli import main
from kexpert_trainer.data import pairs_file
from kexpert_trainer.data.pairs import PairCorpus, Ragged, read_tree
from kexpert_trainer.models import embedder
from kexpert_trainer.models.embedder import EmbedderCheckpoint, EmbedderModel, LinearDecay
from kexpert_trainer.models.embedder_data import EmbedderConfig, WordRows
from kexpert_trainer.models.ranker import PoolRetrieval

VERBS = {"alloc": "allocate", "free": "give back", "start": "begin", "stop": "end", "read": "fetch", "send": "transmit"}
NOUNS = {"buf": "buffer", "ring": "ring", "timer": "clock", "link": "connection", "page": "memory", "queue": "line"}


def function(driver: str, verb: str, noun: str) -> str:
    return f"""\
/**
 * {driver}_{verb}_{noun} - {VERBS[verb]} the {NOUNS[noun]} of a device
 * @dev: whose {noun}
 */
int {driver}_{verb}_{noun}(struct device *dev)
{{
	/* the {NOUNS[noun]} must not be in use by anyone else */
	return {verb}_{noun}(dev, {noun.upper()}_{verb.upper()});
}}

"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    rng = random.Random(3)
    for number in range(16):
        driver = f"drv{rng.choice('abcdefgh')}{number}"
        folder = root / "drivers" / f"bus{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(function(driver, verb, noun) for verb in VERBS for noun in rng.sample(list(NOUNS), 4))
        (folder / f"{driver}.c").write_text(text)
    (root / "Documentation").mkdir()
    (root / "Documentation" / "a.rst").write_text("Rings\n=====\n\nCall ring_start() before the first transfer.\n")
    return root


@pytest.fixture(scope="module")
def corpus(tree: Path) -> PairCorpus:
    return read_tree(tree, 1, lambda done, total: None)


def words_of(corpus: PairCorpus, field: str, name: str) -> list[str]:
    return [corpus.words[at] for at in corpus.fields[field][corpus.names.index(name)]]


def test_functions_are_read_with_the_texts_that_describe_them(tmp_path: Path) -> None:
    (tmp_path / "Documentation").mkdir()
    (tmp_path / "Documentation" / "x.rst").write_text("Before a reset call frob_quiesce() on every port.\n")
    (tmp_path / "frob.c").write_text(
        """\
/**
 * frob_quiesce - make a port silent
 * @port: which
 */
void frob_quiesce(struct port *port)
{
	writel(0, port->base); /* no more interrupts */
}

/* Plainly told. */
void frob_reset(struct port *port)
{
	/* wait for the last byte to leave */
	frob_quiesce(port);
	port->state = 0;
}
"""
    )
    corpus = read_tree(tmp_path, 1, lambda done, total: None)
    assert words_of(corpus, "name", "frob_quiesce") == ["frob", "quiesc"]
    assert words_of(corpus, "brief", "frob_quiesce") == ["mak", "port", "silent"]
    assert "leav" in words_of(corpus, "call", "frob_quiesce")
    assert "befor" in words_of(corpus, "section", "frob_quiesce")
    assert words_of(corpus, "comment", "frob_reset") == ["plain", "told"]
    assert "silent" not in words_of(corpus, "body", "frob_quiesce"), "a comment is not part of the code"
    assert "leav" not in words_of(corpus, "body", "frob_reset")


def test_two_processes_read_the_same_pairs(tree: Path, corpus: PairCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kexpert_trainer.data.pairs._BATCH_FILES", 5)
    other = read_tree(tree, 2, lambda done, total: None)
    assert other.names == corpus.names
    for field, rows in corpus.fields.items():
        assert [other.words[at] for at in other.fields[field].values] == [corpus.words[at] for at in rows.values]


def test_the_cache_of_a_tree_is_valid_until_the_tree_changes(tree: Path, corpus: PairCorpus, tmp_path: Path) -> None:
    cache, identity = tmp_path / "pairs.safetensors", pairs_file.tree_identity(tree)
    assert pairs_file.load(cache, identity) is None
    pairs_file.save(corpus, cache, identity)
    loaded = pairs_file.load(cache, pairs_file.tree_identity(tree))
    assert loaded is not None
    for field in ("words", "paths", "names", "spellings"):
        assert getattr(loaded, field) == getattr(corpus, field)
    assert loaded.functions.tolist() == corpus.functions.tolist()
    for field, rows in corpus.fields.items():
        assert loaded.fields[field].values.tolist() == rows.values.tolist()
        assert loaded.fields[field].offsets.tolist() == rows.offsets.tolist()
    other = tmp_path / "tree"
    shutil.copytree(tree, other)
    file = next(other.rglob("*.c"))
    file.write_text(file.read_text() + "int more;\n")
    assert pairs_file.load(cache, pairs_file.tree_identity(other)) is None
    cache.write_bytes(b"torn")
    assert pairs_file.load(cache, identity) is None


def test_ragged_rows_are_taken_in_any_order() -> None:
    rows = Ragged.of([[1, 2], [], [3], [4, 5, 6]])
    owner, values = rows.take(np.array([3, 1, 0]))
    assert owner.tolist() == [0, 0, 0, 2, 2] and values.tolist() == [4, 5, 6, 1, 2]


def trained(corpus: PairCorpus, steps: int, checkpoint: Path | None = None, until: int = 0) -> EmbedderModel:
    config = EmbedderConfig(dimensions=16, nested=(8,), batch=32, threads=1, min_count=2)
    rows = WordRows(corpus, config)
    model = EmbedderModel(rows, config)
    usable = np.ones(len(corpus.names), np.bool_)
    saved = EmbedderCheckpoint(checkpoint, rows, config) if checkpoint else None

    def stop(done: int, total: int, message: str) -> None:
        if until and done == until:
            raise KeyboardInterrupt

    embedder.train(corpus, rows, model, LinearDecay(0, steps, 0.05), usable, stop, saved)
    return model


def test_the_same_seed_gives_the_same_parameters(corpus: PairCorpus) -> None:
    one, two = trained(corpus, 6), trained(corpus, 6)
    assert one.table.equal(two.table) and one.question_weights.equal(two.question_weights)


def test_a_resumed_run_equals_an_uninterrupted_one(
    corpus: PairCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kexpert_trainer.models.embedder._SAVE_STEPS", 2)
    with pytest.raises(KeyboardInterrupt):
        trained(corpus, 8, tmp_path / "state.safetensors", until=5)
    resumed = trained(corpus, 8, tmp_path / "state.safetensors")
    assert resumed.table.equal(trained(corpus, 8).table)


def test_training_moves_a_summary_closer_to_its_function(corpus: PairCorpus) -> None:
    config = EmbedderConfig(dimensions=16, nested=(8,), batch=64, threads=1, min_count=2)
    rows = WordRows(corpus, config)
    pool = np.flatnonzero(corpus.functions)

    def mean_place(model: EmbedderModel) -> float:
        retrieval = PoolRetrieval(corpus, rows, model, pool)
        places = []
        for place, chunk in enumerate(pool):
            cosines = retrieval.cosines(corpus.fields["brief"][chunk])
            places.append(int((cosines > cosines[place]).sum()))
        return float(np.mean(places))

    model = EmbedderModel(rows, config)
    before = mean_place(model)
    embedder.train(corpus, rows, model, LinearDecay(0, 60, 0.05), np.ones(len(corpus.names), np.bool_))
    assert mean_place(model) < 0.7 * before


def test_the_command_writes_a_folder_that_search_loads(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    options = ["--steps", "6", "--more", "2", "--dimensions", "16", "--threads", "1"]
    assert main(["embedder", "--tree", str(tree), "--out", str(out), *options]) == 0
    assert sorted(file.name for file in out.iterdir()) == [
        "config.json", "model.safetensors", "ranker.json", "tokenizer.json",
    ]  # fmt: skip
    loaded = load_embedder(str(out))
    chunk = Chunk("drivers/a.c", ChunkKind.FUNCTION, "frob_alloc_ring", 0, 0, 1, "", "return alloc_ring(dev);")
    assert loaded.dimensions == 16
    assert float(loaded.encode_chunks([chunk])[0] @ loaded.encode_query("allocating a ring")) > 0.3
    assert json.loads((out / "ranker.json").read_text())["features"] == list(FEATURES)


def test_a_folder_without_code_gives_an_error_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["embedder", "--tree", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "no C files" in line
