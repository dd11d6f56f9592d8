"""What a second worktree costs: seconds, CPU and disk of its index, beside an indexed tree that it resembles.

    python -m benchmarks.second_tree --tree DIR --cache XDG_CACHE_HOME --scratch DIR [--changed 20]

``--cache`` must hold an index of ``--tree``. The tree is copied to ``--scratch``, every file gets a new time, some C
files get a function more. The copy and its index are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--changed", type=int, default=20)
    args = parser.parse_args()
    worktree = args.scratch / "second-tree"
    before = set((args.cache / "kexpert").iterdir())
    shutil.copytree(args.tree, worktree, symlinks=True, copy_function=shutil.copyfile)
    try:
        files = sorted(path for path in worktree.rglob("*.c") if path.is_file())
        for number, file in enumerate(random.Random(1).sample(files, args.changed)):
            with file.open("a") as text:
                text.write(f"\nint second_tree_{number}(int a)\n{{\n\treturn a;\n}}\n")
        os.sync()
        figures = measured(worktree, args.cache)
        new = set((args.cache / "kexpert").iterdir()) - before
        figures["own_mb"] = round(sum(allocated(path, 1) for folder in new for path in folder.rglob("*")) / 1e6)
        figures["shared_mb"] = round(sum(allocated(path, 2) for folder in new for path in folder.rglob("*")) / 1e6)
        print(json.dumps(figures))
        for folder in new:
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(worktree)


def measured(worktree: Path, cache: Path) -> dict[str, float]:
    """Index the tree. ``used_mb``: by how much less is free on the disk of the cache afterwards."""
    free, began = free_bytes(cache), time.monotonic()
    command = [sys.executable, "-m", "kexpert", "index", "--tree", str(worktree), "--json"]
    ran = subprocess.run(
        command, env={**os.environ, "XDG_CACHE_HOME": str(cache)}, stdout=subprocess.PIPE, text=True, check=True
    )
    wall, usage = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    os.sync()
    report = json.loads(ran.stdout)
    return {
        "wall_s": round(wall, 1), "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "names_s": report["seconds"], "search_s": report["search_seconds"],
        "files": report["files"], "vectors": report["vectors"],
        "used_mb": round((free - free_bytes(cache)) / 1e6),
    }  # fmt: skip


def free_bytes(folder: Path) -> int:
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def allocated(path: Path, min_links: int) -> int:
    """Bytes of a file on disk: of one with a single name for 1, of one with more for 2."""
    stat = path.lstat()
    return stat.st_blocks * 512 if path.is_file() and min(stat.st_nlink, 2) == min_links else 0


if __name__ == "__main__":
    main()
