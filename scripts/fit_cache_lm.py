"""``python -m scripts.fit_cache_lm``: fit ``WEIGHTS`` of kexpert.model.copying.cache_lm to a model.

Cuts holes into functions of files that the model was not trained on. For each true token of a hole it records the
matching positions of the neighbours and their features. The weights maximise the likelihood of the true tokens on two
thirds of the functions; the last third measures them. Run it when another model ships, and copy the printed weights
into ``WEIGHTS``.
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
from kexpert.features.inline.neighbours import NeighbourCache, find_neighbours
from kexpert.features.inline.prompt_context import RecentEdits, build_context
from kexpert.features.semantics.cursor import CursorContext
from kexpert.model.copying.cache_lm import LONG_MATCH, MAX_MATCH, MIN_ERROR, CacheLM, entropy
from kexpert.model.copying.neighbour_index import NeighbourIndex
from kexpert.model.decoding.decoder import log_sum_exp
from kexpert.model.decoding.token_healing import TokenHealing
from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine
from kexpert.model.fim_markers import fit_prompt
from kexpert.workspace.tree_index import TreeIndex
from kexpert_trainer.evaluation.eval_holes import Hole
from scripts.fitting import arguments, holes_by_file, minimise, open_model

_ANSWER_TOKENS = 96
_MAX_TOKENS_A_HOLE = 20
#: Maximum positions recorded for one token, those with the longest matches first: a comma has ten thousand.
_MAX_POSITIONS = 1500
#: Match lengths at which a group with a weight of its own begins.
_GROUP_STARTS = (0, 1, 2, 3, 4, 5, 6, 7, 9, 13)
_GROUPS = np.searchsorted(_GROUP_STARTS, np.arange(MAX_MATCH + 1), side="right") - 1


@dataclass(slots=True)
class Records:
    """``function`` and ``model`` have an entry a token. The others have arrays with an entry a position, and
    ``token`` says to which token a position belongs."""

    function: list[int] = field(default_factory=list)
    model: list[tuple[float, float, float]] = field(default_factory=list)  # log p of the true token, entropy, max p
    token: list[Any] = field(default_factory=list)
    is_true: list[Any] = field(default_factory=list)
    length: list[Any] = field(default_factory=list)
    proximity: list[Any] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)


def main() -> None:
    parser = arguments(__doc__.partition("\n")[0], functions=120, seed=7)
    parser.add_argument(
        "--corpus", type=Path, required=True, help="the model's training corpus; its files are left out"
    )
    args = parser.parse_args()
    model = open_model(args.model)
    tree_index = TreeIndex(args.tree, watch=False)
    records, holes = Records(), unseen_holes(args.tree, args.corpus, args.functions, args.seed)
    for at, (number, hole) in enumerate(holes):
        record(records, number, hole, model, tree_index)
        if at % 20 == 0:
            print(f"{at} of {len(holes)} holes, {len(records.model)} tokens", flush=True)
    tree_index.close()
    fit(records)


def unseen_holes(tree: Path, corpus: Path, count: int, seed: int) -> list[tuple[int, Hole]]:
    """Holes of about ``count`` functions of files outside the training corpus."""
    seen = {line.partition("\t")[0] for part in corpus.glob("train-*.tsv") for line in part.read_text().splitlines()}
    found: list[tuple[int, Hole]] = []
    for holes in holes_by_file(tree, seed, seen):
        found += holes
        if len(found) >= 2 * count:
            break
    return found


def record(records: Records, number: int, hole: Hole, model: LlamaCppEngine, tree_index: TreeIndex) -> None:
    """Record, for each true token of a hole, the model's probabilities and the matching positions."""
    source = Source(hole.path, encode(hole.before + hole.after))
    cursor = CursorContext(tree_index.view({hole.path: source}), source, len(encode(hole.before)))
    max_prompt_tokens = model.context - _ANSWER_TOKENS
    context = build_context(cursor, max_prompt_tokens)
    ids, tail = fit_prompt(context, model._order, model.encode, model.markers, max_prompt_tokens)
    index = NeighbourIndex(model.vocabulary.pieces, model.encode)
    index.set_neighbours(find_neighbours(cursor, NeighbourCache(), RecentEdits()))
    index.ingest(lambda: False)
    cache_lm = CacheLM(index, context.prefix)
    healing, logits = TokenHealing(model.vocabulary, tail.encode()), model._evaluate(ids, lambda: False)
    for token in model.encode(tail + hole.middle)[:_MAX_TOKENS_A_HOLE]:
        allowed = healing.allowed()
        if allowed is not None and token not in allowed:
            return  # tokenized in a way that decoding would not choose
        among = logits if allowed is None else logits[allowed]
        probabilities = np.exp(among - log_sum_exp(among))
        true = token if allowed is None else int(np.flatnonzero(allowed == token)[0])
        for at, each in enumerate(cache_lm.indexes):
            positions, length = cache_lm.matches(at, allowed)
            longest = np.argsort(-length, kind="stable")[:_MAX_POSITIONS]
            positions, length = positions[longest], length[longest]
            records.token.append(np.full(len(positions), len(records.model)))
            records.is_true.append(each.ids[positions] == token)
            records.length.append(length)
            records.proximity.append(each.proximity[positions])
            records.lines.append(np.stack(cache_lm.line_similarities[at], 1)[each.line[positions]])
        logprob = float(np.log(max(probabilities[true], 1e-9)))
        records.model.append((logprob, entropy(probabilities), float(probabilities.max())))
        records.function.append(number)
        cache_lm.accept(token)
        healing.accept(model.vocabulary.pieces[token])
        logits = model._advance(token)


class Mixture(torch.nn.Module):
    """``CacheLM.mix`` with trainable weights."""

    def __init__(self, records: Records) -> None:
        super().__init__()
        length = np.concatenate(records.length)
        self.token = torch.tensor(np.concatenate(records.token))
        self.is_true = torch.tensor(np.concatenate(records.is_true))
        self.group = torch.tensor(_GROUPS[length])
        self.is_long = torch.tensor(length >= LONG_MATCH).long()
        self.place = torch.tensor(np.concatenate(records.proximity)).long()
        self.line = torch.tensor(np.concatenate(records.lines).astype(np.float32))
        self.logprob, self.entropy, self.max = torch.tensor(records.model).T
        self.lengths = torch.nn.Parameter(torch.arange(len(_GROUP_STARTS)) * 0.3)
        self.lines = torch.nn.Parameter(torch.zeros(2, 4))
        self.proximity = torch.nn.Parameter(torch.zeros(4))
        self.model = torch.nn.Parameter(torch.tensor([3.0, 0.0]))

    def forward(self) -> torch.Tensor:
        """The log-probability of each true token."""
        score = self.lengths[self.group] + self.proximity[self.place]
        score = score + (self.line * self.lines[self.is_long]).sum(1)
        weight, zero = score.exp(), torch.zeros(len(self.logprob))
        total, true = (zero.scatter_add(0, self.token, each) for each in (weight, weight * self.is_true))
        model = (self.model[0] + self.model[1] * self.entropy).exp() / (1 + MIN_ERROR - self.max).sqrt()
        return ((true + model * self.logprob.exp() + 1e-9) / (total + model)).log()


def fit(records: Records) -> None:
    """Print the loss on the last third of the functions, fitted to the others, and the weights fitted to all."""
    mixture = Mixture(records)
    number = torch.tensor(records.function)
    fitted = number <= np.quantile(records.function, 2 / 3)
    for name, subset in (("two thirds", fitted), ("all", torch.ones_like(fitted))):
        train(mixture, subset)
        with torch.no_grad():
            alone, mixed = -mixture.logprob[~fitted].mean(), -mixture()[~fitted].mean()
        print(f"fitted to {name}: nats a token of the last third ({int((~fitted).sum())} tokens): "
              f"model alone {alone:.3f}, with neighbours {mixed:.3f}")  # fmt: skip
    print("\n".join(formatted(mixture)))


def train(mixture: Mixture, subset: torch.Tensor) -> None:
    minimise(lambda: -mixture()[subset].mean(), mixture.parameters(), 30)


def formatted(mixture: Mixture) -> Iterator[str]:
    """The weights as ``cache_lm.WEIGHTS`` writes them."""

    def tuple_of(values: torch.Tensor) -> str:
        return "(" + ", ".join(f"{value:.2f}" for value in values.tolist()) + ")"

    yield f"length    {tuple_of(mixture.lengths[torch.tensor(_GROUPS)])}"
    yield f"lines     ({tuple_of(mixture.lines[0])}, {tuple_of(mixture.lines[1])})"
    yield f"proximity {tuple_of(mixture.proximity)}"
    yield f"model     {mixture.model[0]:.2f}\nentropy   {mixture.model[1]:.2f}"


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
