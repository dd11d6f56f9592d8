"""A hover stays within few files, and its calls go down the layers."""

from __future__ import annotations

import pytest

from benchmarks.call_map import HOVERS, map_hover

#: A hover and its rendering as Markdown, without the work of the view.
_MAX_FILES = 32
_MAX_UPWARD_CALLS = 8


@pytest.mark.parametrize("name", HOVERS)
def test_hover_touches_few_files_and_seldom_calls_upwards(name: str) -> None:
    calls = map_hover(name)
    assert len(calls.files) <= _MAX_FILES, sorted(calls.files)
    assert calls.upward.total() <= _MAX_UPWARD_CALLS, calls.upward
