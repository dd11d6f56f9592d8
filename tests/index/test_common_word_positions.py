"""Stored positions of common words equal those that a search through the files finds."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kexpert.background.database import cache_directory
from kexpert.background.tree import scan
from kexpert.core.symbols import FileUses, Use
from kexpert.index import common_word_positions
from kexpert.index.builder import prepare, update
from kexpert.index.compaction import compact
from kexpert.index.disk_view import DiskView
from kexpert.index.occurrences import uses
from kexpert.index.position_codec import CommonWord, find_positions
from kexpert.index.reader import IndexReader
from kexpert.index.schema import SymbolStore
from kexpert.index.service import IndexService, build, open_view
from kexpert.index.update_plan import plan_update, plan_update_of
from tests.support.edited_tree import edited_tree

Maker = Callable[[Mapping[str, bytes]], Path]

WORDS = ["dev", "page", "NULL", "x"]
PIECES = [b"dev", b"page", b" NULL", b"x", b"dev->page", b"p -> page", b".page", b"...page", b"..dev", b". ", b"->",
          b"->\n", b"/* dev */", b"/*", b"*/", b"// page\n", b'"dev"', b'"', b"'", b"\\\n", b"\n", b"\r\n", b"\r",
          b"\t", b" " * 120, b"\xe9", "é".encode(), b"dev2", b"_x", b"0x", b"(", b"\x0c", b"\x0b", b";"]  # fmt: skip
contents = st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)


@settings(max_examples=200, deadline=None)  # numpy is loaded in the first
@given(st.lists(contents, max_size=4))
@example([b"-", b">", b"->" + b" " * 199 + b"dev", b"->" + b" " * 200 + b"dev", b"." * 2 + b"\n" * 198 + b"x"])
def test_packing_and_unpacking_keeps_the_positions_that_a_search_finds(texts: list[bytes]) -> None:
    ids = list(range(7, 7 + len(texts)))
    covered, found = find_positions(ids, texts, [word.encode() for word in WORDS])
    packed = dict(found)
    for word in WORDS:
        known = CommonWord(word, [(covered, packed.get(word))])
        assert known.covered == set(ids)
        for file_id, text in zip(ids, texts, strict=True):
            assert flat(known.uses({file_id: "a.c"})) == list(uses("a.c", text, word.encode()))


NAMES = ["kernel/a.c", "kernel/b.c", "include/linux/c.h", "mm/d.c", "mm/Makefile", "arch/x86/e.S"]
paths = st.sampled_from(NAMES)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), paths, contents),
        st.tuples(st.just("write, unreported"), paths, contents),
        st.tuples(st.just("delete"), paths),
        st.tuples(st.just("rename"), paths, paths),
        st.tuples(st.just("compact")),
        st.tuples(st.just("run parts"), st.integers(0, 6)),
    ),
    max_size=8,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.dictionaries(paths, contents, min_size=2, max_size=6), edits=steps)
def test_answers_do_not_depend_on_how_far_the_pass_came(start: dict[str, bytes], edits: list[tuple]) -> None:
    with edited_tree(NAMES, start) as (root, database):
        prepare(root, database)
        bring_up(root, database, None)
        clock = 1_700_000_000_000_000_000
        unreported: set[str] = set()
        for edit in [("run parts", 6), *edits]:
            match edit:
                case ("write" | "write, unreported" as how, path, data):
                    (root / path).write_bytes(data)
                    clock += 1_000_000
                    os.utime(root / path, ns=(clock, clock))
                    unreported.add(path)
                    if how == "write":
                        bring_up(root, database, unreported)
                        unreported.clear()
                case ("delete", path):
                    (root / path).unlink(missing_ok=True)
                    bring_up(root, database, {path})
                case ("rename", old, new):
                    if (root / old).exists():
                        (root / old).rename(root / new)
                    bring_up(root, database, {old, new})
                case ("compact",):
                    assert compact(root, database, lambda: False)
                case ("run parts", parts):
                    run_parts(root, database, parts)
            by_positions, by_reading = answers(root, database)
            assert by_positions == by_reading
        bring_up(root, database, None)
        run_parts(root, database, 6)
        assert answers(root, database)[0] == {word: found_by_search(root, word) for word in WORDS}


def bring_up(root: Path, database: Path, changed: set[str] | None) -> None:
    with contextlib.closing(SymbolStore(database)) as store:
        work = plan_update(root, store) if changed is None else plan_update_of(root, store, changed)
    update(root, database, work)


def run_parts(root: Path, database: Path, parts: int) -> None:
    """Run the pass over ``parts`` parts of one file each."""
    done: list[object] = []
    with mock.patch.object(common_word_positions, "_PART_BYTES", 1):
        common_word_positions.cover_files(
            root, database, common_files=0, on_progress=done.append, interrupted=lambda: len(done) >= parts
        )


def answers(root: Path, database: Path) -> tuple[dict[str, list[Use]], dict[str, list[Use]]]:
    """References with the stored positions, and without."""
    reader = IndexReader(root, database)
    reader.refresh()
    try:
        known = {word: flat(DiskView(reader).references(word)) for word in WORDS}
        with mock.patch.object(IndexReader, "common_word", lambda self, word: CommonWord(word, ())):
            return known, {word: flat(DiskView(reader).references(word)) for word in WORDS}
    finally:
        reader.close()


def flat(files: Iterable[FileUses]) -> list[Use]:
    return [use for file in files for use in file]


def found_by_search(root: Path, word: str) -> list[Use]:
    return [use for file in sorted(scan(root), key=lambda file: file.path)
            for use in uses(file.path, (root / file.path).read_bytes(), word.encode())]  # fmt: skip


def read_for(view: DiskView, word: str, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """(files in which a word is found, files that were read for it)"""
    read: list[str] = []
    whole = IndexReader.bytes_of
    with monkeypatch.context() as patch:
        patch.setattr(IndexReader, "bytes_of", lambda self, path: read.append(path) or whole(self, path))
        return [file.path for file in view.references(word)], read


def test_only_changed_files_and_files_with_rare_names_are_read(
    make_tree: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree({f"mm/{name}.c": b"int *%s = NULL;\n" % name.encode() for name in "abcde"})
    build(root)
    assert common_word_positions.cover_files(root, cache_directory(root) / "index.db", common_files=2)
    every = [f"mm/{name}.c" for name in "abcde"]
    assert read_for(open_view(root), "NULL", monkeypatch) == (every, [])
    assert read_for(open_view(root), "c", monkeypatch) == (["mm/c.c"], ["mm/c.c"])
    line = b"void *f(void) { return NULL; }\n"
    (root / "mm/b.c").write_bytes(b"\n\n" + line)
    found = flat(open_view(root).references("NULL"))
    there = (0, len("int *a = "))
    assert [use.position for use in found] == [there, (2, line.index(b"NULL")), there, there, there]
    assert read_for(open_view(root), "NULL", monkeypatch) == (every, ["mm/b.c"])
    assert flat(open_view(root).references("NULL", within={"mm/c.c"})) == [found[2]]
    assert flat(open_view(root).references("NULL", cancelled=lambda: True)) == []


def test_register_headers_are_not_covered_but_searched(make_tree: Maker) -> None:
    registers = b"".join(b"#define REG_%d ((void *)NULL)\n" % number for number in range(500))
    root = make_tree({"include/reg.h": registers, "mm/a.c": b"int *a = NULL;\n", "mm/b.c": b"int *b = NULL;\n"})
    build(root)
    assert common_word_positions.cover_files(root, cache_directory(root) / "index.db", common_files=1)
    assert len(flat(open_view(root).references("NULL"))) == 502


def test_parts_of_superseded_files_are_dropped(make_tree: Maker) -> None:
    root = make_tree({"mm/a.c": b"int *a = NULL;\n"})
    database = cache_directory(root) / "index.db"
    for turn in range(12):
        (root / "mm/a.c").write_bytes(b"int *a = NULL;\n" + b"\n" * turn)
        build(root)
        assert common_word_positions.cover_files(root, database, common_files=0)
    with contextlib.closing(SymbolStore(database)) as store:
        assert store.db.execute("SELECT count(*) FROM place_parts").fetchone()[0] < 10
    assert [use.position for use in flat(open_view(root).references("NULL"))] == [(0, len("int *a = "))]


def test_a_server_runs_the_pass_by_itself(make_tree: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common_word_positions, "COMMON_FILES", 1)
    cover_files = partial(common_word_positions.cover_files, common_files=1)
    monkeypatch.setattr(common_word_positions, "cover_files", cover_files)
    root = make_tree({"mm/a.c": b"int *a = NULL;\n", "mm/b.c": b"int *b = NULL;\n"})
    service = IndexService(root)
    service.start()
    try:
        assert service.wait_idle(30)
        assert read_for(service.view(), "NULL", monkeypatch) == (["mm/a.c", "mm/b.c"], [])
    finally:
        service.close()


#: More files than are read in one process.
MANY = {f"mm/x{number:02}.c": b"int *x%d = NULL;\n" % number for number in range(60)}


def run_pass(root: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    """Run the pass in a process of its own, a few files a part, after some ``extra`` lines."""
    main = root.parent / "main.py"  # a spawned worker imports it again
    database = cache_directory(root) / "index.db"
    lines = [
        "import os, signal",
        "from pathlib import Path",
        "from kexpert.index import common_word_positions",
        "from kexpert.index import position_codec",
    ]
    arguments = f"Path({str(root)!r}), Path({str(database)!r}), common_files=2, jobs=1, on_progress=progress"
    call = f"common_word_positions.cover_files({arguments})"
    progress = ["common_word_positions._PART_BYTES = 100", "def progress(step): pass"]
    main.write_text("\n".join([*lines, *progress, *extra, "if __name__ == '__main__':", f"    print({call})"]))
    return subprocess.run([sys.executable, str(main)], capture_output=True, text=True, timeout=120, check=False)


def test_after_a_kill_the_pass_goes_on_where_it_was(make_tree: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree(MANY)
    build(root)
    killed = run_pass(root, "def progress(step):", "    if step.done > 20: os.kill(os.getpid(), signal.SIGKILL)")
    assert killed.returncode == -signal.SIGKILL
    found, read = read_for(open_view(root), "NULL", monkeypatch)
    assert found == sorted(MANY)
    assert 0 < len(read) < 45
    assert run_pass(root).stdout == "True\n"
    assert read_for(open_view(root), "NULL", monkeypatch) == (sorted(MANY), [])


def test_only_the_file_that_kills_its_worker_is_passed_over(make_tree: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({**MANY, "mm/x07.c": b"int deadly; int *x7 = NULL;\n"})
    build(root)
    deadly = (
        "whole = position_codec.blank_comments",
        "position_codec.blank_comments = lambda data: os.abort() if b'deadly' in data else whole(data)",
    )
    assert run_pass(root, *deadly).stdout == "True\n"
    found, read = read_for(open_view(root), "NULL", monkeypatch)
    assert found == sorted(MANY)
    assert read == ["mm/x07.c"]
