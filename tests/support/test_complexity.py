"""The helper that tells linear from quadratic running time, on a clock that the work itself moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import complexity
from tests.support.complexity import assert_linear


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock by so many seconds; every seventh time another process takes twenty times as long."""
    state = {"now": 0.0, "calls": 0}

    def move(seconds: float) -> None:
        state["calls"] += 1
        state["now"] += seconds * (20 if state["calls"] % 7 == 1 else 1)

    monkeypatch.setattr(complexity.time, "thread_time", lambda: state["now"])
    return move


@pytest.mark.parametrize("seconds", [1e-7, 1e-6, 1e-5, 1e-4])
def test_linear_work_passes(work: Callable[[float], None], seconds: float) -> None:
    assert_linear(lambda size: work(seconds * size))


@pytest.mark.parametrize("seconds", [1e-9, 1e-8, 1e-7, 1e-6])
def test_work_that_grows_quadratically_fails(work: Callable[[float], None], seconds: float) -> None:
    with pytest.raises(AssertionError, match="4 times the input"):
        assert_linear(lambda size: work(seconds * size * size))


def test_real_work_is_measured() -> None:
    assert_linear(lambda size: sum(range(20 * size)))
