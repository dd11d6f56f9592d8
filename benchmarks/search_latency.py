"""Latency of complete searches of a tree: ``python -m benchmarks.search_latency --tree TREE``.

The tree must be indexed, with vectors. Questions are kernel-doc summaries of the tree, drawn at random. Each is asked
once in the process that answers, after some that warm up. Prints median and 95th percentile of wall time and of this
process's CPU time.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from random import Random

from kexpert.core.c.extract import extract
from kexpert.core.docs.kerneldoc import comment_above, parse_kerneldoc
from kexpert.core.retrieval.chunk import ChunkKind, chunks
from kexpert.search.query import Searcher
from kexpert.view import SearchMethod
from kexpert.workspace.tree_index import SearchSettings, VectorReader, open_view

_WARM_UP = 10  # questions before those that are measured
_TRIED_FILES = 2_000


def questions(root: Path, count: int, seed: int) -> list[str]:
    """Kernel-doc summaries of functions, at most one of a file."""
    random = Random(seed)
    paths = sorted(path for path in root.rglob("*.c") if path.is_file())
    found: list[str] = []
    for path in random.sample(paths, min(_TRIED_FILES, len(paths))):
        if len(found) >= count:
            break
        data = path.read_bytes()
        if b"/**\n" not in data:
            continue
        name = str(path.relative_to(root))
        summaries = []
        for chunk in chunks(name, data, extract(name, data)):
            span = comment_above(data, chunk.start) if chunk.kind is ChunkKind.FUNCTION else None
            doc = parse_kerneldoc(data[span[0] : span[1]]) if span else None
            if doc is not None and len(doc.summary.split()) > 2:
                summaries.append(" ".join(doc.summary.replace(":", " ").split()))
        if summaries:
            found.append(random.choice(summaries))
    return found


def percentiles(values_ms: list[float]) -> str:
    """Median and 95th percentile."""
    ordered = sorted(values_ms)
    return f"{ordered[len(ordered) // 2]:.1f} / {ordered[int(len(ordered) * 0.95)]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-vectors", action="store_true", help="compare words alone")
    args = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as every kexpert process, before numpy is imported
    root = args.tree.resolve()
    asked = questions(root, args.questions + _WARM_UP, args.seed)
    vectors = None if args.no_vectors else VectorReader(root, SearchSettings(), print)
    try:
        view = open_view(root, vectors)
        Searcher.warm()
        for method in (SearchMethod.FUSED, SearchMethod.RERANKED):
            wall_ms, cpu_ms = [], []
            for at, text in enumerate(asked):
                wall, cpu = time.perf_counter(), time.process_time()
                view.search(text, method=method)
                if at >= _WARM_UP:
                    wall_ms.append((time.perf_counter() - wall) * 1e3)
                    cpu_ms.append((time.process_time() - cpu) * 1e3)
            print(f"{method.value}, {len(wall_ms)} questions, median / p95 ms: wall {percentiles(wall_ms)}, "
                  f"CPU of this process {percentiles(cpu_ms)}")  # fmt: skip
    finally:
        if vectors is not None:
            vectors.close()


if __name__ == "__main__":
    main()
