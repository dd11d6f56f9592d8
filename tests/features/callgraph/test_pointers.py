"""Where a function is passed on or stored as a pointer."""

from __future__ import annotations

import pytest

from kexpert.core.symbols import Kind
from kexpert.features.callgraph.pointers import passed_on
from tests.support.memory_view import MemoryView, files_of

TREE = """
//- include/linux/work.h
struct work { void (*func)(struct work *work); };
void later(struct work *work);
//- lib/later.c
#include <linux/work.h>
void later(struct work *work)
{
}
EXPORT_SYMBOL(later);
//- drivers/a/a.c
#include <linux/work.h>
static void tick(struct work *work)
{
	tick(work);
}
static DECLARE_WORK(ticking, tick);
struct tick { int tick; };
static void start(struct work *work, struct tick *t)
{
	int later = 3;

	t->tick = 1;
	INIT_WORK(work, tick);
	work->func = &tick; /* tick */
	if (later)
		goto tick;
	setup_timer("tick", work, tick);
tick:
	return;
}
//- drivers/c/c.c
static void later(void)
{
}
static void other(void)
{
	call_it(later, NULL);
}
static void own(void)
{
}
module_init(own);
//- drivers/b/b.c
#include <linux/work.h>
#include <linux/later.h>
static const struct work fixed = { .func = later };
void begin(struct work *work)
{
	later(work);
	call_it(later, work);
}
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tick", [("drivers/a/a.c", "static DECLARE_WORK(ticking, tick);"), ("drivers/a/a.c", "INIT_WORK(work, tick);"),
                  ("drivers/a/a.c", "work->func = &tick; /* tick */"),
                  ("drivers/a/a.c", 'setup_timer("tick", work, tick);')]),
        ("later", [("drivers/b/b.c", "call_it(later, work);")]),
        ("start", []),
        ("own", [("drivers/c/c.c", "module_init(own);")]),
    ],
)  # fmt: skip
def test_a_callback_is_found_where_it_is_passed_on(name: str, expected: list[tuple[str, str]]) -> None:
    """No call, no label, no member, no local variable, no table and no mention of the same name is."""
    view = MemoryView(files_of(TREE))
    symbol = min(view.lookup(name, (Kind.FUNCTION,)), key=lambda each: each.path != "lib/later.c")
    found = passed_on(view, symbol)
    assert [(place.path, place.text) for place in found.places] == expected


def test_a_place_says_in_what_it_is() -> None:
    view = MemoryView(files_of(TREE))
    (symbol,) = view.lookup("tick", (Kind.FUNCTION,))
    found = [(place.around, place.line) for place in passed_on(view, symbol).places]
    assert found == [("ticking", 5), ("start", 12), ("start", 13), ("start", 16)]


def test_files_that_are_too_many_are_counted_instead() -> None:
    users = "".join(f"//- drivers/u{each}.c\nint u{each}(void) {{ return call(popular); }}\n" for each in range(50))
    view = MemoryView(files_of(f"//- lib/p.c\nint popular(void) {{ return 1; }}\n{users}"))
    (symbol,) = view.lookup("popular", (Kind.FUNCTION,))
    found = passed_on(view, symbol)
    assert (found.places, found.unread_files) == ((), 51)
