"""``python -m scripts.fit_line_ranker``: fit ``WEIGHTS`` of kexpert.model.copying.line_ranker.

Cuts holes into functions of an indexed tree and takes all lines of the neighbours as candidates. The weights maximise
the likelihood of the right lines. Two-fold cross-validation over functions says how often the best line is right. The
model itself has no influence, but its vocabulary has: run this again when the vocabulary changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from kexpert.core.c.source import Source
from kexpert.core.text import encode
from kexpert.features.inline.neighbours import NeighbourCache, find_neighbours
from kexpert.features.inline.prompt_context import RecentEdits
from kexpert.features.semantics.cursor import CursorContext
from kexpert.model.copying.cache_lm import CacheLM
from kexpert.model.copying.line_ranker import HoleFeatures, feature_columns, insertion_keys
from kexpert.model.copying.neighbour_index import NeighbourIndex
from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine
from kexpert.workspace.tree_index import TreeIndex
from kexpert_trainer.evaluation.eval_holes import Hole
from scripts.fitting import arguments, holes_by_file, minimise, open_model


@dataclass(frozen=True, slots=True)
class Example:
    """One hole. ``columns`` (candidates × features), ``key`` (equal for candidates that insert the same text) and
    ``is_right`` have a row a candidate."""

    function: int
    is_typed: bool
    columns: NDArray[np.float16]
    key: NDArray[np.int64]
    is_right: NDArray[np.bool_]


def main() -> None:
    args = arguments(__doc__.partition("\n")[0], functions=1000, seed=11).parse_args()
    model = open_model(args.model)
    tree_index = TreeIndex(args.tree, watch=False)
    names: list[str] = []
    examples: list[Example] = []
    for number, hole in chain.from_iterable(islice(holes_by_file(args.tree, args.seed), args.functions)):
        examples += examples_of(number, hole, model, tree_index, names)
        if len(examples) % 100 == 0:
            print(f"{len(examples)} holes", flush=True)
    tree_index.close()
    report(examples, names)


def examples_of(
    number: int, hole: Hole, model: LlamaCppEngine, tree_index: TreeIndex, names: list[str]
) -> Iterator[Example]:
    """The example of a hole; none if it has no candidates. Fills ``names`` with the names of the columns."""
    source = Source(hole.path, encode(hole.before + hole.after))
    cursor = CursorContext(tree_index.view({hole.path: source}), source, len(encode(hole.before)))
    near = find_neighbours(cursor, NeighbourCache(), RecentEdits())
    index = NeighbourIndex(model.vocabulary.pieces, model.encode)
    index.set_neighbours(near)
    index.ingest(lambda: False)
    lines, proximity, similarity = CacheLM(index, hole.before).candidate_lines()
    features = HoleFeatures(near)
    candidates = features.candidates(lines)
    if len(candidates.line):
        found = feature_columns(lines, proximity, similarity, features, candidates)
        names[:] = found
        matrix = np.stack([np.asarray(column, np.float16) for column in found.values()], 1)
        right, key = encode(hole.middle).partition(b"\n")[0].rstrip(), insertion_keys(lines, candidates)
        yield Example(number, bool(features.typed), matrix, key, key == crc32(right))


class Batch:
    """Examples as tensors with a row a candidate; ``example`` says to which example a row belongs."""

    def __init__(self, examples: list[Example]) -> None:
        self.count = len(examples)
        self.example = torch.tensor(np.repeat(np.arange(len(examples)), [len(each.is_right) for each in examples]))
        self.columns = torch.tensor(np.concatenate([each.columns for each in examples])).float()
        self.is_right = torch.tensor(np.concatenate([each.is_right for each in examples])).float()
        self.is_typed = torch.tensor([int(each.is_typed) for each in examples])
        self.has_right = self.sums(self.is_right) > 0

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        return torch.zeros(self.count).scatter_add(0, self.example, values)


class Ranker(torch.nn.Module):
    """``line_ranker.best_line`` with trainable weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.zeros(width))
        self.none = torch.nn.Parameter(torch.tensor([4.0, 0.0]))

    def loss(self, batch: Batch) -> torch.Tensor:
        """The negative log-likelihood in nats of the right lines, or of the outcome that no line is right."""
        weight = (batch.columns @ self.weights).clamp(max=30).exp()
        none = self.none[batch.is_typed].exp()
        right = batch.sums(weight * batch.is_right) + none * ~batch.has_right
        return -(right / (batch.sums(weight) + none)).log().mean()

    @torch.no_grad()
    def is_right(self, example: Example) -> bool:
        weight = np.exp(example.columns.astype(np.float32) @ self.weights.numpy())
        _, group = np.unique(example.key, return_inverse=True)
        best = np.bincount(group, weight).argmax()
        return bool(example.is_right[group == best].any())


def train(examples: list[Example], width: int) -> Ranker:
    ranker, batch = Ranker(width), Batch(examples)
    minimise(lambda: ranker.loss(batch), ranker.parameters(), 40)
    return ranker


def report(examples: list[Example], names: list[str]) -> None:
    """Print how often each half is right with weights fitted to the other, and the weights fitted to all."""
    halves = [train([each for each in examples if each.function % 2 != odd], len(names)) for odd in (0, 1)]
    for is_typed, name in ((False, "whole lines"), (True, "inside a line")):
        of_kind = [each for each in examples if each.is_typed == is_typed]
        right = sum(halves[each.function % 2].is_right(each) for each in of_kind)
        possible = sum(bool(each.is_right.any()) for each in of_kind)
        print(f"{name}: {len(of_kind)} holes with candidates, {possible} with the right line, first {right} times")
    ranker = train(examples, len(names))
    for name, weight in zip(names, ranker.weights.tolist(), strict=True):
        print(f'    "{name}": {weight:.2f},')
    print("NONE_WEIGHT = ({:.2f}, {:.2f})".format(*ranker.none.exp().tolist()))


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
