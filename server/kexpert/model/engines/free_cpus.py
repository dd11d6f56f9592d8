"""Threads for decoding beside other programs."""

from __future__ import annotations

import os


def decoding_threads(most: int) -> int:
    """``most``, or 1 while more processes want to run than there are CPUs.

    The threads of a token wait for each other several times, so one that has no CPU holds up all: on two CPUs with 20
    processes a token took three times as long with two threads as with one. A prompt has more to do between the
    waits, and gains nothing by fewer threads.
    """
    try:
        load, _, _ = os.getloadavg()  # of the last minute
    except OSError:
        return most
    return 1 if load > len(os.sched_getaffinity(0)) else most
