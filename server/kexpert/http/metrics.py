"""Figures for Prometheus, in its text format. Several worker processes add up theirs through files."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SEPARATOR = "\t"


class Metrics:
    """Counters of one process. ``folder``: where the processes of one server leave theirs for each other."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._counts: defaultdict[str, float] = defaultdict(float)  # "name<tab>endpoint<tab>label" -> sum
        self.open_streams = 0
        self._started = time.time()

    def record(self, endpoint: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        bucket = bisect_left(_BUCKETS_SECONDS, seconds)
        self._counts[_SEPARATOR.join(("requests", endpoint, str(status)))] += 1
        self._counts[_SEPARATOR.join(("bucket", endpoint, str(bucket)))] += 1
        self._counts[_SEPARATOR.join(("seconds", endpoint, ""))] += seconds

    def save(self) -> None:
        """Leave this process's figures for the others."""
        if self._folder is None:
            return
        usage = resource.getrusage(resource.RUSAGE_SELF)
        state = {
            "pid": os.getpid(), "counts": self._counts, "streams": self.open_streams,
            "cpu": usage.ru_utime + usage.ru_stime, "rss": _resident_bytes(),
        }  # fmt: skip
        path = self._folder / f"{os.getpid()}.json"
        with contextlib.suppress(OSError):
            path.with_suffix(".new").write_text(json.dumps(state))
            path.with_suffix(".new").replace(path)

    def text(self, gauges: Iterable[tuple[str, str, float]]) -> str:
        """All figures of all processes. ``gauges``: (name, help, value) of what is the same in each."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        counts, streams, workers = defaultdict(float, self._counts), self.open_streams, 1
        cpu, resident = usage.ru_utime + usage.ru_stime, _resident_bytes()
        for other in self._others():
            for key, value in other["counts"].items():
                counts[key] += value
            if other["alive"]:
                streams, workers, resident = streams + other["streams"], workers + 1, resident + other["rss"]
            cpu += other["cpu"]
        lines = list(_requests(counts))
        for name, text, gauge in (
            *gauges,
            ("kexpert_open_streams", "Clients that wait for events.", streams),
            ("kexpert_workers", "Worker processes that answer.", workers),
            ("process_resident_memory_bytes", "Memory of the worker processes.", resident),
            ("process_start_time_seconds", "When this worker started, in seconds since 1970.", self._started),
        ):
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {_number(gauge)}"]
        lines += [
            "# HELP process_cpu_seconds_total CPU time of the worker processes.",
            "# TYPE process_cpu_seconds_total counter",
            f"process_cpu_seconds_total {_number(cpu)}",
        ]
        return "\n".join(lines) + "\n"

    def _others(self) -> Iterator[dict[str, Any]]:
        for path in self._folder.glob("*.json") if self._folder is not None else ():
            with contextlib.suppress(OSError, ValueError, KeyError):
                state = json.loads(path.read_text())
                if state["pid"] != os.getpid():
                    yield {**state, "alive": os.path.exists(f"/proc/{state['pid']}")}


def _requests(counts: Mapping[str, float]) -> Iterator[str]:
    rows = [(*_parts(key), counts[key]) for key in sorted(counts)]
    yield "# HELP kexpert_requests_total Answered requests."
    yield "# TYPE kexpert_requests_total counter"
    for name, endpoint, status, value in rows:
        if name == "requests":
            yield f'kexpert_requests_total{{endpoint="{endpoint}",status="{status}"}} {_number(value)}'
    yield "# HELP kexpert_request_seconds Time until the answer was sent."
    yield "# TYPE kexpert_request_seconds histogram"
    for name, endpoint, _, seconds in rows:
        if name != "seconds":
            continue
        total = 0.0
        for number, bound in enumerate((*_BUCKETS_SECONDS, "+Inf")):
            total += counts.get(f"bucket{_SEPARATOR}{endpoint}{_SEPARATOR}{number}", 0.0)
            yield f'kexpert_request_seconds_bucket{{endpoint="{endpoint}",le="{bound}"}} {_number(total)}'
        yield f'kexpert_request_seconds_sum{{endpoint="{endpoint}"}} {_number(seconds)}'
        yield f'kexpert_request_seconds_count{{endpoint="{endpoint}"}} {_number(total)}'


def _parts(key: str) -> tuple[str, str, str]:
    name, endpoint, label = key.split(_SEPARATOR)
    return name, endpoint, label


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6f}"


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
