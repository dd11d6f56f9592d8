"""The value of ``#if`` expressions of which some parts are not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.condition_values import Macros, truth
from kexpert.core.c.translation_unit import MacroTable

OPTIONS = {"ON": "y", "MOD": "m", "OFF": "n", "HZ": "250"}


@pytest.fixture
def macros() -> Macros:
    texts = {"LIMIT": "(HALF * 2)", "HALF": "CONFIG_HZ / 2", "EMPTY": "", "LOOP": "LOOP + 1"}
    return MacroTable(OPTIONS.get, texts)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("defined(CONFIG_ON)", True),
        ("defined CONFIG_MOD", False),
        ("defined(CONFIG_MOD_MODULE)", True),
        ("defined(CONFIG_OFF) || defined(CONFIG_ON)", True),
        ("defined(CONFIG_WHO)", None),
        ("defined(CONFIG_WHO) && defined(CONFIG_OFF)", False),
        ("defined(CONFIG_WHO) || defined(CONFIG_ON)", True),
        ("!defined(CONFIG_WHO)", None),
        ("IS_ENABLED(CONFIG_MOD)", True),
        ("IS_BUILTIN(CONFIG_MOD)", False),
        ("IS_MODULE(CONFIG_MOD)", True),
        ("IS_REACHABLE(CONFIG_MOD)", None),
        ("IS_ENABLED(CONFIG_WHO)", None),
        ("CONFIG_HZ > 100 && CONFIG_HZ <= 250", True),
        ("CONFIG_OFF", False),
        ("CONFIG_ON == 1", True),
        ("LIMIT == 250", True),
        ("NOWHERE", False),
        ("NOWHERE == 0", True),
        ("LOOP", None),
        ("EMPTY", None),
        ("FUNCTION_LIKE(3)", None),
        ("FUNCTION_LIKE(3) && 0", False),
        ("KERNEL_VERSION(6, 1, 0) > 0x50000", True),
        ("(1 ? 2 : 3) == 2 && (4 >> 1) == 2 && -1 < 0 && ~0 == -1", True),
        ("1 /* a comment */ + 0", True),
        ("10 / 0", None),
        ("1 << 100000", None),
        ("(", None),
        ("", None),
        ("defined(", None),
    ],
)
def test_a_condition_holds_does_not_or_is_unknown(macros: Macros, condition: str, expected: bool | None) -> None:
    assert truth(condition, macros) is expected


def test_a_module_reaches_modules() -> None:
    assert truth("IS_REACHABLE(CONFIG_MOD)", MacroTable(OPTIONS.get, {}, is_module=True)) is True
    assert truth("IS_REACHABLE(CONFIG_MOD)", MacroTable(OPTIONS.get, {}, is_module=False)) is False


@given(st.text(alphabet="()!&|?:<>=+-*/%~^ defined123XCONFIG_ON,'\n", max_size=80))
def test_any_text_has_a_value_or_none(text: str) -> None:
    assert truth(text, MacroTable(OPTIONS.get, {"X": text})) in (True, False, None)


def test_deep_brackets_are_unknown() -> None:
    assert truth("(" * 5000 + "1" + ")" * 5000, MacroTable(OPTIONS.get, {})) is None
    assert truth("!" * 5000 + "1", MacroTable(OPTIONS.get, {})) is None
    assert truth("1?" * 5000 + "1", MacroTable(OPTIONS.get, {})) is None
    assert truth("1||" * 5000 + "1", MacroTable(OPTIONS.get, {})) is True
