"""How long an explanation and a hover take over stdio, at random functions of an indexed tree.

    python -m benchmarks.explain_latency --tree TREE [--cache DIR] [--count 200] [--model PATH] [--json]

``first``: the file was not asked about before in this server; the files are in the page cache. ``again``: the same
function once more. Without a model the page is all that is waited for. With ``--model`` (a chat model as ``chat.path``
takes it) the time to the page from facts is taken from the first part that is sent, then to the first words of the
model and to its last; hovers then run while the model works, as they do for a user. ``CPU`` is what the server itself
used meanwhile: on a machine that does something else as well, it says more than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.latency import TIMEOUT_SECONDS, Wait, spread, timed
from benchmarks.processes import settle
from benchmarks.sample import SEED, files
from kexpert.core.c.extract import extract
from kexpert.core.symbols import Kind
from tests.support.lsp_client import Client

_TOKEN = "page"


@dataclass(frozen=True, slots=True)
class Function:
    path: str
    line: int
    column: int

    @property
    def position(self) -> dict[str, int]:
        return {"line": self.line, "character": self.column}


def functions(root: Path, count: int) -> list[Function]:
    """One function of each of ``count`` random C files."""
    draw = random.Random(SEED)
    found: list[Function] = []
    for path in files(root, count * 2, ".c"):
        data = (root / path).read_bytes()
        defined = [symbol for symbol in extract(path, data).symbols if symbol.kind is Kind.FUNCTION]
        if defined and len(found) < count:
            symbol = draw.choice(defined)
            line = data.count(b"\n", 0, symbol.name_start)
            found.append(Function(path, line, symbol.name_start - data.rfind(b"\n", 0, symbol.name_start) - 1))
    return found


def measure(root: Path, cache: Path | None, count: int, options: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Milliseconds by what is waited for."""
    drawn = functions(root, count)
    waits: dict[str, list[Wait]] = defaultdict(list)
    env = {"XDG_CACHE_HOME": str(cache)} if cache else {}
    with Client(env=env, timeout=TIMEOUT_SECONDS, quiet=True) as client:
        client.initialize(root, encodings=["utf-8"], options=options, experimental={"kexpertExplain": True})
        client.at("hover", client.open_file(drawn[0].path), drawn[0].position)
        settle(client.pid)
        for function in drawn:
            for which in ("first", "again"):
                before = cpu_ms(client.pid)
                waits[f"page, {which}"].append(explain(client, function, waits, which))
                waits[f"page, {which}, CPU"].append(Wait(cpu_ms(client.pid) - before, True))
        for function in drawn:
            uri = client.open_file(function.path)
            for name in ("hover, first", "hover, again"):
                before = cpu_ms(client.pid)
                waits[name].append(timed(client, lambda: client.at("hover", uri, function.position)))  # noqa: B023
                waits[f"{name}, CPU"].append(Wait(cpu_ms(client.pid) - before, True))
            client.close(uri)
    return {name: spread(values) for name, values in waits.items()}


def cpu_ms(pid: int) -> float:
    """CPU time of all threads of a process."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e6


def explain(client: Client, function: Function, waits: dict[str, list[Wait]], which: str) -> Wait:
    """The wait for the page from facts; the waits for the model's words are added to ``waits``."""
    where = {"start": function.position, "end": function.position}
    client.parts.clear()
    started = time.perf_counter()
    arguments = [client.uri(function.path), where, _TOKEN]
    asked = client.send("workspace/executeCommand", {"command": "kexpert.explain", "arguments": arguments})
    answer = client.wait(asked)
    whole = Wait((client.last_answer_at - started) * 1000, bool(answer))
    parts = [(at, value["json"]) for at, token, value in client.parts if token == _TOKEN]
    if not parts:
        return whole
    first_words = next((at for at, page in parts if page["explanation"] or page["summary"]["model"]), None)
    if first_words is not None:
        waits[f"first words of the model, {which}"].append(Wait((first_words - started) * 1000, True))
    waits[f"whole page with the model, {which}"].append(whole)
    return Wait((parts[0][0] - started) * 1000, True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="XDG_CACHE_HOME with the index of the tree")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--model", default="", help="a chat model; without it chat.enabled is off")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    options: dict[str, Any] = {"diagnostics.checkpatch": False, "inline.enabled": False, "index.watch": False}
    options |= {"chat.path": args.model, "summaries.ahead": False} if args.model else {"chat.enabled": False}
    found = measure(args.tree.resolve(), args.cache, args.count, options)
    if args.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{os.cpu_count()} cores, {args.count} functions of {args.tree.name}\n")
    print("| ms | requests | p50 | p95 | max |\n|---|---:|---:|---:|---:|")
    for name, row in found.items():
        print(f"| {name} | {row['requests']} | {row['p50']:.0f} | {row['p95']:.0f} | {row['max']:.0f} |")


if __name__ == "__main__":
    main()
