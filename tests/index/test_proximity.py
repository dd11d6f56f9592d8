"""Completion by a prefix that more names have than are ranked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kexpert.index import disk_view
from kexpert.index.service import build, open_view

Maker = Callable[[Mapping[str, bytes]], Path]


@pytest.fixture
def tree(make_tree: Maker) -> Path:
    """``do_work``, the last name with its prefix, has many callers; ``do_it`` is short; many structs have ``do_a0``."""
    many = b"".join(b"int do_a%d_long_name(void);\n" % number for number in range(40))
    calls = b"".join(b"void caller_%d(void)\n{\n\tdo_work();\n}\n" % number for number in range(20))
    members = b"".join(b"struct holder_%d {\n\tint do_a0;\n};\n" % number for number in range(30))
    root = make_tree({
        "drivers/many.h": many + members,
        "kernel/work.c": b"void do_work(void)\n{\n}\nvoid do_it(void)\n{\n}\n",
        "kernel/calls.c": calls,
    })  # fmt: skip
    build(root)
    return root


@pytest.mark.parametrize("rows", [20, 1000])
def test_names_with_many_callers_and_short_names_come_first(
    tree: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(disk_view, "_MAX_PREFIX_ROWS", rows)
    found = [symbol.name for symbol in open_view(tree).lookup_prefix("do_", limit=3)]
    assert found == ["do_work", "do_a0", "do_it"]


def test_symbols_of_the_edited_file_come_first(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_view, "_MAX_PREFIX_ROWS", 20)
    monkeypatch.setattr(disk_view, "_MAX_SHORT_NAMES", 1)
    names = [symbol.name for symbol in open_view(tree).lookup_prefix("do_", 2, "kernel/work.c")]
    assert names == ["do_work", "do_it"]


def test_names_with_quotes_or_wildcards_find_nothing(tree: Path) -> None:
    view = open_view(tree)
    for prefix in ('do"', "do'", "do%", "do\\", "é"):
        assert view.lookup_prefix(prefix) == []
