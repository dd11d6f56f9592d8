"""Load on ``kexpert web``: hovers and definitions at a fixed rate, and clients that only listen.

    python -m benchmarks.web_load --tree DIR [--rate 200] [--seconds 60] [--workers 1] [--listeners 1000]

Starts a server of its own on the saved index (``kexpert index`` first). Each of ``--readers`` readers opens a file of
the tree, asks 20 times about names in it, half hovers and half definitions, and goes on to another file. Questions are
due at fixed times whether or not the earlier ones are answered; a question's time counts from when it was due, so a
stalled server shows. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

_ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)/")
_NAME = re.compile(rb"[A-Za-z_]\w{3,}")
_QUESTIONS_PER_FILE = 20
_MAX_FILE_BYTES = 120_000


def questions(tree: Path, seed: int, count: int) -> list[str]:
    """Addresses, of one file after another."""
    chance = random.Random(seed)
    files = sorted(path for folder in ("fs", "kernel", "mm", "net", "block") for path in (tree / folder).rglob("*.c"))
    found: list[str] = []
    while len(found) < count:
        path = chance.choice(files)
        data = path.read_bytes()
        names = list(_NAME.finditer(data))
        if len(data) > _MAX_FILE_BYTES or len(names) < _QUESTIONS_PER_FILE:
            continue
        relative = quote(path.relative_to(tree).as_posix())
        for at, match in enumerate(chance.sample(names, _QUESTIONS_PER_FILE)):
            line = data.count(b"\n", 0, match.start()) + 1
            column = len(data[data.rfind(b"\n", 0, match.start()) + 1 : match.start()].decode("utf-8", "replace")) + 1
            what = "hover" if at % 2 else "definition"
            found.append(f"/v1/{what}?path={relative}&line={line}&column={column}")
    return found[:count]


class Connection:
    """One kept connection that speaks just enough HTTP."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, address: str) -> int:
        """The status of the answer, which is read to its end."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def load(port: int, tree: Path, rate: float, seconds: float, readers: int) -> dict[str, Any]:
    """Ask at a fixed rate, spread over the readers."""
    count = int(rate * seconds)
    per_reader = count // readers + 1
    queues = [questions(tree, seed, per_reader) for seed in range(readers)]
    times: dict[str, list[float]] = {"hover": [], "definition": []}
    statuses: Counter[str] = Counter()
    began = asyncio.get_running_loop().time() + 0.2

    async def read(number: int) -> None:
        connection = Connection(port)
        for turn, address in enumerate(queues[number]):
            due = began + (turn * readers + number) / rate
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            try:
                status = str(await asyncio.wait_for(connection.get(address), 30))
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                status = type(error).__name__
                connection.close()
            statuses[status] += 1
            times[address[4 : address.index("?")]].append(asyncio.get_running_loop().time() - due)
        connection.close()

    await asyncio.gather(*(read(number) for number in range(readers)))
    elapsed = asyncio.get_running_loop().time() - began
    every = sorted(times["hover"] + times["definition"])
    return {
        "asked": len(every), "per_second": round(len(every) / elapsed, 1), "statuses": dict(statuses),
        **{f"p{share}_ms": _share(every, share) for share in (50, 95, 99)}, "max_ms": round(every[-1] * 1e3, 1),
        **{f"{what}_p95_ms": _share(sorted(found), 95) for what, found in times.items()},
    }  # fmt: skip


def _share(ordered: list[float], percent: int) -> float:
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1e3, 1)


async def listen(port: int, count: int, seconds: float, pid: int) -> dict[str, Any]:
    """Clients that listen for events while one asks now and then."""
    before = _resident_mb(pid)
    streams = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        streams.append((reader, writer))
    heads = await asyncio.gather(*(reader.readuntil(b"event: index") for reader, _ in streams))
    cpu = _cpu_seconds(pid)
    began = time.monotonic()
    connection, times = Connection(port), []
    while time.monotonic() - began < seconds:
        started = time.monotonic()
        await connection.get("/v1/hover?path=fs/open.c&line=1&column=1")
        times.append(time.monotonic() - started)
        await asyncio.sleep(0.25)
    connection.close()
    alive = sum(not reader.at_eof() for reader, _ in streams)
    found = {
        "listeners": sum(b" 200 " in head for head in heads), "still_connected": alive,
        "mb_more": round(_resident_mb(pid) - before, 1), "cpu_share": round((_cpu_seconds(pid) - cpu) / seconds, 3),
        "hover_p95_ms": _share(sorted(times), 95),
    }  # fmt: skip
    for _, writer in streams:
        writer.close()
    return found


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_seconds(pid: int) -> float:
    """Of a process and the children that it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def tree_cpu_seconds(pid: int) -> float:
    total = _cpu_seconds(pid)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if path.read_text().rsplit(")", 1)[1].split()[1] == str(pid):
                total += tree_cpu_seconds(int(path.parent.name))
        except OSError:
            continue
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=200.0, help="questions a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--readers", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--listeners", type=int, default=0, help="afterwards, so many clients listen for 30 s")
    args = parser.parse_args()
    with server(args.tree, args.workers) as (pid, port):
        asyncio.run(load(port, args.tree, 50, 5, 10))  # what a server that runs has in memory
        cpu, began = tree_cpu_seconds(pid), time.monotonic()
        found = {"load_average": os.getloadavg()[0], "workers": args.workers}
        found |= asyncio.run(load(port, args.tree, args.rate, args.seconds, args.readers))
        found["server_cpu"] = round((tree_cpu_seconds(pid) - cpu) / (time.monotonic() - began), 2)
        found["load_average_after"] = os.getloadavg()[0]
        if args.listeners:
            found["listening"] = asyncio.run(listen(port, args.listeners, 30, pid))
        print(json.dumps(found))
    return 0


@contextmanager
def server(tree: Path, workers: int) -> Iterator[tuple[int, int]]:
    """(process, port) of a server of its own on the saved index, once it answers. Raises SystemExit."""
    command = [sys.executable, "-m", "kexpert", "web", "--read-only", "--no-model", "--rate", "0", "--listen", "0",
               "--tree", str(tree), "--workers", str(workers)]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        assert process.stdout is not None
        address = _ADDRESS.search(process.stdout.readline())
        if address is None:
            raise SystemExit("the server did not start")
        asyncio.run(_until_ready(int(address[1])))
        yield process.pid, int(address[1])
    finally:
        process.terminate()
        process.wait(30)


async def _until_ready(port: int) -> None:
    for _ in range(600):
        try:
            if await Connection(port).get("/readyz") == 200:
                return
        except (OSError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(0.2)
    raise SystemExit("the server does not answer")


if __name__ == "__main__":
    sys.exit(main())
