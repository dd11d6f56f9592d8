"""``python -m scripts.fit_lines``: fit ``WEIGHTS`` of kexpert.model.copying.line_ranker.

Holes are cut into functions of an indexed tree; all lines near each are candidates, and the weights are those that
make the right ones likeliest. Each half of the functions, fitted, tells how often the likeliest line is right in the
other. The model has no say in it: only its vocabulary counts, so it is to be run again when that changes.
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
from kexpert.features.inline.context import Recent
from kexpert.features.inline.neighbours import Nearby, neighbours
from kexpert.model.copying.line_ranker import Here, columns, endings
from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine
from kexpert.workspace.tree_index import TreeIndex
from kexpert_trainer.evaluation.eval_holes import Hole
from scripts.fitting import arguments, holes_by_file, minimise, open_model


@dataclass(frozen=True, slots=True)
class Asked:
    """One hole: what speaks for each candidate, which of them are alike, and which are right."""

    function: int
    typed: bool
    columns: NDArray[np.float16]
    key: NDArray[np.int64]
    right: NDArray[np.bool_]


def main() -> None:
    args = arguments(__doc__.partition("\n")[0], functions=1000, seed=11).parse_args()
    model = open_model(args.model)
    index = TreeIndex(args.tree, watch=False)
    names: list[str] = []
    asked = []
    for number, hole in chain.from_iterable(islice(holes_by_file(args.tree, args.seed), args.functions)):
        asked += listen(number, hole, model, index, names)
        if len(asked) % 100 == 0:
            print(f"{len(asked)} holes", flush=True)
    index.close()
    report(asked, names)


def listen(number: int, hole: Hole, model: LlamaCppEngine, index: TreeIndex, names: list[str]) -> Iterator[Asked]:
    """What speaks for the lines near a hole; ``names`` are those of the columns, and filled here."""
    source = Source(hole.path, encode(hole.before + hole.after))
    near = neighbours(index.view({hole.path: source}), source, len(encode(hole.before)), Nearby(), Recent())
    model.read(near, lambda: False)
    assert model._library
    notes, kin, like = model._library.echo(hole.before).lines()
    here = Here(near)
    may = here.possible(notes)
    if len(may.at):
        found = columns(notes, kin, like, here, may)
        names[:] = found
        matrix = np.stack([np.asarray(column, np.float16) for column in found.values()], 1)
        wanted, key = encode(hole.middle).partition(b"\n")[0].rstrip(), endings(notes, may)
        yield Asked(number, bool(here.typed), matrix, key, key == crc32(wanted))


class Holes:
    """Several holes as tensors, a row for each candidate."""

    def __init__(self, asked: list[Asked]) -> None:
        self.count = len(asked)
        self.owner = torch.tensor(np.repeat(np.arange(len(asked)), [len(each.right) for each in asked]))
        self.columns = torch.tensor(np.concatenate([each.columns for each in asked])).float()
        self.right = torch.tensor(np.concatenate([each.right for each in asked])).float()
        self.typed = torch.tensor([int(each.typed) for each in asked])
        self.there = self.sums(self.right) > 0

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        return torch.zeros(self.count).scatter_add(0, self.owner, values)


class Chooser(torch.nn.Module):
    """What ``line_choice.choose`` does, with weights that learn."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.zeros(width))
        self.none = torch.nn.Parameter(torch.tensor([4.0, 0.0]))

    def loss(self, holes: Holes) -> torch.Tensor:
        """Nats for the right line, or for that none is right."""
        loud = (holes.columns @ self.weights).clamp(max=30).exp()
        none = self.none[holes.typed].exp()
        rightly = holes.sums(loud * holes.right) + none * ~holes.there
        return -(rightly / (holes.sums(loud) + none)).log().mean()

    @torch.no_grad()
    def is_right(self, asked: Asked) -> bool:
        loud = np.exp(asked.columns.astype(np.float32) @ self.weights.numpy())
        _, which = np.unique(asked.key, return_inverse=True)
        best = np.bincount(which, loud).argmax()
        return bool(asked.right[which == best].any())


def learn(asked: list[Asked], width: int) -> Chooser:
    chooser, holes = Chooser(width), Holes(asked)
    minimise(lambda: chooser.loss(holes), chooser.parameters(), 40)
    return chooser


def report(asked: list[Asked], names: list[str]) -> None:
    """Print how often each half, fitted to the other, is right, and the weights of all."""
    halves = [learn([each for each in asked if each.function % 2 != odd], len(names)) for odd in (0, 1)]
    for typed, name in ((False, "whole lines"), (True, "inside a line")):
        right = [halves[each.function % 2].is_right(each) for each in asked if each.typed == typed]
        there = sum(bool(each.right.any()) for each in asked if each.typed == typed)
        print(
            f"{name}: {len(right)} holes with candidates, {there} with the right line; it is chosen {sum(right)} times"
        )
    chooser = learn(asked, len(names))
    for name, weight in zip(names, chooser.weights.tolist(), strict=True):
        print(f'    "{name}": {weight:.2f},')
    print("NONE = ({:.2f}, {:.2f})".format(*chooser.none.exp().tolist()))


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
