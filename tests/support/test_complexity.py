"""The helper that tells linear from quadratic running time."""

from __future__ import annotations

import pytest

from tests.support.complexity import assert_linear


def test_linear_work_passes() -> None:
    assert_linear(lambda size: sum(range(20 * size)))


def test_work_that_grows_quadratically_fails() -> None:
    with pytest.raises(AssertionError, match="4 times the input"):
        assert_linear(lambda size: [sum(range(size)) for _ in range(size // 4)])
