"""Reads many files in order and asks something of each text, ahead and on threads.

Only the thread that asks reads: the interpreter's lock changes hands at each system call, so that several readers
hinder each other. Matching a compiled expression runs without that lock; other threads do that, on texts put together.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

#: Texts of one batch fit into a core's cache.
_BATCH_BYTES = 1 << 18
_BATCH_FILES = 64
#: Batches in work for each thread: what is read in vain when the answer has enough is no more than these.
_BATCHES_AHEAD = 3
_MAX_THREADS = 4
#: Fewer files are read and matched by the thread that asks.
_MIN_FILES = 64

#: (path, its text; None where there is none or it is not wanted)
Read = tuple[str, bytes | None]


def wanted_texts(
    paths: Sequence[str],
    read: Callable[[str], bytes | None],
    wanted: Callable[[bytes], bool],
    *,
    can_join: bool = False,
) -> Iterator[Read]:
    """Each path in this order, with the text of those that ``wanted`` takes, which runs on any thread.

    ``can_join``: texts joined by newlines are wanted if one of them is. Then most texts are asked about together.
    """
    threads = min(os.cpu_count() or 1, _MAX_THREADS)
    if len(paths) < _MIN_FILES or threads < 2:
        for batch in _batches(paths, read):
            yield from _matched(batch, wanted, can_join)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="kexpert-match")
    try:
        waiting: deque[Future[list[Read]]] = deque()
        for batch in _batches(paths, read):
            waiting.append(pool.submit(_matched, batch, wanted, can_join))
            if len(waiting) > threads * _BATCHES_AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _batches(paths: Iterable[str], read: Callable[[str], bytes | None]) -> Iterator[list[Read]]:
    batch: list[Read] = []
    size = 0
    for path in paths:
        data = read(path)
        batch.append((path, data))
        if data:
            size += len(data)
        if size >= _BATCH_BYTES or len(batch) == _BATCH_FILES:
            yield batch
            batch, size = [], 0
    yield batch


def _matched(batch: list[Read], wanted: Callable[[bytes], bool], can_join: bool) -> list[Read]:
    texts = [data for _, data in batch if data is not None]
    if can_join and len(texts) > 1 and not wanted(b"\n".join(texts)):
        return [(path, None) for path, _ in batch]
    return [(path, data if data is not None and wanted(data) else None) for path, data in batch]
