"""Copying from neighbours, through the real llama.cpp with a model of random weights: all that is right is copied."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kexpert.abilities import Cancelled, Failed, Neighbour, Neighbours, Proximity
from kexpert.model.copying.cache_lm import Library
from kexpert.model.engine import ModelSettings, choose_engine
from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine
from kexpert.model.engines.worker_process import WorkerProcess
from kexpert.prompt.fim import Context
from kexpert.prompt.manifest import parse_manifest
from tests.support.tiny_models import TinyVocabulary, write_manifest, write_model

SIBLING = """\
static int toy_stop(struct toy *toy)
{
	mutex_lock(&toy->lock);
	toy_brake(toy, TOY_SLOWLY);
	mutex_unlock(&toy->lock);
	return 0;
}
"""
HEAD = "static int toy_halt(struct toy *toy)\n{\n\tmutex_lock(&toy->lock);\n\t"
TAIL = "\n\tmutex_unlock(&toy->lock);\n\treturn 0;\n}\n"


def never() -> bool:
    return False


def beside(text: str, kin: Proximity = Proximity.FILE, key: str = "") -> Neighbour:
    return Neighbour(key or text, kin, text)


def near(*texts: Neighbour, head: str = HEAD, tail: str = TAIL) -> Neighbours:
    return Neighbours(head, tail, texts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt nothing; it reads letters."""
    folder = tmp_path_factory.mktemp("ignorant")
    vocabulary = TinyVocabulary(["\tmutex", "_lock", "toy"])
    write_model(folder / "m.gguf", vocabulary)
    write_manifest(folder, vocabulary, "m.gguf")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> LlamaCppEngine:
    manifest = parse_manifest((folder / "model.json").read_bytes())
    return LlamaCppEngine(folder / manifest.base, manifest, None, 1, 0)


@pytest.fixture
def worker(folder: Path) -> Iterator[WorkerProcess]:
    with closing(WorkerProcess(choose_engine(ModelSettings(path=str(folder), device="cpu")), threads=1)) as worker:
        yield worker


def line_of(model: LlamaCppEngine | WorkerProcess, neighbours: Neighbours, typed: str = "", most: int = 60) -> str:
    context = Context("drivers/toy/new.c", HEAD + typed, TAIL)
    neighbours = replace(neighbours, before=neighbours.before + typed)
    text = ""
    with closing(model.stream(context, most, never, neighbours)) as tokens:
        for token in tokens:
            text += token.text
            if "\n" in text:
                break
    return typed + text.partition("\n")[0]


@pytest.mark.parametrize("kin", [Proximity.FILE, Proximity.FOLDER, Proximity.TREE])
@pytest.mark.parametrize("typed", ["", "toy", "toy_b", "toy_brake(toy, TOY"])
def test_a_line_that_stands_in_a_sibling_is_written(model: LlamaCppEngine, kin: Proximity, typed: str) -> None:
    assert line_of(model, near(beside(SIBLING, kin)), typed) == "toy_brake(toy, TOY_SLOWLY);"


def test_without_neighbours_the_model_writes_what_it_would(model: LlamaCppEngine) -> None:
    assert line_of(model, Neighbours()) == line_of(model, Neighbours()) != "toy_brake(toy, TOY_SLOWLY);"


def test_the_nearer_of_two_texts_is_copied(model: LlamaCppEngine) -> None:
    elsewhere = beside(SIBLING.replace("SLOWLY", "AT_ONCE"), Proximity.TREE)
    assert line_of(model, near(elsewhere, beside(SIBLING, Proximity.FOLDER))) == "toy_brake(toy, TOY_SLOWLY);"


def test_the_line_above_tells_which_place_is_meant(model: LlamaCppEngine) -> None:
    other = SIBLING.replace("mutex_lock(&toy->lock)", "trace_toy_stop(toy, 1)").replace("toy_brake", "report_it")
    assert line_of(model, near(beside(other), beside(SIBLING), beside(other + "\n"))) == "toy_brake(toy, TOY_SLOWLY);"


def test_a_copy_is_surer_than_a_guess(model: LlamaCppEngine) -> None:
    place = Context("a.c", HEAD, TAIL)
    copied = next(iter(model.stream(place, 4, never, near(beside(SIBLING)))))
    guessed = next(iter(model.stream(place, 4, never)))
    assert copied.logprob > guessed.logprob


def test_copied_bytes_cost_fewer_bits(model: LlamaCppEngine) -> None:
    place, middle = Context("a.c", HEAD, TAIL), "toy_brake(toy, TOY_SLOWLY);"
    alone, size = model.score(place, middle, never)
    copied, same = model.score(place, middle, never, near(beside(SIBLING)))
    assert same == size
    assert copied < alone / 4


def test_an_answer_does_not_go_round_in_circles(model: LlamaCppEngine) -> None:
    table = "int table[] = {\n" + "\t{ 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12 },\n" * 20 + "};\n"
    text = line_of(model, near(beside(table)), "{ 0x12, 0x", most=200)
    assert text.count("0x12") < 20


def test_a_mixture_is_a_distribution(model: LlamaCppEngine) -> None:
    library = Library(model.vocabulary.pieces, model.encode)
    library.want(near(beside(SIBLING)))
    assert library.read(never)
    echo, size = library.echo(HEAD), len(model.vocabulary.pieces)
    for allowed in (None, model.vocabulary.beginning(b"toy")):
        count = size if allowed is None else len(allowed)
        mixed = echo.mixed(np.full(count, 1 / count, np.float32), allowed)
        assert mixed.sum() == pytest.approx(1, abs=1e-4)
        assert mixed.min() > 0


@pytest.mark.parametrize(
    "text", ["", "\n", "\n\n\n", "\0\0", "toy", "\t", "\t" * 20_000, "\n\t" * 20_000, "toy->lock);\n\t" * 5000]
)
@pytest.mark.parametrize("head", [HEAD, "", "\n", "\t" * 3000])
def test_any_text_can_stand_near(model: LlamaCppEngine, text: str, head: str) -> None:
    place = Context("a.c", head, "")
    assert list(model.stream(place, 3, never, near(beside(text), head=head, tail=text[:2000])))


# Whole lines


def first_token(model: LlamaCppEngine, neighbours: Neighbours) -> str:
    with closing(model.stream(Context("a.c", neighbours.before, TAIL), 60, never, neighbours)) as tokens:
        return next(tokens).text


def test_a_whole_line_is_copied_without_the_model(model: LlamaCppEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(LlamaCppEngine, "_evaluate")
    assert first_token(model, near(beside(SIBLING), head=f"{HEAD}toy_b")) == "rake(toy, TOY_SLOWLY);\n"


def test_further_lines_are_copied_while_they_are_likely(model: LlamaCppEngine) -> None:
    sibling = SIBLING.replace(
        "\ttoy_brake", "\tif (toy->fast) {\n\t\ttoy_warn(toy);\n\t\treturn -EBUSY;\n\t}\n\ttoy_brake"
    )
    siblings = (beside(sibling.replace("toy_stop", f"toy_stop_{at}"), Proximity.FOLDER) for at in range(4))
    several = near(*siblings, head=f"{HEAD}if (toy->f")
    text = "".join(token.text for token in model.stream(Context("a.c", several.before, TAIL), 60, never, several))
    assert text.startswith("ast) {\n\t\ttoy_warn(toy);\n\t\treturn -EBUSY;\n")


def test_what_a_copy_did_without_is_read_when_there_is_time(model: LlamaCppEngine) -> None:
    """A letter that is typed instead finds the prompt read."""
    neighbours = near(beside(SIBLING), head=f"{HEAD}toy_b")
    model._evaluate(model.encode("something else"), never)
    first_token(model, neighbours)
    assert not model.read(neighbours, lambda: True)
    assert model.read(neighbours, never)
    read = b"".join(model.vocabulary.pieces[token] for token in model._cached).decode()
    assert HEAD.rstrip() in read


# Through the process


def test_a_text_is_sent_once(worker: WorkerProcess) -> None:
    assert line_of(worker, near(beside(SIBLING, key="1"))) == "toy_brake(toy, TOY_SLOWLY);"
    empty = Neighbour("1", Proximity.FILE, "")
    assert line_of(worker, near(empty)) == "toy_brake(toy, TOY_SLOWLY);"
    line_of(worker, near())
    assert line_of(worker, near(empty)) != "toy_brake(toy, TOY_SLOWLY);"


def test_a_new_process_is_told_again(worker: WorkerProcess) -> None:
    line_of(worker, near(beside(SIBLING)))
    assert worker._process
    os.kill(worker._process._child.pid, signal.SIGKILL)
    with pytest.raises(Failed):
        line_of(worker, near(beside(SIBLING)))
    assert line_of(worker, near(beside(SIBLING))) == "toy_brake(toy, TOY_SLOWLY);"


def test_what_is_not_read_yet_is_not_copied(model: LlamaCppEngine) -> None:
    """A question does not wait until everything is read; the nearest is read first."""
    library = Library(model.vocabulary.pieces, model.encode)
    library.want(near(beside("int first;\n"), beside(SIBLING)))
    answers = iter((False, True))
    assert not library.read(lambda: next(answers))
    assert len(library.shelf()[0].ids) < 20
    assert library.read(never)
    assert len(library.shelf()[0].ids) > len(model.encode(SIBLING))


def test_reading_can_be_cancelled(worker: WorkerProcess) -> None:
    line_of(worker, near())
    texts = [beside(f"int unlike_{at};\n" * 2000, Proximity.FOLDER) for at in range(200)]
    until = time.monotonic() + 0.1
    with pytest.raises(Cancelled):
        worker.read(near(*texts), lambda: time.monotonic() > until)
    assert line_of(worker, near(beside(SIBLING))) == "toy_brake(toy, TOY_SLOWLY);"
