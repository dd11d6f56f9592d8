"""Search for text and expressions over a small tree."""

from __future__ import annotations

import pytest

from kexpert.core.symbols import Kind
from kexpert.features.grep.grep import GrepAnswer, grep
from kexpert.features.grep.query import BadQuery, GrepQuery
from tests.support.memory_view import MemoryView, files_of

TREE = """
//- fs/foo/Makefile
obj-$(CONFIG_FOO) += foo.o
//- fs/foo/foo.c
/* foo_read is slow */
#define FOO_MAX(a) \\
	((a) + 1)

struct foo {
	int limit; /* FOO_MAX */
};

int foo_read(struct foo *foo)
{
	pr_err("failed to read %d\\n", foo->limit);
	return kmalloc(foo,
		       GFP_KERNEL);
}

#ifdef CONFIG_BAR
int foo_bar(void)
{
	return foo_read(0);
}
#endif
//- kernel/core.c
int core_read(void)
{
	int retries = 3;
	return foo_read(0) + foo_read(1) + foo_read(2);
}
int core_last(void)
{
	return 0; /* failed to read */
}
//- drivers/net/a.c
int a_read(void)
{
	return foo_read(0);
}
//- drivers/net/regs.h
""" + "\n".join(f"#define REG_{number} {number}" for number in range(450)) + "\n#define REG_LAST 0xdead\n"

VIEW = MemoryView(files_of(TREE.lstrip("\n")))


def found(pattern: str, **filters: object) -> GrepAnswer:
    return grep(VIEW, GrepQuery(pattern, **filters))  # type: ignore[arg-type]


def named(answer: GrepAnswer) -> list[tuple[str, str]]:
    return [(hit.path, hit.symbol.name if hit.symbol else "") for hit in answer.hits]


def test_whole_definitions_are_found_the_core_of_the_kernel_first() -> None:
    answer = found("foo_read")
    assert named(answer) == [
        ("fs/foo/foo.c", ""), ("fs/foo/foo.c", "foo_read"), ("fs/foo/foo.c", "foo_bar"), ("kernel/core.c", "core_read"),
        ("drivers/net/a.c", "a_read"),
    ]  # fmt: skip
    assert answer.is_exact and not answer.more and answer.is_complete
    assert answer.hits[0].lines == [(0, "/* foo_read is slow */")]
    function = answer.hits[1]
    assert function.symbol is not None and function.symbol.kind is Kind.FUNCTION
    data = VIEW.data(function.path)
    assert data is not None and data[function.start : function.end].endswith(b"GFP_KERNEL);\n}")


def test_text_in_strings_and_comments_is_found() -> None:
    assert named(found("failed to read")) == [("fs/foo/foo.c", "foo_read"), ("kernel/core.c", "core_last")]


def test_a_match_may_span_lines_and_belongs_to_the_line_where_it_begins() -> None:
    (hit,) = found(r"kmalloc\([^)]*GFP_KERNEL").hits
    assert hit.lines == [(11, "\treturn kmalloc(foo,")]


def test_lines_are_bounded_and_the_rest_is_counted() -> None:
    (hit,) = found("r", paths=("kernel",), kinds=("function",), max_lines=2, max_results=1).hits
    assert [line for line, _ in hit.lines] == [0, 2] and hit.more_lines == 1


def test_results_are_bounded_and_the_rest_is_counted() -> None:
    answer = found("foo_read", max_results=2)
    assert len(answer.hits) == 2 and answer.more == 3 and answer.is_exact


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"paths": ("drivers",)}, ["a_read"]),
        ({"paths": ("*.h",)}, []),
        ({"kinds": ("function",)}, ["foo_read", "foo_bar", "core_read", "a_read"]),
        ({"kinds": ("struct", "macro")}, []),
        ({"configs": ("FOO",), "kinds": ("function",)}, ["foo_read", "foo_bar"]),
        ({"configs": ("CONFIG_BAR",)}, ["foo_bar"]),
        ({"configs": ("BAR",), "paths": ("kernel",)}, []),
    ],
)
def test_filters_narrow_the_results(filters: dict[str, tuple[str, ...]], expected: list[str]) -> None:
    assert [name for _, name in named(found("foo_read", **filters)) if name] == expected


def test_a_macro_and_a_struct_are_found_by_kind() -> None:
    assert named(found("FOO_MAX", kinds=("macro",))) == [("fs/foo/foo.c", "FOO_MAX")]
    assert named(found("FOO_MAX", kinds=("struct",))) == [("fs/foo/foo.c", "foo")]
    assert named(found("0xdead")) == [("drivers/net/regs.h", "REG_LAST")]


def test_case_and_plain_text_are_as_asked() -> None:
    assert named(found("FAILED TO READ")) == []
    assert len(named(found("FAILED TO READ", ignores_case=True))) == 2
    assert named(found("(a) + 1", is_fixed=True)) == [("fs/foo/foo.c", "FOO_MAX")]
    assert named(found("^int core_\\w+")) == [("kernel/core.c", "core_read"), ("kernel/core.c", "core_last")]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(a)\1", "back-references"), ("a(?=b)", "look-ahead"), ("(?<!a)b", "look-behind"), ("a(", "missing"),
        ("", "empty"), ("a" * 2000, "1000"), ("a\0", "zero byte"), ("\ud800", "no valid text"),
        ("*a", "--fixed-strings"),
    ],
)  # fmt: skip
def test_a_pattern_that_cannot_be_run_is_refused_in_one_line(pattern: str, words: str) -> None:
    with pytest.raises(BadQuery, match=words) as refused:
        found(pattern)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("filters", [{"kinds": ("klass",)}, {"configs": ("NO_SUCH_OPTION",)}, {"configs": ("; rm",)}])
def test_a_filter_that_means_nothing_is_refused(filters: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(BadQuery):
        found("foo", **filters)


def test_a_search_ends_when_it_is_cancelled() -> None:
    asked = iter([False, True])
    answer = grep(VIEW, GrepQuery("foo_read"), lambda: next(asked, True))
    assert answer.why_stopped == "cancelled" and not answer.is_exact and answer.files_searched == 1


def test_an_expression_that_would_backtrack_without_bound_ends() -> None:
    hostile = MemoryView({"a.c": b"a" * 50_000 + b"!"})
    assert grep(hostile, GrepQuery("(a*)*(a|aa)+b|(x+x+)+y")).hits == []
    assert len(grep(hostile, GrepQuery("(a|aa)+!$")).hits) == 1
