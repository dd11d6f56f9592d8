"""Names that macros of other files make, in the index and in open buffers."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from kexpert.background.progress import Progress
from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind
from kexpert.features.semantics.made_declaration import made_declaration
from kexpert.index.builder import prepare, update
from kexpert.index.disk_view import DiskView
from kexpert.index.reader import IndexReader
from kexpert.index.schema import SymbolStore
from kexpert.index.update_plan import plan_update
from tests.support.edited_tree import edited_tree

HEADER = b"#define TOY_FNS(name) INNER(name)\n"
INNER = b"#define INNER(name) static inline int toy_##name(int a) { return helper(a); }\n"
USER = b"int first;\nTOY_FNS(happy)\nint last(void)\n{\n\treturn toy_happy(1);\n}\n"
FILES = {"include/linux/toy.h": HEADER, "include/linux/inner.h": INNER, "drivers/toy.c": USER}


def bring_up(root: Path, database: Path) -> DiskView:
    prepare(root, database)
    with contextlib.closing(SymbolStore(database)) as store:
        plan = plan_update(root, store)
    update(root, database, plan)
    return view_of(root, database)


def view_of(root: Path, database: Path, overlay: dict[str, Source] | None = None) -> DiskView:
    reader = IndexReader(root, database)
    reader.refresh()
    return DiskView(reader, overlay)


def write(root: Path, path: str, data: bytes, seconds: int) -> None:
    (root / path).write_bytes(data)
    os.utime(root / path, (seconds, seconds))


def test_made_names_are_looked_up_searched_listed_and_call() -> None:
    with edited_tree(list(FILES), FILES) as (root, database):
        view = bring_up(root, database)
        (symbol,) = view.lookup("toy_happy")
        assert (symbol.path, symbol.kind, symbol.line) == ("drivers/toy.c", Kind.FUNCTION, 1)
        assert [s.name for s in view.symbols_in("drivers/toy.c")] == ["first", "toy_happy", "last"]
        assert "toy_happy" in [s.name for s in view.lookup_prefix("toy_h")]
        assert "toy_happy" in [s.name for s in view.lookup_fuzzy("happy")]
        assert [s.name for s in view.callers("helper")] == ["toy_happy"]
        assert [s.name for s in view.callers("toy_happy")] == ["last"]
        assert made_declaration(view, symbol) == "static inline int toy_happy(int a)"


def test_they_follow_edits_of_the_file_the_macro_and_the_macros_in_it() -> None:
    with edited_tree(list(FILES), FILES) as (root, database):
        bring_up(root, database)
        write(root, "drivers/toy.c", USER.replace(b"happy", b"merry"), 1_800_000_000)
        view = bring_up(root, database)
        assert (view.lookup("toy_happy"), len(view.lookup("toy_merry"))) == ([], 1)
        write(root, "include/linux/inner.h", INNER.replace(b"toy_##name", b"game_##name"), 1_800_000_001)
        view = bring_up(root, database)
        assert (view.lookup("toy_merry"), len(view.lookup("game_merry"))) == ([], 1)
        assert [s.name for s in view.callers("helper")] == ["game_merry"]
        assert [s.name for s in view.lookup_fuzzy("merry")] == ["game_merry"]
        (root / "include/linux/toy.h").unlink()
        assert bring_up(root, database).lookup("game_merry") == []
        write(root, "include/linux/other.h", b"#define TOY_FNS(name) int name##_x(void) { return 1; }\n", 1_800_000_002)
        assert len(bring_up(root, database).lookup("merry_x")) == 1


def test_a_killed_expansion_is_done_by_the_next_run() -> None:
    with edited_tree(list(FILES), FILES) as (root, database):
        prepare(root, database)
        with contextlib.closing(SymbolStore(database)) as store:
            plan = plan_update(root, store)
            update(root, database, plan, cancelled=lambda: store.file_count() > 0)
        assert view_of(root, database).lookup("toy_happy") == []
        assert len(bring_up(root, database).lookup("toy_happy")) == 1


def test_an_open_buffer_shows_what_its_calls_make() -> None:
    with edited_tree(list(FILES), FILES) as (root, database):
        bring_up(root, database)
        typed = Source("drivers/toy.c", b"int typed;\n" + USER + b"TOY_FNS(new)\n")
        view = view_of(root, database, {"drivers/toy.c": typed})
        assert [s.name for s in view.symbols_in("drivers/toy.c")] == ["typed", "first", "toy_happy", "last", "toy_new"]
        assert [s.line for s in view.lookup("toy_happy")] == [2]
        assert [s.name for s in view.lookup_prefix("toy_n")] == ["toy_new"]


def test_every_work_that_is_shown_ends() -> None:
    """An editor hears that the tree is read once all work has ended."""
    many = FILES | {f"drivers/toy{number}.c": b"TOY_FNS(toy%d)\n" % number for number in range(120)}
    shown: list[Progress] = []
    with edited_tree(list(many), many) as (root, database):
        prepare(root, database)
        with contextlib.closing(SymbolStore(database)) as store:
            plan = plan_update(root, store)
        update(root, database, plan, on_progress=shown.append)
    assert {step.title for step in shown} == {"Indexing", "Names that macros make"}
    assert {step.title for step in shown if step.finished} == {"Indexing", "Names that macros make"}
