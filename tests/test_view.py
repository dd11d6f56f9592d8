"""Every ``View`` keeps the contract of ``kexpert.view``: a tree on disk, open buffers alone, a tree in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import chunks
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.index.service import build, open_view
from kexpert.view import View
from kexpert.workspace.buffer_view import BufferView
from tests.support.memory_view import MemoryView

FILES = {
    "include/linux/gizmo.h": b"struct gizmo {\n\tint size;\n};\nint gizmo_start(struct gizmo *g);\n",
    "drivers/gizmo/core.c": (
        b"#include <linux/gizmo.h>\n\n"
        b"/* gizmo_start is not used in this comment */\n"
        b"int gizmo_start(struct gizmo *g)\n{\n\treturn g->size;\n}\nEXPORT_SYMBOL_GPL(gizmo_start);\n\n"
        b"static int gizmo_open(struct inode *i, struct file *f)\n{\n\treturn gizmo_start(f->private_data);\n}\n\n"
        b"static const struct file_operations gizmo_fops = {\n\t.open = gizmo_open,\n};\n"
    ),
    "drivers/gizmo/other.c": b'static int stop(void)\n{\n\treturn gizmo_start("gizmo_start");\n}\n',
    "net/far.c": b"int gizmo_far(void)\n{\n\treturn 0;\n}\n",
}


@pytest.fixture(scope="module", params=["disk", "disk under open buffers", "buffers", "memory"])
def view(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    if request.param == "memory":
        yield MemoryView(FILES)
    elif request.param == "buffers":
        yield BufferView("/", {path: Source(path, data) for path, data in FILES.items()})
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
            yield from on_disk(tmp_path_factory.mktemp("linux"), opened=request.param != "disk")


def on_disk(root: Path, opened: bool) -> Iterator[View]:
    """The tree's index. ``opened``: each of FILES has a line more on disk, and buffers hold FILES."""
    from kexpert.index.service import IndexService

    for name in ("Kconfig", "Makefile", "MAINTAINERS", *FILES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        before = b"int gizmo_old(void);\n" if opened and name in FILES else b""
        (root / name).write_bytes(before + FILES.get(name, b""))
    build(root)
    if not opened:
        yield open_view(root)
        return
    service = IndexService(root, watch=False)
    yield service.view({path: Source(path, data) for path, data in FILES.items()})
    service.close()


def names(symbols: list[Symbol]) -> list[str]:
    return [symbol.name for symbol in symbols]


def test_the_kinds_of_many_names_are_known_at_once(view: View) -> None:
    found = view.kinds_of(["gizmo_start", "gizmo", "gizmo_open", "no_such_name"])
    assert found.keys() == {"gizmo_start", "gizmo", "gizmo_open"}
    assert {Kind.FUNCTION, Kind.PROTOTYPE} <= found["gizmo_start"].keys()
    assert Flag.STATIC in found["gizmo_open"][Kind.FUNCTION]
    assert Flag.STATIC not in found["gizmo_start"][Kind.FUNCTION]
    assert view.kinds_of([]) == {}


def test_text_is_the_bytes_of_the_file(view: View) -> None:
    for path, data in FILES.items():
        source = view.source(path)
        assert source is not None
        assert source.data == view.data(path) == data
        assert view.exists(path)


@pytest.mark.parametrize("path", ["absent.c", "", "drivers", "../outside.c", "/etc/passwd", "untitled:x.c", "a\0b"])
def test_a_path_outside_the_tree_is_no_file(view: View, path: str) -> None:
    assert view.source(path) is None
    assert view.data(path) is None
    assert not view.exists(path)
    assert view.symbols_in(path) == []


@pytest.mark.parametrize("path", ["absent", "..", "/etc", "net/far.c", "a\0b"])
def test_a_path_that_is_no_directory_lists_nothing(view: View, path: str) -> None:
    assert view.list_dir(path) == {}


def test_files_by_the_end_of_their_paths(view: View) -> None:
    assert view.files_named("gizmo.h") == view.files_named("linux/gizmo.h") == ["include/linux/gizmo.h"]
    assert view.files_named("zmo.h") == view.files_named("absent.h") == []


def test_files_that_can_hold_a_text_are_all_that_do(view: View) -> None:
    assert "drivers/gizmo/other.c" in view.files_that_can_hold([{b'"gizmo_start"', b"no such text"}, {b"return"}])
    assert set(FILES) <= set(view.files_that_can_hold([]))
    assert view.files_that_can_hold([]) == sorted(view.files_that_can_hold([]))


def test_wanted_texts_come_in_the_order_of_the_paths(view: View) -> None:
    paths = [*sorted(FILES, reverse=True), "no/such/file.c"]
    found = list(view.wanted_texts(paths, lambda data: b"gizmo_start" in data))
    assert [path for path, _ in found] == paths
    assert dict(found) == {path: data if b"gizmo_start" in (data := FILES.get(path, b"")) else None for path in paths}


def test_lookup_finds_all_variants_of_exactly_this_name(view: View) -> None:
    found = view.lookup("gizmo_start")
    assert {(symbol.path, symbol.kind) for symbol in found} >= {
        ("include/linux/gizmo.h", Kind.PROTOTYPE),
        ("drivers/gizmo/core.c", Kind.FUNCTION),
    }
    assert {symbol.name for symbol in found} == {"gizmo_start"}
    assert [symbol.path for symbol in view.lookup("gizmo_start", (Kind.FUNCTION,))] == ["drivers/gizmo/core.c"]
    assert len(view.lookup("gizmo_start", limit=1)) == 1
    assert view.lookup("gizmo_star") == view.lookup("Gizmo_start") == view.lookup("") == []


def test_a_name_that_a_buffer_removed_is_not_found(view: View) -> None:
    assert view.lookup("gizmo_old") == view.lookup_prefix("gizmo_old") == view.lookup_fuzzy("gizmo_old") == []
    assert view.files_mentioning("gizmo_old") == view.references("gizmo_old") == []


def test_text_of_a_symbol_is_its_definition(view: View) -> None:
    (start,) = view.lookup("gizmo_start", (Kind.FUNCTION,))
    assert view.text(start) == b"int gizmo_start(struct gizmo *g)\n{\n\treturn g->size;\n}"
    assert view.text(start._replace(path="absent.c")) == b""


def test_symbols_of_a_file_come_by_position(view: View) -> None:
    found = view.symbols_in("drivers/gizmo/core.c")
    assert [name for name in names(found) if name in ("gizmo_start", "gizmo_open", "gizmo_fops")][::2] == [
        "gizmo_start",
        "gizmo_open",
    ]
    assert [symbol.start for symbol in found] == sorted(symbol.start for symbol in found)


def test_a_prefix_finds_each_name_and_kind_once_and_near_names_first(view: View) -> None:
    found = view.lookup_prefix("gizmo_", near="net/far.c")
    assert found[0].name == "gizmo_far"
    assert {"gizmo_start", "gizmo_open", "gizmo_fops", "gizmo_far"} <= set(names(found))
    assert len({(symbol.name, symbol.kind) for symbol in found}) == len(found)
    assert len(view.lookup_prefix("gizmo_", limit=2)) == 2
    assert view.lookup_prefix("") == view.lookup_prefix("absent_") == []


@pytest.mark.parametrize("pattern", ["gizmo_start", "gizmo_st", "start_gizmo", "gizmo start"])
def test_a_fuzzy_pattern_finds_by_name_prefix_and_parts(view: View, pattern: str) -> None:
    if pattern == "start_gizmo" and isinstance(view, BufferView):
        assert "gizmo_start" not in names(view.lookup_fuzzy("start_gizmo_absent"))
        return  # parts in another order are the index's
    assert "gizmo_start" in names(view.lookup_fuzzy(pattern))
    assert view.lookup_fuzzy("  ") == view.lookup_fuzzy("") == []


def test_files_that_mention_a_name(view: View) -> None:
    assert sorted(view.files_mentioning("gizmo_start")) == [
        "drivers/gizmo/core.c",
        "drivers/gizmo/other.c",
        "include/linux/gizmo.h",
    ]
    assert view.files_mentioning("absent") == view.files_mentioning("not a name") == []


def test_references_leave_out_comments_and_strings_and_come_by_path(view: View) -> None:
    found = view.references("gizmo_start")
    assert [(file.path, len(file)) for file in found] == [
        ("drivers/gizmo/core.c", 3),
        ("drivers/gizmo/other.c", 1),
        ("include/linux/gizmo.h", 1),
    ]
    for file in found:
        for use in file:
            assert FILES[file.path][use.start : use.end] == b"gizmo_start"
    assert [file.path for file in view.references("gizmo_start", within=["drivers/gizmo/other.c"])] == [
        "drivers/gizmo/other.c"
    ]
    assert view.references("gizmo_start", cancelled=lambda: True) == []
    assert view.references("not a name") == []
    assert [use.member for file in view.references("size") for use in file].count(True) == 1


def test_callers_of_a_function(view: View) -> None:
    assert sorted(names(view.callers("gizmo_start"))) == ["gizmo_open", "stop"]
    assert len(view.callers("gizmo_start", limit=1)) == 1
    assert view.callers("absent") == []


def test_caller_count_and_exports_by_the_index(view: View) -> None:
    assert view.caller_count("gizmo_start") == 2
    assert view.caller_count("absent") == 0
    assert view.exported(["gizmo_start", "gizmo_open", "absent"]) == {"gizmo_start"}
    assert view.exported([]) == set()


def test_tables_of_functions(view: View) -> None:
    (entry,) = view.assignments_of("gizmo_open")
    assert (entry.struct, entry.member, entry.table) == ("file_operations", "open", "gizmo_fops")
    assert [each.function for each in view.implementations("file_operations", "open")] == ["gizmo_open"]
    assert [each.function for each in view.implementations("", "open")] == ["gizmo_open"]
    assert view.implementations("inode_operations", "open") == view.implementations("", "absent") == []


def test_the_place_of_a_symbol_is_that_of_its_name_or_unknown(view: View) -> None:
    for symbol in view.lookup("gizmo_start"):
        place = view.place_of(symbol)
        before = FILES[symbol.path][: symbol.name_start]
        assert place is None or place == (before.count(b"\n"), len(before) - before.rfind(b"\n") - 1)
    (start,) = view.lookup("gizmo_start", (Kind.FUNCTION,))
    assert view.place_of(start._replace(path="absent.c")) is None


def test_search_finds_files_of_the_tree_only(view: View) -> None:
    some = chunks("drivers/gizmo/core.c", FILES["drivers/gizmo/core.c"])[0]
    for hit in [*view.search("start a gizmo"), *view.similar(some)]:
        assert hit.path in FILES
    assert view.search("") == []


def test_reading_what_a_view_gives_does_not_change_it(view: View) -> None:
    def answers() -> Mapping[str, object]:
        asked: dict[str, Callable[[], object]] = {
            "lookup": lambda: view.lookup("gizmo_start"),
            "prefix": lambda: view.lookup_prefix("gizmo"),
            "symbols": lambda: list(view.symbols_in("net/far.c")),
            "callers": lambda: view.callers("gizmo_start"),
        }
        return {name: ask() for name, ask in asked.items()}

    first = answers()
    view.lookup("gizmo_start").clear()
    view.callers("gizmo_start").clear()
    assert answers() == first


def test_a_state_names_the_text_of_a_file_and_of_all_headers(view: View) -> None:
    assert view.state_of("net/nothing.c") is None
    assert view.state_of("net/far.c") == view.state_of("net/far.c") is not None
    assert view.state_of("net/far.c") != view.state_of("drivers/gizmo/other.c")
    assert view.headers_state() == view.headers_state()


def test_states_follow_changes_on_disk_and_in_buffers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "linux"
    for name in ("Kconfig", "Makefile", "MAINTAINERS", *FILES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(FILES.get(name, b""))
    build(root)
    before = open_view(root)
    headers, text = before.headers_state(), before.state_of("net/far.c")
    (root / "net/far.c").write_bytes(b"int gizmo_further(void);\n")
    build(root)
    after = open_view(root)
    assert after.state_of("net/far.c") != text
    assert after.headers_state() == headers
    (root / "include/linux/gizmo.h").write_bytes(b"struct gizmo { long size; };\n")
    build(root)
    assert open_view(root).headers_state() != headers
