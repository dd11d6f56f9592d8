"""Reads many files in order and asks something of each text, ahead and on a few threads.

Reading a file and matching a compiled expression both run without the interpreter's lock, so that threads help.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

_BATCH_FILES = 32
#: Batches in work for each thread: what is read in vain when the answer has enough is no more than these.
_BATCHES_AHEAD = 2
_MAX_THREADS = 4
#: Fewer files are read by the thread that asks.
_MIN_FILES = 64

#: (path, its text; None where there is none or it is not wanted)
Read = tuple[str, bytes | None]


def wanted_texts(
    paths: Sequence[str], read: Callable[[str], bytes | None], wanted: Callable[[bytes], bool]
) -> Iterator[Read]:
    """Each path in this order, with the text of those that ``wanted`` takes. Both functions run on any thread."""
    threads = min(os.cpu_count() or 1, _MAX_THREADS)
    if len(paths) < _MIN_FILES or threads < 2:
        yield from _read(paths, read, wanted)
        return
    batches = iter([paths[start : start + _BATCH_FILES] for start in range(0, len(paths), _BATCH_FILES)])
    pool = ThreadPoolExecutor(threads, thread_name_prefix="kexpert-read")
    try:
        waiting: deque[Future[list[Read]]] = deque()
        for batch in islice(batches, threads * _BATCHES_AHEAD):
            waiting.append(pool.submit(_listed, batch, read, wanted))
        while waiting:
            found = waiting.popleft().result()
            for batch in islice(batches, 1):
                waiting.append(pool.submit(_listed, batch, read, wanted))
            yield from found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _listed(
    paths: Iterable[str], read: Callable[[str], bytes | None], wanted: Callable[[bytes], bool]
) -> list[Read]:
    return list(_read(paths, read, wanted))


def _read(paths: Iterable[str], read: Callable[[str], bytes | None], wanted: Callable[[bytes], bool]) -> Iterator[Read]:
    for path in paths:
        data = read(path)
        yield path, data if data is not None and wanted(data) else None
