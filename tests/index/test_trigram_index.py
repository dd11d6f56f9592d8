"""Files that can hold a text, by the stored trigrams: never one too few."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.background.database import cache_directory
from kexpert.core.retrieval.trigrams import PIECE_BYTES, numbers_of, piece_numbers
from kexpert.index import trigram_index
from kexpert.index.disk_view import DiskView
from kexpert.index.schema import SymbolStore
from kexpert.index.service import build, open_view
from tests.support.toy_tree import ROOT_FILES

TEXTS = {f"drivers/d{number}.c": f'int f{number}(void)\n{{\n\treturn say("Word{number} here");\n}}\n'
         for number in range(40)}  # fmt: skip

#: Those, and five others that are indexed.
FILES = len(TEXTS) + 5


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tree = tmp_path / "linux"
    filler = "/* filler */\n"
    big = filler * (PIECE_BYTES // 13) + "int at_a_border_of_pieces;\n" + filler * 4000 + "int at_end;\n"
    for path, text in {**ROOT_FILES, **TEXTS, "lib/big.c": big, "lib/empty.c": "", "lib/ab.c": "ab"}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    build(tree)
    return tree


def cover(root: Path, jobs: int | None = 1) -> bool:
    return trigram_index.cover_files(root, cache_directory(root) / "index.db", jobs=jobs)


def can_hold(view: DiskView, *clauses: set[bytes]) -> list[str]:
    return view.files_that_can_hold(clauses)


def test_before_the_pass_every_file_can_hold_anything(root: Path) -> None:
    assert len(can_hold(open_view(root), {b"word7 here"})) == FILES


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_it_only_those_whose_trigrams_agree(root: Path, jobs: int) -> None:
    assert cover(root, jobs)
    view = open_view(root)
    assert can_hold(view, {b'"word7 here'}) == ["drivers/d7.c"]
    assert can_hold(view, {b"word7 h", b"word12 h"}, {b"int f"}) == ["drivers/d12.c", "drivers/d7.c"]
    assert can_hold(view, {b"word7 h"}, {b"word12 h"}) == []
    assert can_hold(view, {b"at_a_border_of_pieces"}, {b"at_end;"}) == ["lib/big.c"]
    assert len(can_hold(view, {b"ab"})) == len(can_hold(view)) == FILES


def test_a_changed_file_can_hold_anything_until_the_next_pass(root: Path) -> None:
    cover(root)
    (root / "drivers/d3.c").write_text("int changed_completely;\n")
    (root / "drivers/new.c").write_text("int new_one;\n")
    build(root)
    assert can_hold(open_view(root), {b"word7 here"}) == ["drivers/d3.c", "drivers/d7.c", "drivers/new.c"]
    cover(root)
    assert can_hold(open_view(root), {b"word7 here"}) == ["drivers/d7.c"]
    assert can_hold(open_view(root), {b"changed_comp"}) == ["drivers/d3.c"]


def test_an_interrupted_pass_goes_on_later(root: Path) -> None:
    database = cache_directory(root) / "index.db"
    assert not trigram_index.cover_files(root, database, jobs=1, interrupted=lambda: True)
    assert can_hold(open_view(root), {b"word7 here"}).count("drivers/d7.c") == 1
    assert cover(root)
    assert can_hold(open_view(root), {b"word7 here"}) == ["drivers/d7.c"]


def test_a_pass_is_due_for_many_files_that_are_not_covered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(SymbolStore(cache_directory(root) / "index.db")) as store:
        assert not trigram_index.is_pass_due(store)
        monkeypatch.setattr(trigram_index, "_MAX_UNCOVERED_FILES", 10)
        assert trigram_index.is_pass_due(store)
        cover(root)
        assert not trigram_index.is_pass_due(store)


@settings(max_examples=200, deadline=None)
@given(before=st.binary(max_size=50), literal=st.binary(min_size=3, max_size=90), after=st.binary(max_size=50),
       far=st.integers(0, 80))  # fmt: skip
def test_a_piece_that_holds_a_literal_has_all_its_trigrams(
    before: bytes, literal: bytes, after: bytes, far: int
) -> None:
    data = b"\0" * (PIECE_BYTES - far) + before + literal + after
    wanted = set(numbers_of(literal.lower()))
    assert any(wanted <= set(numbers.tolist()) for numbers in piece_numbers(data))


@settings(max_examples=200, deadline=None)
@given(total=st.integers(1, 3000), draw=st.data())
def test_the_pieces_of_each_trigram_are_read_as_they_were_stored(total: int, draw: st.DataObject) -> None:
    import numpy as np

    held = st.dictionaries(st.integers(0, 0xFFFF), st.sets(st.integers(0, total - 1), min_size=1, max_size=40))
    expected = {number: sorted(pieces) for number, pieces in draw.draw(held).items()}
    pairs = sorted(number << 16 | piece for number, pieces in expected.items() for piece in pieces)
    rows = trigram_index._encoded(np.array(pairs, np.uint32), total)
    assert {number: np.flatnonzero(trigram_index._decoded(row, total)).tolist() for number, row in rows} == expected
