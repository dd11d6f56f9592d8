"""Call hierarchy over a small tree."""

from __future__ import annotations

from kexpert.core.symbols import Kind, Symbol
from kexpert.features.navigation.call_hierarchy import Call, incoming, outgoing, prepare
from tests.support.memory_view import MemoryView, at_cursor

TREE = """
//- include/linux/foo.h
struct foo_ops { int (*open)(int x); int (*close)(int x); };
struct foo { const struct foo_ops *ops; };
int foo_add(int a);
//- lib/foo.c
#include <linux/foo.h>
static int helper(int a)
{
	return a;
}
int foo_add(int a)
{
	return helper(a) + helper(a + 1);
}
//- drivers/a/a.c
#include <linux/foo.h>
#define TWICE(x) (foo_add(x) + foo_add(x))
static int helper(int a)
{
	return a * 2;
}
static int a_open(int x)
{
	/* foo_add(x) */
	if (x)
		return foo_add(x);
	return TWICE(helper(x));
}
static const struct foo_ops a_ops = { .open = a_open };
static int a_run(struct foo *foo)
{
	return foo->ops->open(1) + foo->ops->close(2);
}
//- drivers/b/b.c
static int foo_add(int a)
{
	return a;
}
int b(void)
{
	return foo_add(1);
}
"""


def symbol(view: MemoryView, name: str, path: str) -> Symbol:
    rows = view.lookup(name, (Kind.FUNCTION, Kind.MACRO))
    return next(row for row in rows if row.path == path)


def names(view: MemoryView, calls: list[Call]) -> list[tuple[str, str, list[str]]]:
    """(name, path, the called names as written) of every edge."""
    out = []
    for call in calls:
        written = []
        for span in call.spans:
            source = view.source(span.path)
            assert source is not None
            written.append(source.data[span.start : span.end].decode())
        out.append((call.symbol.name, call.symbol.path, written))
    return out


def tree() -> MemoryView:
    return at_cursor(TREE + "//- x.c\n/*|*/")[0]


def test_outgoing_calls_prefer_statics_of_the_file() -> None:
    view = tree()
    assert names(view, outgoing(view, symbol(view, "foo_add", "lib/foo.c"))) == [
        ("helper", "lib/foo.c", ["helper", "helper"])
    ]
    assert names(view, outgoing(view, symbol(view, "a_open", "drivers/a/a.c"))) == [
        ("foo_add", "lib/foo.c", ["foo_add"]),
        ("TWICE", "drivers/a/a.c", ["TWICE"]),
        ("helper", "drivers/a/a.c", ["helper"]),
    ]


def test_outgoing_calls_of_a_macro_are_in_its_body() -> None:
    view = tree()
    assert names(view, outgoing(view, symbol(view, "TWICE", "drivers/a/a.c"))) == [
        ("foo_add", "lib/foo.c", ["foo_add", "foo_add"])
    ]


def test_call_through_ops_leads_to_the_assigned_functions() -> None:
    view = tree()
    assert names(view, outgoing(view, symbol(view, "a_run", "drivers/a/a.c"))) == [
        ("a_open", "drivers/a/a.c", ["open"])
    ]


def test_incoming_calls_leave_out_files_with_their_own_static() -> None:
    view = tree()
    found = names(view, incoming(view, symbol(view, "foo_add", "lib/foo.c"), lambda: False))
    assert ("a_open", "drivers/a/a.c", ["foo_add", "TWICE"]) in found  # TWICE calls foo_add
    assert all(path != "drivers/b/b.c" for _, path, _ in found)


def test_incoming_calls_of_a_static_stay_in_its_file() -> None:
    view = tree()
    assert names(view, incoming(view, symbol(view, "helper", "lib/foo.c"), lambda: False)) == [
        ("foo_add", "lib/foo.c", ["helper", "helper"])
    ]


def test_the_end_of_a_scope_calls_what_frees_or_unlocks() -> None:
    view, _, _ = at_cursor("""
//- include/linux/anchor.h
void anchor_put(struct anchor *anchor);
DEFINE_FREE(anchor_put, struct anchor *, if (!IS_ERR_OR_NULL(_T)) anchor_put(_T))
DEFINE_GUARD(anchor, struct anchor *, anchor_hold(_T), anchor_put(_T))
//- drivers/anchor.c
void anchor_put(struct anchor *anchor)
{
}
//- drivers/a.c
#include <linux/anchor.h>
int freed(void)
{
	struct anchor *anchor __free(anchor_put) = NULL;
	return 0;
}
int guarded(struct anchor *anchor)
{
	guard(anchor)(anchor);
	scoped_guard(anchor, anchor) {
	}
	return 0;
}
int other(struct anchor *anchor)
{
	return anchor != NULL;
}
//- x.c
/*|*/""")
    callee = symbol(view, "anchor_put", "drivers/anchor.c")
    assert names(view, incoming(view, callee, lambda: False)) == [
        ("freed", "drivers/a.c", ["anchor_put"]),
        ("guarded", "drivers/a.c", ["anchor", "anchor"]),
    ]


def test_incoming_calls_can_be_cancelled() -> None:
    view = tree()
    assert incoming(view, symbol(view, "foo_add", "lib/foo.c"), lambda: True) == []


def prepared(cursor: str) -> list[tuple[str, str]]:
    plain = cursor.replace("/*|*/", "")
    assert TREE.count(plain) == 1
    return [(symbol.name, symbol.path) for symbol in prepare(*at_cursor(TREE.replace(plain, cursor)))]


def test_prepare_finds_the_function_of_a_call_a_prototype_and_an_ops_member() -> None:
    assert prepared("return foo_/*|*/add(x);")[0] == ("foo_add", "lib/foo.c")
    assert prepared("int foo_/*|*/add(int a);")[0] == ("foo_add", "lib/foo.c")
    assert prepared("foo->ops->op/*|*/en(1)") == [("a_open", "drivers/a/a.c")]
    assert prepared("static const struct foo_/*|*/ops a_ops") == []
