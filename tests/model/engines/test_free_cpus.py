"""Threads for decoding beside other programs."""

from __future__ import annotations

import os

import pytest

from kexpert.model.engines.free_cpus import decoding_threads


def test_one_thread_decodes_while_others_want_all_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    cpus = len(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "getloadavg", lambda: (cpus - 0.5, 9.0, 9.0))
    assert decoding_threads(4) == 4
    monkeypatch.setattr(os, "getloadavg", lambda: (cpus + 0.5, 0.0, 0.0))
    assert decoding_threads(4) == 1


def test_an_unknown_load_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", fail)
    assert decoding_threads(3) == 3
