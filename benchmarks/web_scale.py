"""What N trees, N processes and M readers cost ``kexpert web``: memory, CPU and waiting.

    python -m benchmarks.web_scale memory --tree DIR [--tree DIR …] [--workers 1 2 4]
    python -m benchmarks.web_scale load --tree DIR [--workers 1 2] [--rates 25 50 100 200 400] [--seconds 30]

"memory": a server for each tree at once, each asked 500 questions and 48 searches by meaning, then the memory of all
their processes: resident, where a page that two share counts twice, and proportional (PSS), where it counts once.
"load": a reader who hovers once a second is a rate of one, so that the highest rate with 95 of 100 answers within 50 ms
says how many readers a server carries. The indexes must be there (``kexpert index``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.web_load import Connection, load, server, tree_cpu_seconds

_SEARCHES = (
    "write out and wait on a file range", "wake up all waiters of a queue", "allocate a socket buffer",
    "free a page table", "register a network device", "drop a reference on an inode", "send a tcp reset",
    "read a block bitmap", "enable a clock", "request an interrupt", "suspend a device", "flush the tlb",
)  # fmt: skip


def processes(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if path.read_text().rsplit(")", 1)[1].split()[1] == str(pid):
                found += processes(int(path.parent.name))
        except OSError:
            continue
    return found


def memory_mb(pid: int) -> dict[str, float]:
    """Of one process: resident, proportional, and what it shares with nobody."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    fields = {row.split()[0]: int(row.split()[1]) for row in rows if row.endswith(" kB")}
    return {
        "resident": fields["Rss:"] / 1024, "proportional": fields["Pss:"] / 1024,
        "private": (fields["Private_Clean:"] + fields["Private_Dirty:"]) / 1024,
    }  # fmt: skip


def memory(trees: list[Path], workers: int) -> dict[str, Any]:
    with ExitStack() as running:
        servers = [running.enter_context(server(tree, workers)) for tree in trees]
        for tree, (_, port) in zip(trees, servers, strict=True):
            asyncio.run(load(port, tree, 50, 10, 10))
            asyncio.run(_search(port))
        every = [memory_mb(each) for pid, _ in servers for each in processes(pid)]
    total = {f"{kind} MB": round(sum(each[kind] for each in every)) for kind in every[0]}
    each_private = sorted((round(each["private"]) for each in every), reverse=True)
    return {"trees": len(trees), "workers of each": workers, **total, "private MB of each process": each_private}


async def _search(port: int) -> None:
    """Each by a connection of its own, so that every worker gets some."""
    for words in (each + more for more in ("", " now", " again", " safely") for each in _SEARCHES):
        connection = Connection(port)
        assert await connection.get(f"/v1/search?q={quote(words)}") == 200
        connection.close()


def under_load(tree: Path, workers: int, rate: float, seconds: float) -> dict[str, Any]:
    with server(tree, workers) as (pid, port):
        asyncio.run(load(port, tree, 50, 5, 10))  # what a server that runs has in memory
        cpu, began = tree_cpu_seconds(pid), time.monotonic()
        found = asyncio.run(load(port, tree, rate, seconds, max(4, min(80, round(rate)))))
        cores = (tree_cpu_seconds(pid) - cpu) / (time.monotonic() - began)
    return {"workers": workers, "rate": rate, **found, "server cores": round(cores, 2),
            "load average": round(os.getloadavg()[0], 1)}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "load"))
    parser.add_argument("--tree", type=Path, required=True, action="append")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=[25, 50, 100, 200, 400])
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    for workers in args.workers:
        if args.what == "memory":
            for count in range(1, len(args.tree) + 1):
                print(json.dumps(memory(args.tree[:count], workers)), flush=True)
        else:
            for rate in args.rates:
                print(json.dumps(under_load(args.tree[0], workers, rate, args.seconds)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
