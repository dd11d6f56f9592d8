"""Conditions of ``#if`` in one configuration."""

from __future__ import annotations

import pytest

from kexpert.core.c.condition_value import condition_value

OPTIONS = {"SMP": "y", "EXT4_FS": "m", "NUMA": "n", "HZ": "250", "NAME": '"x"', "MASK": "0x10"}


@pytest.mark.parametrize(
    ("directive", "value"),
    [
        ("ifdef CONFIG_SMP", True),
        ("ifdef CONFIG_NUMA", False),
        ("ifndef CONFIG_NUMA", True),
        ("ifdef CONFIG_EXT4_FS", False),  # a module defines CONFIG_EXT4_FS_MODULE
        ("ifdef CONFIG_EXT4_FS_MODULE", True),
        ("ifdef CONFIG_UNHEARD_OF", None),
        ("ifdef __ASSEMBLY__", False),
        ("ifdef SOMETHING", None),
        ("if IS_ENABLED(CONFIG_EXT4_FS)", True),
        ("if IS_BUILTIN(CONFIG_EXT4_FS)", False),
        ("if IS_MODULE(CONFIG_EXT4_FS)", True),
        ("if IS_REACHABLE(CONFIG_EXT4_FS)", None),
        ("if defined(CONFIG_SMP) && !defined CONFIG_NUMA", True),
        ("if defined(CONFIG_NUMA) && defined(FOO)", False),
        ("if defined(CONFIG_SMP) && defined(FOO)", None),
        ("if defined(CONFIG_SMP) || FOO(1, (2)) > 3", True),
        ("if FOO(1) || defined(CONFIG_SMP)", True),
        ("if !(defined(CONFIG_SMP) && defined(CONFIG_NUMA))", True),
        ("if CONFIG_HZ == 250", True),
        ("if CONFIG_HZ > 0x100", False),
        ("if CONFIG_MASK == 16", True),
        ("if (CONFIG_HZ) + 1", None),
        ("if 0", False),
        ("if 1", True),
        ("if", None),
        ("if )(", None),
        ("if " + "(" * 100 + "1" + ")" * 100, None),
        ("elif CONFIG_SMP", True),
    ],
)
def test_a_condition_has_one_of_three_values(directive: str, value: bool | None) -> None:
    keyword, _, text = directive.partition(" ")
    assert condition_value(keyword, text, OPTIONS.get) is value
