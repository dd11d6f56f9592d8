"""All steps from a kernel tree to the embedder and ranker of search: the command ``kexpert-train embedder``.

The ranker must learn from questions whose answers the embedder has not seen. So the embedder is first trained without a
quarter of the files, then the ranker on that quarter's kernel-doc summaries, then the embedder on everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kexpert_trainer.data import pairs_file
from kexpert_trainer.data.pairs import PARTS, PairCorpus, path_fraction, read_tree
from kexpert_trainer.data.search_situations import Situation
from kexpert_trainer.data.tree import require_tree
from kexpert_trainer.errors import UserError
from kexpert_trainer.evaluation.metrics import DEPTH, retrieval_metrics
from kexpert_trainer.models import ranker
from kexpert_trainer.models.embedder import EmbedderCheckpoint, EmbedderModel, LinearDecay, train
from kexpert_trainer.models.embedder_data import EmbedderConfig, WordRows
from kexpert_trainer.progress import progress
from kexpert_trainer.release import embedder_export

_HELD_OUT = 0.25  # fraction of the files, by the hash of their paths
_TEST_EVERY = 5  # every fifth question tests a ranker that was fitted to the others
_POOL = 119_000  # minimum of chunks that the ranker's questions are asked of
_VOCABULARY, _SPELLINGS = 44_000, 100_000  # fitted so that the folder takes 16 MB
#: Factor of a summary's words, relative to those of the body: prose about a chunk says more than its code.
_SUMMARY_FACTOR = 2.0
_LR, _FINAL_LR = 0.05, 0.02
_CHECKPOINT, _PAIRS = "training.safetensors", "pairs.safetensors"
_TEMPORARY = (_CHECKPOINT, _PAIRS)  # removed at the end of a run

#: Called with steps done, steps in all, and a message.
Report = Callable[..., None]


@dataclass(frozen=True, slots=True)
class SearchTrainingConfig:
    """Decides the result; the defaults make the shipped embedder and ranker."""

    steps: int = 2500  # without the held-out files
    more_steps: int = 1000  # with them
    questions: int = 5000  # maximum, for the ranker
    ranker_only: bool = False  # write the ranker for an embedder that is there already
    batch: int = 1024
    dimensions: int = 256
    seed: int = 1
    threads: int = 2


def train_search(tree: Path, out: Path, config: SearchTrainingConfig) -> None:
    """Read a tree, train, and write the model into ``out``; a stopped run continues. Raises UserError, OSError.

    With ``ranker_only``, the embedder that has not seen the held-out files is thrown away, and so may be small.
    """
    require_tree(tree)
    out.mkdir(parents=True, exist_ok=True)
    corpus = _corpus(tree, out / _PAIRS, config.threads)
    embedder = EmbedderConfig(
        config.dimensions, (config.dimensions // 2,), config.batch, config.seed, config.threads, vocabulary=_VOCABULARY
    )
    rows = WordRows(corpus, embedder)
    model, checkpoint = EmbedderModel(rows, embedder), EmbedderCheckpoint(out / _CHECKPOINT, rows, embedder)
    held = held_out(corpus)
    first = LinearDecay(0, config.steps, _LR)
    with _reported("Training") as report:
        train(corpus, rows, model, first, ~held, report, checkpoint)
    if checkpoint.load(model) == config.steps:
        ranker.write(_fit_ranker(corpus, rows, model, held, config), out)
    if not config.ranker_only:
        second = LinearDecay(config.steps, config.steps + config.more_steps, _FINAL_LR)
        with _reported("Training on everything") as report:
            train(corpus, rows, model, second, np.ones_like(held), report, checkpoint)
        export(corpus, rows, model, out)
    for name in _TEMPORARY:
        (out / name).unlink(missing_ok=True)


def _corpus(tree: Path, cache: Path, jobs: int) -> PairCorpus:
    """Read a tree, or the cache that an earlier run left."""
    identity = pairs_file.tree_identity(tree)
    corpus = pairs_file.load(cache, identity)
    if corpus is None:
        with _reported("Reading") as report:
            corpus = read_tree(tree, jobs, report)
        pairs_file.save(corpus, cache, identity)
    return corpus


def held_out(corpus: PairCorpus) -> NDArray[np.bool_]:
    """(chunks,) True for chunks of held-out files, and for those with the name of a documented one among them."""
    inside = np.array([path_fraction(path, "tune") < _HELD_OUT for path in corpus.paths])
    documented = inside & (corpus.fields["brief"].lengths > 0)
    names = {corpus.names[at] for at in np.flatnonzero(documented)}
    held: NDArray[np.bool_] = inside | np.array([name in names for name in corpus.names])
    return held


def questions_of(corpus: PairCorpus, inside: NDArray[np.bool_], maximum: int, seed: int) -> NDArray[np.int64]:
    """A random choice of the documented functions ``inside``, ascending."""
    documented = inside & corpus.functions & (corpus.fields["brief"].lengths >= 2)
    found = np.flatnonzero(documented)
    return np.sort(np.random.default_rng(seed).permutation(found)[:maximum])


def pool_of(corpus: PairCorpus, questions: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    """The functions of the questions' files and of random further files, until there are ``size``.

    Files are taken whole, because the ranker looks at how many candidates share a file.
    """
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


def _fit_ranker(
    corpus: PairCorpus, rows: WordRows, model: EmbedderModel, held: NDArray[np.bool_], config: SearchTrainingConfig
) -> dict[str, object]:
    """Print how a ranker fitted to four fifths of the questions does on the rest, by situation; return one fitted to
    all."""
    questions = questions_of(corpus, held, config.questions, config.seed)
    if not len(questions):
        raise UserError("no documented function in the held-out quarter of the files; give a larger tree")
    retrieval = ranker.PoolRetrieval(corpus, rows, model, pool_of(corpus, questions, _POOL, config.seed))
    with progress("Asking", len(questions)) as advance:
        candidates = ranker.gather(retrieval, corpus.fields["brief"], questions, advance)
    test = candidates[_TEST_EVERY - 1 :: _TEST_EVERY]
    others = [each for at, each in enumerate(candidates, 1) if at % _TEST_EVERY]
    weights = ranker.fit(others, config.seed)
    print(f"{len(test):,} held-out questions: MRR@10 / Recall@10")
    for situation in Situation:
        metrics = retrieval_metrics(ranker.ranks(weights, [each[situation] for each in test], DEPTH))
        print(f"{situation.value}: {metrics.mrr:.3f} / {metrics.recall:.3f}", flush=True)
    return ranker.fit(candidates, config.seed)


def export(corpus: PairCorpus, rows: WordRows, model: EmbedderModel, out: Path) -> None:
    """Write the embedder. Raises UserError if the folder is too large for the package."""
    weights = dict(zip(PARTS, map(float, model.field_weights), strict=True))
    fields = {**weights, "summary": _SUMMARY_FACTOR * weights["body"]}
    embedding = embedder_export.StaticEmbedding(
        rows.words, model.table.numpy(), np.exp(model.question_weights.numpy()), _idf(corpus, rows), fields,
        model.config.nested,
    )  # fmt: skip
    embedder_export.write(embedding, corpus.spellings[:_SPELLINGS], out)
    size = sum(file.stat().st_size for file in out.iterdir() if file.name not in _TEMPORARY)
    if size > embedder_export.MAX_BYTES:
        limit = embedder_export.MAX_BYTES >> 20
        raise UserError(f"{out}: {size >> 20} MB, more than the {limit} MB that ship; use fewer --dimensions")


def _idf(corpus: PairCorpus, rows: WordRows) -> NDArray[np.float32]:
    """Inverse document frequency of every row over the chunks."""
    chunk, _ = rows.chunks
    found = np.bincount(chunk.values, minlength=len(rows))
    idf: NDArray[np.float32] = np.log1p((len(corpus.names) - found + 0.5) / (found + 0.5)).astype(np.float32)
    return idf


@contextmanager
def _reported(title: str) -> Iterator[Report]:
    """Give a callback (done, total, message) that moves a progress bar."""
    with progress(title, 0) as advance:
        last = 0

        def report(done: int, total: int, message: str = "") -> None:
            nonlocal last
            advance(done - last, message, total)
            last = done

        yield report
