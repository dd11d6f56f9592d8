"""The garbage collector in a server: it looks through everything only while nobody waits.

A full collection stops all threads for 100 ms, for what a server keeps is a million objects. It hardly finds any
garbage: what a question leaves is freed at once, or by the collections of young objects, which are short.
"""

from __future__ import annotations

import gc
import threading
import time

from kexpert.background.foreground import wait_until_free

#: Objects made before the collector looks through the young ones: an answer may be 200,000 tuples.
_AFTER_OBJECTS = 20_000
_YOUNG_COLLECTIONS = 10
#: Collections of what is older, before one of everything that waits for nothing: after 1e9 objects at least.
_MAX_OLDER_COLLECTIONS = 5000
_EVERY_SECONDS = 120.0
_MAX_DELAY_SECONDS = 30.0

_once = threading.Lock()


def collect_between_questions(every_seconds: float = _EVERY_SECONDS) -> None:
    """Collect so from now on in this process. All that is loaded stays: the collector need not look through it."""
    gc.freeze()
    gc.set_threshold(_AFTER_OBJECTS, _YOUNG_COLLECTIONS, _MAX_OLDER_COLLECTIONS)
    gc.enable()
    if _once.acquire(blocking=False):
        threading.Thread(target=_collect, args=(every_seconds,), name="kexpert-collector", daemon=True).start()


def _collect(every_seconds: float) -> None:
    while True:
        time.sleep(every_seconds)
        if gc.get_count()[2]:
            wait_until_free(_MAX_DELAY_SECONDS)
            gc.collect()
