"""From a tree to the folder that search by meaning is served from: ``kexpert-train embedder``.

The ranking must learn from questions whose answers the embedding has not seen, so the embedding
is first trained without a quarter of the files, the ranking on that quarter's briefs, and then the
embedding goes on with everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kexpert_trainer.data import pairs_file
from kexpert_trainer.data.pairs import PARTS, Corpus, digest, read_tree
from kexpert_trainer.models import ranker
from kexpert_trainer.models.embedder import Checkpoint, Model, Rows, Settings, Stage, train
from kexpert_trainer.progress import progress
from kexpert_trainer.release import embedder_export

HELD_OUT = 0.25  # of the files, by the digest of their paths
_KEPT = 5  # every fifth question tells how good a ranking is that was learnt from the others
_POOL = 119_000  # chunks that the ranking's questions are asked of
_VOCABULARY, _SPELLINGS = 44_000, 100_000  # what 16 MB hold
#: A summary is prose about the chunk, so that each of its words says more than one of the code's.
_SUMMARY = 2.0
_RATE, _LATER_RATE = 0.05, 0.02
_CHECKPOINT, _PAIRS = "training.safetensors", "pairs.safetensors"
_WORKING = (_CHECKPOINT, _PAIRS)  # there until a run has come to its end


@dataclass(frozen=True, slots=True)
class Recipe:
    """How much of what: the defaults make what is shipped."""

    steps: int = 2500  # without the held-out files
    more: int = 1000  # with them
    questions: int = 2500  # for the ranking
    batch: int = 1024
    dimensions: int = 256
    seed: int = 1
    threads: int = 2


def make(tree: Path, out: Path, recipe: Recipe) -> None:
    """Read, train, write; what was trained lies in ``out`` and a run that was stopped goes on from there."""
    out.mkdir(parents=True, exist_ok=True)
    corpus = _corpus(tree, out / _PAIRS, recipe.threads)
    settings = Settings(recipe.dimensions, (recipe.dimensions // 2,), recipe.batch, recipe.seed, recipe.threads,
                        vocabulary=_VOCABULARY)  # fmt: skip
    rows = Rows(corpus, settings)
    model, checkpoint = Model(rows, settings), Checkpoint(out / _CHECKPOINT, rows, settings)
    held = held_out(corpus)
    with _shown("Training") as shown:
        train(corpus, rows, model, Stage(0, recipe.steps, _RATE), ~held, shown, checkpoint)
    if checkpoint.load(model) == recipe.steps:
        ranker.write(_ranking(corpus, rows, model, held, recipe), out)
    everything = Stage(recipe.steps, recipe.steps + recipe.more, _LATER_RATE)
    with _shown("Training on everything") as shown:
        train(corpus, rows, model, everything, np.ones_like(held), shown, checkpoint)
    export(corpus, rows, model, out)
    for name in _WORKING:
        (out / name).unlink(missing_ok=True)


def _corpus(tree: Path, kept: Path, jobs: int) -> Corpus:
    """What a tree teaches, of the disk where a run before this one has read it."""
    told = pairs_file.identity(tree)
    corpus = pairs_file.load(kept, told)
    if corpus is None:
        with _shown("Reading") as shown:
            corpus = read_tree(tree, jobs, shown)
        pairs_file.save(corpus, kept, told)
    return corpus


def held_out(corpus: Corpus) -> NDArray[np.bool_]:
    """Chunks of the held-out files, and all that share a name with a documented one among them."""
    inside = np.array([digest(path, "tune") < HELD_OUT for path in corpus.paths])
    asked = inside & (corpus.fields["brief"].lengths > 0)
    names = {corpus.names[at] for at in np.flatnonzero(asked)}
    return inside | np.array([name in names for name in corpus.names])


def questions_of(corpus: Corpus, inside: NDArray[np.bool_], most: int, seed: int) -> NDArray[np.int64]:
    """Documented functions of their own names, a random choice."""
    asked = inside & corpus.functions & (corpus.fields["brief"].lengths >= 2)
    found = np.flatnonzero(asked)
    return np.sort(np.random.default_rng(seed).permutation(found)[:most])


def pool_of(corpus: Corpus, questions: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    """The functions of the questions' files and of others at random, whole files all of them: how many
    of a file are found is something that the ranking looks at."""
    functions: dict[str, list[int]] = defaultdict(list)
    for at in np.flatnonzero(corpus.functions):
        functions[corpus.paths[at]].append(int(at))
    asked = {corpus.paths[at] for at in questions}
    pool = [at for path in sorted(asked) for at in functions[path]]
    others = sorted(functions.keys() - asked)
    for chosen in np.random.default_rng(seed).permutation(len(others)):
        if len(pool) >= size:
            break
        pool += functions[others[chosen]]
    return np.array(pool)


def _ranking(corpus: Corpus, rows: Rows, model: Model, held: NDArray[np.bool_], recipe: Recipe) -> dict[str, object]:
    questions = questions_of(corpus, held, recipe.questions, recipe.seed)
    if not len(questions):
        raise ValueError("no documented function in the held-out quarter of the files: the tree is too small")
    retrieval = ranker.Retrieval(corpus, rows, model, pool_of(corpus, questions, _POOL, recipe.seed))
    with progress("Asking", len(questions)) as advance:
        asked = ranker.gather(retrieval, corpus.fields["brief"], questions, advance)
    kept = asked[_KEPT - 1 :: _KEPT]
    others = [each for at, each in enumerate(asked, 1) if at % _KEPT]
    told = ranker.measured(ranker.fit(others, recipe.seed), kept)
    print(f"{len(kept):,} held-out questions: MRR@10 {told.mrr:.3f}, Recall@10 {told.recall:.3f}", flush=True)
    return ranker.fit(asked, recipe.seed)


def export(corpus: Corpus, rows: Rows, model: Model, out: Path) -> None:
    """Write the embedding; raises ValueError when the folder would be too large for the package."""
    weights = dict(zip(PARTS, map(float, model.fields), strict=True))
    fields = {**weights, "summary": _SUMMARY * weights["body"]}
    static = embedder_export.Static(
        rows.words, model.table.numpy(), np.exp(model.asked.numpy()), _worth(corpus, rows), fields,
        model.settings.nested,
    )  # fmt: skip
    embedder_export.write(static, corpus.spellings[:_SPELLINGS], out)
    size = sum(file.stat().st_size for file in out.iterdir() if file.name not in _WORKING)
    if size > embedder_export.MAX_BYTES:
        raise ValueError(f"{out}: {size >> 20} MB, more than {embedder_export.MAX_BYTES >> 20} MB")


def _worth(corpus: Corpus, rows: Rows) -> NDArray[np.float32]:
    """Inverse document frequency of every row among the chunks."""
    chunk, _ = rows.chunks
    found = np.bincount(chunk.values, minlength=len(rows))
    return np.log1p((len(corpus.names) - found + 0.5) / (found + 0.5)).astype(np.float32)


@contextmanager
def _shown(title: str) -> Iterator:  # type: ignore[type-arg]
    """A callback (done, total, message) on a bar that appears with the first call."""
    with progress(title, 0) as advance:
        last = 0

        def shown(done: int, total: int, message: str = "") -> None:
            nonlocal last
            advance(done - last, message, total)
            last = done

        yield shown
