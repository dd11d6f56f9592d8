"""Branches that a configuration leaves out."""

from __future__ import annotations

from kexpert.core.c.source import Source
from kexpert.features.decorations.inactive_regions import inactive_regions

TEXT = b"""\
#ifdef CONFIG_SMP
int smp;
#if CONFIG_HZ == \\
	1000
int fast;
#endif
#else
int up;
#ifdef CONFIG_NUMA
int inner;
#endif
int up_too;
#endif
#if defined(FOO)
int maybe;
#elif defined(CONFIG_SMP)
int rest;
#else
int other;
#endif
#if 0
int dead;
#elif 1
int alive;
#else
int never;
#endif
"""


def left_out(options: dict[str, str]) -> list[str]:
    source = Source("a.c", TEXT)
    lines = TEXT.decode().split("\n")
    return [
        line for first, last in inactive_regions(source, options.get) for line in lines[first : last + 1]
    ]


def test_a_branch_whose_condition_is_false_is_left_out_whole() -> None:
    assert left_out({"SMP": "n", "HZ": "250"}) == ["int smp;", "#if CONFIG_HZ == \\", "\t1000", "int fast;", "#endif",
                                                   "int rest;", "int dead;", "int never;"]  # fmt: skip


def test_the_other_branches_of_a_true_condition_are_left_out() -> None:
    assert left_out({"SMP": "y", "HZ": "250", "NUMA": "y"}) == [
        "int fast;", "int up;", "#ifdef CONFIG_NUMA", "int inner;", "#endif", "int up_too;", "int dead;", "int never;",
    ]  # fmt: skip


def test_what_is_not_known_stays() -> None:
    assert left_out({}) == ["int dead;", "int never;"]
    assert "int other;" not in left_out({"SMP": "y"})


def test_any_nesting_is_read_once() -> None:
    deep = b"#if 0\n" * 3000 + b"int x;\n" + b"#endif\n" * 3000
    assert inactive_regions(Source("a.c", deep), lambda name: None) == [(1, 5999)]
    assert inactive_regions(Source("a.c", b"#endif\n#else\n#if 0\nint x;"), lambda name: None) == []
