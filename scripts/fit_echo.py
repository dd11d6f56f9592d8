"""``python -m scripts.fit_echo``: fit ``WEIGHTS`` of kexpert.model.copying.cache_lm to a model.

Holes are cut into functions of files that the model has not learnt from; for each token that truly stands there the
places that speak are noted, with what is known of them. The weights are those of maximum likelihood; two thirds of the
functions are fitted, a third tells how well. Run it when another model ships, and bring what it prints into WEIGHTS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kexpert.core.c.source import Source
from kexpert.core.text import encode
from kexpert.features.inline.context import Recent, gather
from kexpert.features.inline.neighbours import Nearby, neighbours
from kexpert.model.copying.cache_lm import LONGEST, SHORT, SUREST, entropy
from kexpert.model.decoding.token_healing import log_sum
from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine
from kexpert.model.fim_markers import fit_prompt
from kexpert.workspace.tree_index import TreeIndex
from kexpert_trainer.evaluation.eval_holes import Hole
from scripts.fitting import arguments, holes_by_file, minimise, open_model

_ANSWER = 96
_MOST_TOKENS = 20
#: Places that speak for one token: those with the longest matches, since a comma has ten thousand.
_MOST_PLACES = 1500
#: Matches so long are weighed alike: a group begins at each of these lengths.
_LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 9, 13)
_GROUPS = np.searchsorted(_LENGTHS, np.arange(LONGEST + 1), side="right") - 1


@dataclass(slots=True)
class Steps:
    """Tokens that were asked for, and the places that spoke, each with the number of its token."""

    function: list[int] = field(default_factory=list)
    model: list[tuple[float, float, float]] = field(default_factory=list)  # log p of the right token, entropy, most p
    owner: list[Any] = field(default_factory=list)
    right: list[Any] = field(default_factory=list)
    length: list[Any] = field(default_factory=list)
    kin: list[Any] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)


def main() -> None:
    parser = arguments(__doc__.partition("\n")[0], functions=120, seed=7)
    parser.add_argument("--corpus", type=Path, required=True, help="what it was trained on: those files are left out")
    args = parser.parse_args()
    model = open_model(args.model)
    index = TreeIndex(args.tree, watch=False)
    steps, holes = Steps(), holes_of(args.tree, args.corpus, args.functions, args.seed)
    for at, (number, hole) in enumerate(holes):
        listen(steps, number, hole, model, index)
        if at % 20 == 0:
            print(f"{at} of {len(holes)} holes, {len(steps.model)} tokens", flush=True)
    index.close()
    fit(steps)


def holes_of(tree: Path, corpus: Path, count: int, seed: int) -> list[tuple[int, Hole]]:
    """Holes of about so many functions of files that the model has not learnt from."""
    learnt = {line.partition("\t")[0] for part in corpus.glob("train-*.tsv") for line in part.read_text().splitlines()}
    found: list[tuple[int, Hole]] = []
    for holes in holes_by_file(tree, seed, learnt):
        found += holes
        if len(found) >= 2 * count:
            break
    return found


def listen(steps: Steps, number: int, hole: Hole, model: LlamaCppEngine, index: TreeIndex) -> None:
    """Note who speaks, token by token, for what stood in a hole."""
    source = Source(hole.path, encode(hole.before + hole.after))
    offset, view = len(encode(hole.before)), index.view({hole.path: source})
    room = model.context - _ANSWER
    context = gather(view, source, offset, room)
    ids, tail = fit_prompt(context, model._order, model.encode, model.markers, room)
    model.read(neighbours(view, source, offset, Nearby(), Recent()), lambda: False)
    assert model._library
    echo = model._library.echo(context.prefix)
    left, logits = tail.encode(), model._evaluate(ids, lambda: False)
    for token in model.encode(tail + hole.middle)[:_MOST_TOKENS]:
        allowed = model.vocabulary.beginning(left) if left else None
        if allowed is not None and token not in allowed:
            return  # written in other tokens than serving would choose
        among = logits if allowed is None else logits[allowed]
        probabilities = np.exp(among - log_sum(among))
        right = token if allowed is None else int(np.flatnonzero(allowed == token)[0])
        for at, shelf in enumerate(echo.shelves):
            places, length = echo.places(at, allowed)
            best = np.argsort(-length, kind="stable")[:_MOST_PLACES]
            places, length = places[best], length[best]
            steps.owner.append(np.full(len(places), len(steps.model)))
            steps.right.append(shelf.ids[places] == token)
            steps.length.append(length)
            steps.kin.append(shelf.kin[places])
            steps.lines.append(np.stack(echo.features[at], 1)[shelf.line[places]])
        told = float(np.log(max(probabilities[right], 1e-9)))
        steps.model.append((told, entropy(probabilities), float(probabilities.max())))
        steps.function.append(number)
        echo.take(token)
        left = left[len(model.vocabulary.pieces[token]) :]
        logits = model._advance(token)


class Mixture(torch.nn.Module):
    """What ``Echo.mixed`` does, with weights that learn."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        length = np.concatenate(steps.length)
        self.owner = torch.tensor(np.concatenate(steps.owner))
        self.right = torch.tensor(np.concatenate(steps.right))
        self.group = torch.tensor(_GROUPS[length])
        self.longer = torch.tensor(length >= SHORT).long()
        self.kin = torch.tensor(np.concatenate(steps.kin)).long()
        self.line = torch.tensor(np.concatenate(steps.lines).astype(np.float32))
        self.told, self.entropy, self.most = torch.tensor(steps.model).T
        self.lengths = torch.nn.Parameter(torch.arange(len(_LENGTHS)) * 0.3)
        self.lines = torch.nn.Parameter(torch.zeros(2, 4))
        self.kins = torch.nn.Parameter(torch.zeros(4))
        self.model = torch.nn.Parameter(torch.tensor([3.0, 0.0]))

    def forward(self) -> torch.Tensor:
        """The logarithm of the right token's probability, for each token."""
        score = self.lengths[self.group] + self.kins[self.kin] + (self.line * self.lines[self.longer]).sum(1)
        loud, zero = score.exp(), torch.zeros(len(self.told))
        said, rightly = (zero.scatter_add(0, self.owner, each) for each in (loud, loud * self.right))
        own = (self.model[0] + self.model[1] * self.entropy).exp() / (1 + SUREST - self.most).sqrt()
        return ((rightly + own * self.told.exp() + 1e-9) / (said + own)).log()


def fit(steps: Steps) -> None:
    """Print how well two thirds of the functions tell the others, and the weights of all."""
    mixture = Mixture(steps)
    number = torch.tensor(steps.function)
    fitted = number <= np.quantile(steps.function, 2 / 3)
    for name, those in (("two thirds", fitted), ("all", torch.ones_like(fitted))):
        learn(mixture, those)
        with torch.no_grad():
            alone, together = -mixture.told[~fitted].mean(), -mixture()[~fitted].mean()
        print(f"fitted to {name}: nats a token of the last third ({int((~fitted).sum())} tokens): "
              f"model alone {alone:.3f}, with neighbours {together:.3f}")  # fmt: skip
    print("\n".join(weights(mixture)))


def learn(mixture: Mixture, those: torch.Tensor) -> None:
    minimise(lambda: -mixture()[those].mean(), mixture.parameters(), 30)


def weights(mixture: Mixture) -> Iterator[str]:
    """As they are written in echo.py."""

    def written(values: torch.Tensor) -> str:
        return "(" + ", ".join(f"{value:.2f}" for value in values.tolist()) + ")"

    yield f"length {written(mixture.lengths[torch.tensor(_GROUPS)])}"
    yield f"lines  ({written(mixture.lines[0])}, {written(mixture.lines[1])})"
    yield f"kin    {written(mixture.kins)}"
    yield f"model  {mixture.model[0]:.2f}\nentropy {mixture.model[1]:.2f}"


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
