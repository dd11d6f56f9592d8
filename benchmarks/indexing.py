"""The whole tree from nothing, and again when nothing changed; beside ``ctags -R`` on the same files."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from benchmarks.processes import Cost, measure

#: Without a language map ctags reads .h as C++.
CTAGS = ("ctags", "--languages=C", "--map-C=+.h")


def read_once(root: Path) -> None:
    """Every file into the page cache, so that who comes first is at no disadvantage."""
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                Path(folder, name).read_bytes()
            except OSError:
                continue


def kexpert_index(root: Path, cache: Path, *options: str) -> dict[str, float]:
    """The figures that ``kexpert index`` reports, with the cost of its processes."""
    command = [sys.executable, "-m", "kexpert", "index", "--tree", str(root), "--json", *options]
    cost = measure(command, root, environment(cache))
    return {
        **json.loads(cost.stdout.splitlines()[-1]),
        **figures(cost),
        "disk_mb": sum(p.stat().st_size for p in cache.rglob("*") if p.is_file()) / 2**20,
    }


def ctags_index(root: Path, out: Path) -> dict[str, float] | None:
    """None where there is no ctags."""
    if shutil.which("ctags") is None:
        return None
    cost = measure([*CTAGS, "-R", "-f", str(out), "."], root)
    return {**figures(cost), "disk_mb": out.stat().st_size / 2**20}


def environment(cache: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(cache)}


def figures(cost: Cost) -> dict[str, float]:
    return {"wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_rss_mb": cost.peak_rss_mb}
