"""Shared by ``fit_cache_lm`` and ``fit_line_ranker``: arguments, a model, holes of a tree, and the optimiser."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import torch

from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine
from kexpert.prompt.manifest import parse_manifest
from kexpert_trainer.data.tree import c_files
from kexpert_trainer.evaluation.eval_holes import Hole, cut_holes
from kexpert_trainer.evaluation.new_functions import functions_of

#: Weight of the squared parameters in the loss.
_PENALTY = 1e-3


def arguments(description: str, functions: int, seed: int) -> argparse.ArgumentParser:
    """A parser for the common arguments; the numbers are defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tree", type=Path, required=True, help="an indexed tree")
    parser.add_argument("--model", type=Path, required=True, help="folder with model.json and its GGUF")
    parser.add_argument("--functions", type=int, default=functions)
    parser.add_argument("--seed", type=int, default=seed)
    return parser


def open_model(folder: Path) -> LlamaCppEngine:
    """Load the model of a folder, on one CPU thread."""
    manifest = parse_manifest((folder / "model.json").read_bytes())
    return LlamaCppEngine(folder / manifest.base, manifest, None, 1, 0)


def holes_by_file(tree: Path, seed: int, without: Collection[str] = ()) -> Iterator[list[tuple[int, Hole]]]:
    """For each file, in random order: (file number, hole) for a hole inside a line and one of a whole line of a random
    function, as far as there are such."""
    rng = random.Random(seed)
    paths = [path for path in c_files(tree) if path.endswith(".c") and path not in without]
    rng.shuffle(paths)
    for number, path in enumerate(paths):
        functions = list(functions_of(tree, path))
        holes = cut_holes([rng.choice(functions)], 1, number) if functions else []
        yield [(number, hole) for hole in holes if hole.kind != "lines"]


def minimise(loss: Callable[[], torch.Tensor], parameters: Iterable[torch.nn.Parameter], steps: int) -> None:
    """Minimise ``loss`` with an L2 penalty on the parameters, by at most ``steps`` iterations of L-BFGS."""
    weights = list(parameters)
    optimiser = torch.optim.LBFGS(weights, max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        total = loss() + _PENALTY * sum((each**2).sum() for each in weights)
        total.backward()
        return total

    optimiser.step(closure)
