"""Latencies of the real server over stdio, with a warm index, at random positions."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.indexing import environment
from benchmarks.processes import rss_mb, session_rss_mb, settle
from benchmarks.sample import SEED, Use, files, uses
from tests.support.lsp_client import Client, ServerError

FILES = 150
USES_PER_FILE = 4
REFERENCES = 60
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Wait:
    """One request: milliseconds until its answer; ``answered`` if the answer was not empty."""

    ms: float
    answered: bool


def latencies(root: Path, cache: Path) -> dict[str, dict[str, float]]:
    """Milliseconds by request, and the memory of the processes at the end."""
    drawn = list(uses(root, files(root, FILES, ".c"), USES_PER_FILE))
    random.Random(SEED).shuffle(drawn)
    started = time.perf_counter()
    with Client(env=environment(cache), timeout=TIMEOUT_SECONDS, quiet=True) as client:
        client.initialize(root, encodings=["utf-8"])
        initialized = milliseconds(started)
        uri = client.open_file(drawn[0].path)
        client.at("hover", uri, drawn[0].position)
        first_hover = milliseconds(started)
        client.close(uri)
        settle(client.pid)
        waits: dict[str, list[Wait]] = defaultdict(list)
        for use in drawn:
            uri = client.open_file(use.path)
            for name, wait in short_requests(client, uri, use).items():
                waits[name].append(wait)
            client.close(uri)
        waits["references"] = [references(client, use) for use in drawn[:REFERENCES]]
        memory = {"rss_mb_after": rss_mb(client.pid), "session_rss_mb_after": session_rss_mb(client.pid)}
    return {
        "start": {"initialize_ms": initialized, "first_hover_ms": first_hover, **memory},
        **{name: spread(values) for name, values in waits.items()},
    }


def short_requests(client: Client, uri: str, use: Use) -> dict[str, Wait]:
    half = (len(use.name) + 1) // 2
    query = {"query": use.name[: max(3, half)]}
    typed = use.position | {"character": use.column + half}
    return {
        "hover": timed(client, lambda: client.at("hover", uri, use.position)),
        "definition": timed(client, lambda: client.at("definition", uri, use.position)),
        "completion": timed(client, lambda: client.at("completion", uri, typed)),
        "workspace symbol": timed(client, lambda: client.request("workspace/symbol", query)),
    }


def references(client: Client, use: Use) -> Wait:
    uri = client.open_file(use.path)
    context = {"includeDeclaration": True}
    wait = timed(client, lambda: client.at("references", uri, use.position, context=context))
    client.close(uri)
    return wait


def timed(client: Client, call: Callable[[], Any]) -> Wait:
    """Time until the last byte of the answer was read, without decoding it. An error counts as infinite."""
    started = time.perf_counter()
    try:
        answer = call()
    except ServerError:
        return Wait(float("inf"), False)
    said = answer.get("items", answer) if isinstance(answer, dict) else answer
    return Wait((client.last_answer_at - started) * 1000, bool(said))


def milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def spread(waits: list[Wait]) -> dict[str, float]:
    ordered = sorted(wait.ms for wait in waits)
    p50, p95 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95))
    answered = sum(wait.answered for wait in waits)
    return {"requests": len(waits), "answered": answered, "p50": p50, "p95": p95, "max": ordered[-1]}
