"""Ask questions with known answers about a tree, and see whether the right line is among the first sources.

    python -m benchmarks.ask_sources --tree TREE [--count 200] [--seed 12] [--json FILE]

The tree must be indexed. The questions are those of ``kexpert_trainer.data.questions``, made from facts of files in no
held-out subsystem. No model is asked. "right line" counts if one of the first six sources is the line from which the
question was made; "answered" if the program wrote an answer from facts, "right" if that holds what a right answer must.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kexpert.features.ask.ask import MAX_SOURCES, ask
from kexpert.workspace.saved_tree import SavedTree
from kexpert_trainer.data.questions import is_right, question_rows


@dataclass
class Tally:
    """Counts for one topic."""

    asked: int = 0
    found: int = 0
    answered: int = 0
    right: int = 0
    notes: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--vectors", action="store_true", help="let search compare vectors, as the server does")
    parser.add_argument("--json", type=Path, help="write each question with its sources here")
    args = parser.parse_args()
    root = args.tree.resolve()
    rows = question_rows(root, args.count, args.seed)
    tree = SavedTree(root, lambda message: print(message, file=sys.stderr))
    if args.vectors:
        tree.load_vectors()
    view = tree.snapshot().view
    tallies: dict[str, Tally] = defaultdict(Tally)
    seconds: list[float] = []
    told: list[dict[str, Any]] = []
    for row in rows:
        began = time.perf_counter()
        found = ask(view, row.question)
        seconds.append(time.perf_counter() - began)
        right = row.sources[row.notes["source"] - 1]
        places = [f"{each.path}:{each.line + 1}" for each in found.sources[:MAX_SOURCES]]
        tally = tallies[row.notes["topic"]]
        tally.asked += 1
        tally.found += right[0] in places
        tally.answered += found.origin == "facts"
        is_answer = found.origin == "facts" and is_right(found.text, row.notes["keys"])
        tally.right += is_answer
        if right[0] not in places or (found.origin == "facts" and not is_answer):
            wanted, said = f"wanted {right[0]}: {right[1]}", f"said {found.text[:160]!r} {places}"
            tally.notes.append(f"  {row.question}\n    {wanted}\n    {said}")
        told.append({"question": row.question, "right": right, "answer": found.text, "sources": places})
    print_table(tallies, seconds)
    if args.json:
        args.json.write_text(json.dumps(told, indent=1))
    tree.close()
    return 0


def print_table(tallies: dict[str, Tally], seconds: list[float]) -> None:
    print(f"| topic | questions | right line in the first {MAX_SOURCES} | answered from facts | right |")
    print("|---|---:|---:|---:|---:|")
    for topic, tally in sorted(tallies.items()):
        print(f"| {topic} | {tally.asked} | {tally.found} | {tally.answered} | {tally.right} |")
    every = list(tallies.values())
    sums = [sum(getattr(tally, name) for tally in every) for name in ("asked", "found", "answered", "right")]
    print("| all | " + " | ".join(map(str, sums)) + " |")
    seconds.sort()
    print(f"seconds: median {seconds[len(seconds) // 2]:.2f}, 95th percentile {seconds[int(len(seconds) * 0.95)]:.2f}")
    for topic, tally in sorted(tallies.items()):
        if tally.notes:
            print(f"\n{topic}:")
            print("\n".join(tally.notes))


if __name__ == "__main__":
    sys.exit(main())
