"""The outline, and growing selections, as a user sees them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.source import Source
from kexpert.core.symbols import Flag
from kexpert.features.symbols.outline import OutlineEntry, outline, workspace_symbols
from kexpert.features.symbols.selection import MAX_DEPTH, selections
from tests.support.memory_view import CURSOR, at_cursor


def tree(entries: list[OutlineEntry]) -> list[object]:
    return [(e.symbol.name, tree(e.children)) if e.children else e.symbol.name for e in entries]


def check_outline(text: str, expected: list[object]) -> None:
    assert tree(outline(Source("a.c", text.encode()))) == expected


def test_members_and_enumerators_are_inside_their_container() -> None:
    check_outline(
        """struct box {
	int width;
	union {
		int height;
		long depth;
	};
};
enum colour { RED, BLUE };
int paint(struct box *b)
{
	int local;
	return 0;
}
EXPORT_SYMBOL(paint);
""",
        [("box", ["width", "height", "depth"]), ("colour", ["RED", "BLUE"]), "paint"],
    )


def test_a_macro_that_only_pastes_a_name_is_no_function() -> None:
    text = "#define NAME(x) toy_##x\n#define CALL(x) toy(x)\nint NAME(walk)(int a)\n{\n\treturn a;\n}\n"
    entries = outline(Source("a.c", text.encode()))
    assert [(e.symbol.name, bool(e.symbol.flags & Flag.FUNCTION_LIKE)) for e in entries] == [
        ("NAME", False), ("CALL", True), ("walk", False),
    ]  # fmt: skip


def test_name_ends_as_it_is_written() -> None:
    text = "SYSCALL_DEFINE1(close, unsigned int, fd)\n{\n\treturn 0;\n}\n"
    source = Source("a.c", text.encode())
    (entry,) = outline(source)
    assert entry.symbol.name == "sys_close"
    assert source.data[entry.symbol.name_start : entry.name_end] == b"close"


def growing(marked: str) -> list[str]:
    at = marked.index(CURSOR)
    data = marked.replace(CURSOR, "").encode()
    return [data[start:end].decode() for start, end in selections(Source("a.c", data), at)]


def test_a_selection_grows_from_the_word_to_the_file() -> None:
    text = "int f(int a)\n{\n\treturn a + fo/*|*/o(1);\n}\n"
    found = growing(text)
    assert found[:4] == ["foo", "foo(1)", "a + foo(1)", "return a + foo(1);"]
    assert found[-2:] == [text.replace(CURSOR, "").rstrip("\n"), text.replace(CURSOR, "")]


def test_a_word_in_a_comment_is_selected_before_the_comment() -> None:
    assert growing("/* one tw/*|*/o */ int a;")[:2] == ["two", "/* one two */"]


def test_the_end_of_a_word_belongs_to_the_word() -> None:
    assert growing("int a = foo/*|*/;")[0] == "foo"


def test_depth_is_bounded() -> None:
    text = "int a = " + "(" * 5000 + "/*|*/1" + ")" * 5000 + ";"
    assert len(growing(text)) == MAX_DEPTH


@given(st.binary(max_size=60), st.integers(-3, 70))
def test_each_selection_is_inside_the_next_on_any_bytes(data: bytes, offset: int) -> None:
    found = selections(Source("a.c", data), offset)
    assert found[-1] == (0, len(data))
    for inner, outer in pairwise(found):
        assert outer[0] <= inner[0] <= inner[1] <= outer[1]
        assert inner != outer


@given(st.binary(max_size=80))
def test_any_bytes_have_an_outline(data: bytes) -> None:
    outline(Source("a.c", data))


NAMESAKES = """//- drivers/usb/core.c
static int probe(int a)
{
	return a;
}
//- drivers/net/a.c
static int probe(int a)
{
	return a;
}
//- drivers/net/b.c
static int probe(int a)
{
	return a;/*|*/
}
//- mm/probe.c
int probe_all(int a)
{
	return a;
}
//- tools/perf/p.c
static int probe(int a)
{
	return a;
}
"""


def test_a_symbol_search_gives_every_definition_the_open_files_first() -> None:
    view, _, _ = at_cursor(NAMESAKES)
    found = [(symbol.name, symbol.path) for symbol in workspace_symbols(view, "probe", ["drivers/net/b.c"])]
    assert found == [
        ("probe", "drivers/net/b.c"), ("probe", "drivers/net/a.c"), ("probe", "drivers/usb/core.c"),
        ("probe", "tools/perf/p.c"), ("probe_all", "mm/probe.c"),
    ]  # fmt: skip


def test_many_namesakes_leave_room_for_similar_names() -> None:
    many = "".join(f"//- drivers/d{n}.c\nstatic int probe(int a)\n{{\n\treturn a;\n}}\n" for n in range(30))
    view, _, _ = at_cursor(NAMESAKES + many)
    names = [symbol.name for symbol in workspace_symbols(view, "probe", limit=20)]
    assert names.count("probe") >= 15
    assert "probe_all" in names
