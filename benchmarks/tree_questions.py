"""How long grep, call chains and reports on patches take on a whole tree, by one process with a warm index.

    XDG_CACHE_HOME=… python -m benchmarks.tree_questions --tree linux-6.1 [--other linux-6.12]

Patterns are drawn from the lines of random C files and have at least three literal letters: parts of names, words of
strings, two words with a gap, alternatives, digits after a name, and some that hardly anything matches. Functions
of the call chains are drawn too. Wall and CPU seconds: on an idle machine with the files in the page cache they agree.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from benchmarks import patches
from benchmarks.sample import SEED, files
from kexpert.core.symbols import Kind
from kexpert.workspace.saved_tree import SavedTree
from kexpert.workspace.snapshot import Snapshot

PATTERNS, FUNCTIONS, PATHS, PATCHES = 240, 150, 60, 50
_WORD = re.compile(r"[A-Za-z_]\w{4,}")


def drawn_patterns(root: Path, count: int, draw: random.Random) -> Iterator[str]:
    paths = files(root, count, ".c")
    while count:
        lines = (root / draw.choice(paths)).read_text("latin-1").splitlines()
        words = _WORD.findall(draw.choice(lines or [""]))
        pattern = _pattern(words, count, draw) if words else ""
        if len(re.findall("[A-Za-z]", pattern)) >= 3:
            count -= 1
            yield pattern


def _pattern(words: list[str], number: int, draw: random.Random) -> str:
    word = draw.choice(words)
    start = draw.randrange(len(word) - 3)
    part = word[start : start + draw.randint(3, 8)]
    match number % 8:
        case 0:
            return re.escape(part)
        case 1:
            return rf"\b{word}\b"
        case 2:
            return f"{words[0]}.*{words[-1]}"
        case 3:
            return rf"({part}|{word})\s*\("
        case 4:
            return rf"{part}\w*[0-9]{{4}}"
        case 5:
            return f"(?i){part}"
        case 6:
            return rf"{word}\s*=\s*\w+_{part}"
        case _:
            return f"{part[:3]}[qxz]+{part[-1]}"


def spread(work: Callable[[Any], bool], cases: list[Any]) -> dict[str, Any]:
    """Times of each case, sorted; ``answered`` counts the cases with an answer."""
    wall, cpu, answered = [], [], 0
    for case in cases:
        began, used = time.perf_counter(), time.process_time()
        answered += work(case)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    slowest = sorted(zip(wall, map(str, cases), strict=True), reverse=True)[:3]
    return {
        "cases": len(cases), "answered": answered,
        **{f"{name} {share}": round(sorted(values)[min(int(len(values) * at), len(values) - 1)], 3)
           for name, values in (("wall s", wall), ("CPU s", cpu))
           for share, at in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))},
        "slowest": [f"{seconds:.2f} s: {case[:80]}" for seconds, case in slowest],
    }  # fmt: skip


def measure(
    root: Path, other: Path | None, seed: int, share: float, only: Collection[str]
) -> Iterator[dict[str, Any]]:
    """One report a question; ``share`` of the usual number of cases."""
    draw = random.Random(seed)
    snapshot: Snapshot = SavedTree(root, print).snapshot()
    view = snapshot.view

    def count(cases: int) -> int:
        return max(1, round(cases * share))

    patterns = list(drawn_patterns(root, count(PATTERNS), draw))
    if "grep" in only:
        yield {"grep": spread(lambda pattern: bool(snapshot.grep(pattern).hits), patterns)}
    functions = [s.name for path in files(root, 2 * count(FUNCTIONS), ".c", seed) for s in view.symbols_in(path)
                 if s.kind is Kind.FUNCTION]  # fmt: skip
    names = draw.sample(functions, count(FUNCTIONS))
    if "callchain" in only:
        yield {"callchain, up 2, down 3": spread(lambda name: snapshot.call_chain(name) is not None, names)}
    calls = [s.name for path in ("fs/open.c", "fs/read_write.c", "net/socket.c", "mm/mmap.c", "kernel/fork.c")
             for s in view.symbols_in(path) if s.kind is Kind.SYSCALL]  # fmt: skip
    ends = list(zip(draw.choices(calls, k=count(PATHS)), draw.sample(functions, count(PATHS)), strict=True))
    if "path" in only:
        yield {"callchain from a system call to a function": spread(lambda pair: _has_path(snapshot, *pair), ends)}
    if "diff" in only:
        drawn = patches.of_one_tree(root, count(PATCHES), seed)
        if other is not None:
            drawn = patches.drawn(root, other, count(PATCHES), seed)
        texts = [patch.text for patch in drawn]
        yield {"diff, a patch of one file": spread(lambda text: bool(snapshot.patch(text).files), texts)}


def _has_path(snapshot: Snapshot, name: str, other: str) -> bool:
    path = snapshot.call_path(name, other)
    return path is not None and bool(path.edges)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--other", type=Path, help="a later version, for patches; without it small ones are made up")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", choices=("grep", "callchain", "path", "diff"), action="append")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of cases")
    args = parser.parse_args()
    only = args.only or ("grep", "callchain", "path", "diff")
    for report in measure(args.tree, args.other, args.seed, args.share, only):
        print(json.dumps(report, indent=1), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
