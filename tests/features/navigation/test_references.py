"""References, highlights and renaming: every occurrence as the line that holds it."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from kexpert.features.navigation.references import highlights, references
from kexpert.features.navigation.rename import RenameError, prepare_rename, rename
from tests.support.memory_view import at_cursor

TREE = """
//- include/linux/foo.h
int foo_count(void);
struct foo { int count; };
//- drivers/a/a.c
#include <linux/foo.h>
int foo_count(void)
{
	return 1; /* foo_count */
}
static int helper(struct foo *foo)
{
	return foo->count + foo_count();
}
int a(struct foo *foo)
{
	int helper_left = helper(foo);
	return helper_left;
}
//- drivers/b/b.c
#include <linux/foo.h>
static int helper(int count)
{
	return count;
}
int b(struct foo *foo)
{
	return helper(foo->count) + foo_count();
}
//- drivers/c/c.c
static int foo_count(void)
{
	return 0;
}
int c(void)
{
	return foo_count();
}
"""


def lines(fixture: str, include_declaration: bool = True) -> list[str]:
    view, source, offset = at_cursor(fixture)
    found = references(view, source, offset, include_declaration, lambda: False)
    out = []
    for span in chain.from_iterable(found):
        text = view.source(span.path)
        assert text is not None
        out.append(f"{span.path}: {text.lines.line_bytes(text.lines.line_of(span.start)).decode().strip()}")
    return out


def put(cursor: str) -> str:
    """The tree with a cursor where ``cursor`` shows it, by its line."""
    plain = cursor.replace("/*|*/", "")
    assert TREE.count(plain) == 1
    return TREE.replace(plain, cursor)


def test_global_function_is_found_except_in_files_with_a_static_of_its_name() -> None:
    fixture = put("return helper(foo->count) + foo_/*|*/count();")
    assert sorted(lines(fixture)) == [
        "drivers/a/a.c: int foo_count(void)",
        "drivers/a/a.c: return foo->count + foo_count();",
        "drivers/b/b.c: return helper(foo->count) + foo_count();",
        "include/linux/foo.h: int foo_count(void);",
    ]
    assert sorted(lines(fixture, include_declaration=False)) == [
        "drivers/a/a.c: return foo->count + foo_count();",
        "drivers/b/b.c: return helper(foo->count) + foo_count();",
    ]


def test_static_function_in_its_own_file_only() -> None:
    assert lines(put("int helper_left = hel/*|*/per(foo);")) == [
        "drivers/a/a.c: static int helper(struct foo *foo)",
        "drivers/a/a.c: int helper_left = helper(foo);",
    ]


def test_local_in_its_scope_only() -> None:
    assert lines(put("return helper_/*|*/left;")) == [
        "drivers/a/a.c: int helper_left = helper(foo);",
        "drivers/a/a.c: return helper_left;",
    ]
    assert lines(put("return helper_/*|*/left;"), include_declaration=False) == ["drivers/a/a.c: return helper_left;"]


def test_member_is_found_after_dot_and_arrow_and_no_local_of_its_name() -> None:
    assert lines(put("return foo->cou/*|*/nt + foo_count();")) == [
        "include/linux/foo.h: struct foo { int count; };",
        "drivers/a/a.c: return foo->count + foo_count();",
        "drivers/b/b.c: return helper(foo->count) + foo_count();",
    ]


TAGS = """
//- drivers/a.c
struct zone { int id; };
#define zone(x) (x)
int zones(struct zone *zone)
{
	return zone(zone->id) + sizeof(struct zone);
}
//- drivers/b.c
int zone(int id)
{
	return id;
}
"""


def test_a_tag_and_a_function_or_macro_of_its_name_have_different_references() -> None:
    assert lines(TAGS.replace("struct zone {", "struct zo/*|*/ne {")) == [
        "drivers/a.c: struct zone { int id; };",
        "drivers/a.c: int zones(struct zone *zone)",
        "drivers/a.c: return zone(zone->id) + sizeof(struct zone);",
    ]
    assert "drivers/a.c: struct zone { int id; };" not in lines(TAGS.replace("int zone(int", "int zo/*|*/ne(int"))


def test_cancelled_references_stop() -> None:
    view, source, offset = at_cursor(put("return helper(foo->count) + foo_/*|*/count();"))
    view.references = lambda name, cancelled=lambda: False, within=None: []  # type: ignore[method-assign]
    assert references(view, source, offset, False, lambda: True) == []


def marked(fixture: str) -> list[tuple[str, bool]]:
    view, source, offset = at_cursor(fixture)
    found = highlights(view, source, offset)
    assert len({source.data[highlight.start : highlight.end] for highlight in found}) <= 1
    return [
        (source.lines.line_bytes(source.lines.line_of(highlight.start)).decode().strip(), highlight.write)
        for highlight in found
    ]


def test_highlights_distinguish_writes_from_reads() -> None:
    fixture = """
static int total;
int f(int x)
{
	tot/*|*/al = x;
	total += 2;
	if (total == 3)
		total++;
	return total;
}
"""
    assert marked(fixture) == [
        ("static int total;", True),
        ("total = x;", True),
        ("total += 2;", True),
        ("if (total == 3)", False),
        ("total++;", True),
        ("return total;", False),
    ]


def test_highlights_of_a_local_leave_out_other_variables_of_its_name() -> None:
    fixture = "struct s { int x; };\nint f(struct s *s, int x)\n{\n\treturn s->x + /*|*/x;\n}\n"
    fixture += "int g(int x)\n{\n\treturn x;\n}\n"
    assert marked(fixture) == [("int f(struct s *s, int x)", True), ("return s->x + x;", False)]


def test_highlights_of_a_name_without_a_definition() -> None:
    assert marked("int f(void)\n{\n\twho(1);\n\treturn wh/*|*/o(2);\n}\n") == [
        ("who(1);", False), ("return who(2);", False)]  # fmt: skip


def renamed(fixture: str, new_name: str) -> str:
    view, source, offset = at_cursor(fixture)
    assert prepare_rename(view, source, offset) is not None
    data = source.data
    for _, start, end in reversed(rename(view, source, offset, new_name)):
        data = data[:start] + new_name.encode() + data[end:]
    return data.decode()


def refusal(fixture: str, new_name: str = "fresh") -> str:
    view, source, offset = at_cursor(fixture)
    with pytest.raises(RenameError) as caught:
        rename(view, source, offset, new_name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_renaming_a_parameter_changes_it_and_its_kernel_doc() -> None:
    fixture = """
/**
 * f() - add
 * @n: how many n
 */
int f(struct s *s, int /*|*/n)
{
	int m = s->n + n;
	{
		int n = 2;
		m += n;
	}
	return n + m;
}
"""
    assert renamed(fixture, "count") == """
/**
 * f() - add
 * @count: how many n
 */
int f(struct s *s, int count)
{
	int m = s->n + count;
	{
		int n = 2;
		m += n;
	}
	return count + m;
}
"""


def test_renaming_a_static_function_changes_prototype_macro_bodies_and_kernel_doc() -> None:
    fixture = """
static int foo_get(int);
#define GET() foo_get(1)
/**
 * foo_get() - get a foo
 */
static int foo_/*|*/get(int x)
{
	return x ? foo_get(0) : 0; /* foo_get */
}
struct ops o = { .foo_get = foo_get };
"""
    assert renamed(fixture, "foo_take") == """
static int foo_take(int);
#define GET() foo_take(1)
/**
 * foo_take() - get a foo
 */
static int foo_take(int x)
{
	return x ? foo_take(0) : 0; /* foo_get */
}
struct ops o = { .foo_get = foo_take };
"""


def test_renaming_a_label() -> None:
    assert renamed("int f(int out)\n{\n\tif (out)\n\t\tgoto o/*|*/ut;\nout:\n\treturn out;\n}\n", "done") == (
        "int f(int out)\n{\n\tif (out)\n\t\tgoto done;\ndone:\n\treturn out;\n}\n"
    )


FUNCTION = "static int other(void) { return 0; }\nint f(int a)\n{\n\tint b = other();\n\treturn a/*|*/ + b;\n}\n"


@pytest.mark.parametrize(
    ("new_name", "reason"),
    [
        ("2nd", "'2nd' is not a C identifier"),
        ("", "'' is not a C identifier"),
        ("while", "'while' is a C keyword"),
        ("b", "'b' is already used in this function"),
        ("other", "'other' is already used in this function"),
    ],
)
def test_bad_and_clashing_names_are_refused(new_name: str, reason: str) -> None:
    assert refusal(FUNCTION, new_name) == reason


def test_a_local_is_not_renamed_to_a_macro() -> None:
    fixture = "//- include/linux/m.h\n#define current get_current()\n//- drivers/x/x.c\n" + FUNCTION
    assert refusal(fixture, "current") == "'current' is a macro in include/linux/m.h"


@pytest.mark.parametrize(
    ("fixture", "reason"),
    [
        ("int shar/*|*/ed(void)\n{\n\treturn 0;\n}\n", "'shared' is not static in this file: other files may use it"),
        ("enum { MEM/*|*/BER };\n", "'MEMBER' is not static in this file: other files may use it"),
        ("int f(void)\n{\n/*|*/\n\treturn 0;\n}\n", "nothing here can be renamed"),
        (
            "//- drivers/x/y.c\n#include \"x.c\"\nint g(void) { return own(); }\n"
            "//- drivers/x/x.c\nstatic int ow/*|*/n(void)\n{\n\treturn 0;\n}\n",
            "'own' is also used by drivers/x/y.c, which includes this file",
        ),
        (
            "static ssize_t size_sh/*|*/ow(struct device *dev)\n{\n\treturn 0;\n}\nstatic DEVICE_ATTR_RO(size);\n",
            "a macro call forms 'size_show' from 'size'",
        ),
    ],
)
def test_renaming_a_name_that_other_files_may_use_is_refused(fixture: str, reason: str) -> None:
    assert refusal(fixture) == reason
    if reason == "nothing here can be renamed":
        assert prepare_rename(*at_cursor(fixture)) is None
    else:
        with pytest.raises(RenameError, match=re.escape(reason)):
            prepare_rename(*at_cursor(fixture))
