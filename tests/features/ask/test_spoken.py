"""Conditions in words."""

from __future__ import annotations

import pytest

from kexpert.features.ask.spoken import spoken_conditions


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("if toy->len is negative?", "toy->len<0"),
        ("when cmd is not SET_KEY?", "cmd!=SET_KEY"),
        ("if there is no toy", "!toy"),
        ("if toy is not set", "!toy"),
        ("when toy->broken is true", "toy->broken"),
        ("if mode is TOY_FAST", "mode==TOY_FAST"),
        ("when turns is greater than 10?", "turns>10"),
        ("when turns is at most MAX", "turns<=MAX"),
        ("if clk is an error pointer", "IS_ERR(clk)"),
    ],
)
def test_a_condition_in_words_is_code(said: str, code: str) -> None:
    assert code in spoken_conditions(said)
