"""Copying from neighbours through llama.cpp, with a model of random weights: whatever is right was copied."""

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

from kexpert.abilities import Cancelled, Completer, Failed, Neighbour, Neighbours, Proximity, Token
from kexpert.model.copying.cache_lm import CacheLM
from kexpert.model.copying.neighbour_index import NeighbourIndex
from kexpert.model.engine import choose_engine
from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine
from kexpert.model.engines.worker_process import WorkerProcess
from kexpert.model.types import ModelSettings
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
BEFORE = "static int toy_halt(struct toy *toy)\n{\n\tmutex_lock(&toy->lock);\n\t"
AFTER = "\n\tmutex_unlock(&toy->lock);\n\treturn 0;\n}\n"


def never() -> bool:
    return False


def neighbour(text: str, proximity: Proximity = Proximity.FILE, key: str = "") -> Neighbour:
    return Neighbour(key or text, proximity, text)


def neighbours(*texts: Neighbour, before: str = BEFORE, after: str = AFTER) -> Neighbours:
    return Neighbours(before, after, texts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights; most of its tokens are single characters."""
    folder = tmp_path_factory.mktemp("untrained")
    vocabulary = TinyVocabulary(["\tmutex", "_lock", "toy"])
    write_model(folder / "m.gguf", vocabulary)
    write_manifest(folder, vocabulary, "m.gguf")
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> LlamaCppEngine:
    manifest = parse_manifest((folder / "model.json").read_bytes())
    return LlamaCppEngine(folder / manifest.base, manifest, None, 1, 0)


@pytest.fixture
def worker(folder: Path) -> Iterator[WorkerProcess]:
    with closing(WorkerProcess(choose_engine(ModelSettings(path=str(folder), device="cpu")), threads=1)) as worker:
        yield worker


def line_of(engine: Completer, near: Neighbours, typed: str = "", max_tokens: int = 60) -> str:
    """The cursor's line, completed after ``typed``."""
    context = Context("drivers/toy/new.c", BEFORE + typed, AFTER)
    near = replace(near, before=near.before + typed)
    text = ""
    with closing(engine.stream(context, max_tokens, never, near)) as tokens:
        for token in tokens:
            text += token.text
            if "\n" in text:
                break
    return typed + text.partition("\n")[0]


@pytest.mark.parametrize("proximity", [Proximity.FILE, Proximity.FOLDER, Proximity.TREE])
@pytest.mark.parametrize("typed", ["", "toy", "toy_b", "toy_brake(toy, TOY"])
def test_a_line_of_a_similar_function_is_completed(engine: LlamaCppEngine, proximity: Proximity, typed: str) -> None:
    assert line_of(engine, neighbours(neighbour(SIBLING, proximity)), typed) == "toy_brake(toy, TOY_SLOWLY);"


def test_without_neighbours_nothing_is_copied(engine: LlamaCppEngine) -> None:
    first, second = line_of(engine, Neighbours()), line_of(engine, Neighbours())
    assert first == second != "toy_brake(toy, TOY_SLOWLY);"


def test_the_nearer_of_two_texts_is_copied(engine: LlamaCppEngine) -> None:
    distant = neighbour(SIBLING.replace("SLOWLY", "AT_ONCE"), Proximity.TREE)
    near = neighbours(distant, neighbour(SIBLING, Proximity.FOLDER))
    assert line_of(engine, near) == "toy_brake(toy, TOY_SLOWLY);"


def test_the_line_above_decides_between_two_places(engine: LlamaCppEngine) -> None:
    other = SIBLING.replace("mutex_lock(&toy->lock)", "trace_toy_stop(toy, 1)").replace("toy_brake", "report_it")
    near = neighbours(neighbour(other), neighbour(SIBLING), neighbour(other + "\n"))
    assert line_of(engine, near) == "toy_brake(toy, TOY_SLOWLY);"


def test_a_copy_has_a_higher_probability_than_a_guess(engine: LlamaCppEngine) -> None:
    context = Context("a.c", BEFORE, AFTER)
    copied = next(iter(engine.stream(context, 4, never, neighbours(neighbour(SIBLING)))))
    guessed = next(iter(engine.stream(context, 4, never)))
    assert copied.logprob > guessed.logprob


def test_copied_text_has_fewer_bits(engine: LlamaCppEngine) -> None:
    context, middle = Context("a.c", BEFORE, AFTER), "toy_brake(toy, TOY_SLOWLY);"
    alone, size = engine.score(context, middle, never)
    copied, same_size = engine.score(context, middle, never, neighbours(neighbour(SIBLING)))
    assert same_size == size
    assert copied < alone / 4


def test_the_repeat_penalty_ends_a_loop(engine: LlamaCppEngine) -> None:
    table = "int table[] = {\n" + "\t{ 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12 },\n" * 20 + "};\n"
    text = line_of(engine, neighbours(neighbour(table)), "{ 0x12, 0x", max_tokens=200)
    assert text.count("0x12") < 20


def test_a_mixture_is_a_distribution(engine: LlamaCppEngine) -> None:
    index = NeighbourIndex(engine.vocabulary.pieces, engine.encode)
    index.set_neighbours(neighbours(neighbour(SIBLING)))
    assert index.ingest(never)
    cache_lm, size = CacheLM(index, BEFORE), len(engine.vocabulary.pieces)
    for allowed in (None, engine.vocabulary.compatible(b"toy")):
        count = size if allowed is None else len(allowed)
        mixture = cache_lm.mix(np.full(count, 1 / count, np.float32), allowed)
        assert mixture.sum() == pytest.approx(1, abs=1e-4)
        assert mixture.min() > 0


@pytest.mark.parametrize(
    "text", ["", "\n", "\n\n\n", "\0\0", "toy", "\t", "\t" * 20_000, "\n\t" * 20_000, "toy->lock);\n\t" * 5000]
)
@pytest.mark.parametrize("before", [BEFORE, "", "\n", "\t" * 3000])
def test_any_text_can_be_a_neighbour(engine: LlamaCppEngine, text: str, before: str) -> None:
    near = neighbours(neighbour(text), before=before, after=text[:2000])
    assert list(engine.stream(Context("a.c", before, ""), 3, never, near))


# Whole lines

FURTHER_LINES = "\tif (toy->fast) {\n\t\ttoy_warn(toy);\n\t\treturn -EBUSY;\n\t}\n\ttoy_brake"


def several_siblings() -> Neighbours:
    """Four functions with the same lines; the cursor is in the first of them."""
    sibling = SIBLING.replace("\ttoy_brake", FURTHER_LINES)
    texts = (neighbour(sibling.replace("toy_stop", f"toy_stop_{at}"), Proximity.FOLDER) for at in range(4))
    return neighbours(*texts, before=f"{BEFORE}if (toy->f")


def tokens_of(engine: Completer, near: Neighbours) -> list[Token]:
    return list(engine.stream(Context("a.c", near.before, AFTER), 60, never, near))


def test_a_probable_line_is_copied_without_the_model(engine: LlamaCppEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LlamaCppEngine, "_evaluate", None)  # calling it fails
    near = neighbours(neighbour(SIBLING), before=f"{BEFORE}toy_b")
    assert tokens_of(engine, near)[0].text == "rake(toy, TOY_SLOWLY);\n"


def test_further_lines_are_copied_while_they_are_probable(engine: LlamaCppEngine) -> None:
    text = "".join(token.text for token in tokens_of(engine, several_siblings()))
    assert text.startswith("ast) {\n\t\ttoy_warn(toy);\n\t\treturn -EBUSY;\n")


def test_copied_lines_say_so(engine: LlamaCppEngine, worker: WorkerProcess) -> None:
    for each in (engine, worker):
        near = neighbours(neighbour(SIBLING), before=f"{BEFORE}toy_b")
        assert tokens_of(each, near)[0] == Token("rake(toy, TOY_SLOWLY);\n", pytest.approx(0, abs=1), origin="copied")
        further = tokens_of(each, several_siblings())
        assert len(further) > 2
        assert {token.origin for token in further} == {"copied"}


def test_tokens_of_the_mixture_are_the_models(engine: LlamaCppEngine, worker: WorkerProcess) -> None:
    """Neither a copy that is too improbable nor the neighbours' influence on single tokens counts as copied."""
    unlike = neighbours(neighbour("int unlike;\n" * 3), before="int f(void)\n{\n\tx = ")
    for each in (engine, worker):
        for near in (unlike, Neighbours()):
            tokens = list(each.stream(Context("a.c", "int f(void)\n{\n\tx = ", AFTER), 8, never, near))
            assert {token.origin for token in tokens} == {"model"}


def test_the_prompt_of_a_copied_line_is_evaluated_later(engine: LlamaCppEngine) -> None:
    """So that the next request, after another letter, finds it in the KV cache."""
    near = neighbours(neighbour(SIBLING), before=f"{BEFORE}toy_b")
    engine._evaluate(engine.encode("something else"), never)
    assert tokens_of(engine, near)[0].origin == "copied"
    assert not engine.read(near, lambda: True)
    assert engine.read(near, never)
    cached = b"".join(engine.vocabulary.pieces[token] for token in engine._cached).decode()
    assert BEFORE.rstrip() in cached


# Ingesting


def test_texts_that_are_not_ingested_are_not_copied(engine: LlamaCppEngine) -> None:
    index = NeighbourIndex(engine.vocabulary.pieces, engine.encode)
    index.set_neighbours(neighbours(neighbour("int first;\n"), neighbour(SIBLING)))
    answers = iter((False, True))
    assert not index.ingest(lambda: next(answers))
    assert len(index.joined()[0].ids) < 20
    assert index.ingest(never)
    assert len(index.joined()[0].ids) > len(engine.encode(SIBLING))


def test_a_text_is_sent_to_the_worker_once(worker: WorkerProcess) -> None:
    assert line_of(worker, neighbours(neighbour(SIBLING, key="1"))) == "toy_brake(toy, TOY_SLOWLY);"
    same_key = Neighbour("1", Proximity.FILE, "")
    assert line_of(worker, neighbours(same_key)) == "toy_brake(toy, TOY_SLOWLY);"
    line_of(worker, neighbours())
    assert line_of(worker, neighbours(same_key)) != "toy_brake(toy, TOY_SLOWLY);"


def test_a_restarted_worker_gets_the_texts_again(worker: WorkerProcess) -> None:
    line_of(worker, neighbours(neighbour(SIBLING)))
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(Failed):
        line_of(worker, neighbours(neighbour(SIBLING)))
    assert line_of(worker, neighbours(neighbour(SIBLING))) == "toy_brake(toy, TOY_SLOWLY);"


def test_ingesting_can_be_cancelled(worker: WorkerProcess) -> None:
    line_of(worker, neighbours())
    texts = [neighbour(f"int unlike_{at};\n" * 2000, Proximity.FOLDER) for at in range(200)]
    deadline = time.monotonic() + 0.1
    with pytest.raises(Cancelled):
        worker.read(neighbours(*texts), lambda: time.monotonic() > deadline)
    assert line_of(worker, neighbours(neighbour(SIBLING))) == "toy_brake(toy, TOY_SLOWLY);"
