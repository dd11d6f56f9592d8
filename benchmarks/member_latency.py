"""References of members over stdio, in parts: how soon the first places come, the first hundred, all, and a cancel.

    python -m benchmarks.member_latency --tree DIR --cache CACHE [--seconds 30] [--member STRUCT.MEMBER]

One real server with a warm index, once it is idle. The references of each member are asked for at its declaration, with
a ``partialResultToken``. What is not answered after ``--seconds`` is cancelled. Wall time, at the client's end of
the pipe; the server is asked nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.indexing import environment
from benchmarks.processes import settle
from kexpert.core.symbols import Kind
from kexpert.workspace.saved_tree import SavedTree
from tests.support.lsp_client import Client, NoAnswer, RequestFailed

MEMBERS = ("super_block.s_flags", "inode.i_flags", "net_device.flags", "sk_buff.truesize", "device.of_node",
           "page.flags", "module.list")  # fmt: skip
_ENOUGH = 100
_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Place:
    path: str
    line: int
    column: int


def declared(tree: Path, cache: Path, names: list[str]) -> dict[str, Place]:
    """Where each member is declared, in a header that all may include."""
    os.environ.update(environment(cache))
    view = SavedTree(tree, print).snapshot().view
    found = {}
    for name in names:
        struct, _, member = name.partition(".")
        rows = view.lookup(member, (Kind.MEMBER,), 100_000)
        row = next(row for row in rows if row.scope.partition(".")[0] == struct and row.path.startswith("include/"))
        data = view.data(row.path) or b""
        found[name] = Place(row.path, row.line, row.name_start - data.rfind(b"\n", 0, row.name_start) - 1)
    return found


def measure(client: Client, name: str, place: Place, max_seconds: float) -> dict[str, Any]:
    uri = client.open_file(place.path)
    began, before = time.perf_counter(), len(client.parts)
    params = {
        "textDocument": {"uri": uri}, "position": {"line": place.line, "character": place.column},
        "context": {"includeDeclaration": True}, "partialResultToken": name,
    }  # fmt: skip
    request = client.send("textDocument/references", params)
    client.timeout = max_seconds
    report: dict[str, Any] = {"member": name}
    try:
        client.wait(request)
        report["all after s"] = client.last_answer_at - began
    except NoAnswer:
        client.timeout = _TIMEOUT_SECONDS
        cancelled = time.perf_counter()
        client.notify("$/cancelRequest", {"id": request})
        try:
            client.wait(request)
        except RequestFailed:
            report["cancelled after s"] = client.last_answer_at - cancelled
    client.close(uri)
    parts = [(at - began, len(value)) for at, _, value in client.parts[before:]]
    counts = list(accumulate(count for _, count in parts))
    report["places"] = counts[-1] if counts else 0
    report["first part after s"] = parts[0][0] if parts else None
    report["first hundred after s"] = next(
        (at for (at, _), count in zip(parts, counts, strict=True) if count >= _ENOUGH), None
    )
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in report.items()}


def reports(tree: Path, cache: Path, names: list[str], max_seconds: float) -> Iterator[dict[str, Any]]:
    places = declared(tree, cache, names)
    with Client(env=environment(cache), timeout=_TIMEOUT_SECONDS, quiet=True) as client:
        client.initialize(tree, encodings=["utf-8"])
        client.at("hover", client.open_file("fs/read_write.c"), {"line": 20, "character": 0})
        settle(client.pid)
        for name, place in places.items():
            yield measure(client, name, place, max_seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="XDG_CACHE_HOME of the index")
    parser.add_argument("--seconds", type=float, default=30.0, help="cancel after this time")
    parser.add_argument("--member", action="append", help="STRUCT.MEMBER, instead of the usual ones")
    args = parser.parse_args()
    for report in reports(args.tree.resolve(), args.cache.resolve(), args.member or [*MEMBERS], args.seconds):
        print(json.dumps(report), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
