"""Hover cards: the facts on small kernel-like trees, and a few cards as the editor shows them.

Golden files: ``tests/features/hover/golden/*.md``; ``KEXPERT_GOLDEN=write pytest …`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import KernelDoc
from kexpert.core.symbols import Kind
from kexpert.features.hover.card import (
    Enumerator,
    Export,
    HoverCard,
    Implementations,
    Operation,
    OptionHelp,
    Place,
    PlainText,
    RestructuredText,
    Title,
)
from kexpert.features.hover.hover import HoverConfig, card_for_symbol, hover
from kexpert.render import markdown
from tests.support.memory_view import MemoryView, at_cursor

GOLDEN = Path(__file__).parent / "golden"


def card(fixture: str) -> HoverCard:
    """The card at the cursor; its span must hold the cursor."""
    view, source, offset = at_cursor(fixture)
    found = hover(view, source, offset)
    assert found is not None
    assert found.start is not None
    assert found.end is not None
    assert found.start <= offset <= found.end
    return found


def kernel_doc(found: HoverCard) -> KernelDoc:
    [doc] = found.documentation
    assert isinstance(doc, KernelDoc)
    return doc


def no_card(fixture: str) -> bool:
    return hover(*at_cursor(fixture)) is None


FOO = """
//- MAINTAINERS
Maintainers List
----------------

FOO DRIVER
M:	Ada Example <ada@example.org>
L:	linux-foo@example.org (moderated)
S:	Maintained
F:	drivers/foo/
F:	include/linux/foo.h

THE REST
M:	Linus Example <linus@example.org>
S:	Buried alive in reporters
F:	*
F:	*/
//- drivers/foo/Kconfig
config FOO
	tristate "Foo support"
	depends on PCI
	select BAR
	help
	  Say Y here to support the foo.

	  If unsure, say N.
//- drivers/foo/Makefile
obj-$(CONFIG_FOO) += foo.o
foo-y := core.o ops.o
//- .config
CONFIG_FOO=m
//- lib/foo_wait.c
void foo_wait(struct foo *foo)
{
	might_sleep();
}
//- include/linux/foo.h
/* SPDX-License-Identifier: GPL-2.0 */
/*
 * foo.h - Interface of the foo bus
 *
 * Copyright (C) 2001 Ada Example
 */
#ifndef _LINUX_FOO_H
#define _LINUX_FOO_H
struct foo;
/**
 * enum foo_state - what a foo is doing
 * @FOO_IDLE: nothing
 * @FOO_BUSY: something
 */
enum foo_state { FOO_IDLE, FOO_BUSY = 4, FOO_DEAD, };
/**
 * struct foo_ops - what a foo driver provides
 * @open: called on first use
 */
struct foo_ops {
	int (*open)(struct foo *foo);
	void (*close)(struct foo *foo); /* may be NULL */
};
struct foo {
	const struct foo_ops *ops;
	u8 state; /* an enum foo_state */
	u64 count;
};
typedef int (*foo_fn)(struct foo *foo);
extern int foo_limit;
#ifdef CONFIG_FOO
int foo_start(struct foo *foo, int *count);
#else
static inline int foo_start(struct foo *foo, int *count) { return 0; }
#endif
#define UL(x) x##UL
#define BIT(nr) (UL(1) << (nr))
#define FOO_READY BIT(3)
#define FOO_LIMIT_DEFAULT 16
#endif
//- drivers/foo/core.c
// SPDX-License-Identifier: GPL-2.0
#include <linux/foo.h>
/* How many foos there may be. */
int foo_limit = FOO_LIMIT_DEFAULT;
module_param(foo_limit, int, 0444);
MODULE_PARM_DESC(foo_limit, "Upper limit of foos "
		 "(default 16)");
EXPORT_SYMBOL(foo_limit);
static DEFINE_PER_CPU(int, foo_hits);
/**
 * foo_start() - start a foo
 * @foo: the foo
 * @count: where the count goes
 *
 * Starting a started_foo is *harmless*.
 *
 * Context: process context.
 * Return: 0 or a negative errno.
 */
int foo_start(struct foo *foo,
	      int *count)
{
	foo_wait(foo);
	this_cpu_inc(foo_hits);
	return foo->ops->open(foo);
}
EXPORT_SYMBOL_NS_GPL(foo_start, FOO_BUS);
//- drivers/foo/ops.c
#include <linux/foo.h>
static int ops_open(struct foo *foo)
{
	int count = 0; /* what foo_start() counts */

	if (foo->state == FOO_DEAD)
		return foo_start(foo, &count);
	return FOO_READY;
}
static const struct foo_ops ops_table = { .open = ops_open };
"""


def user(body: str) -> str:
    """The tree with one more file of the driver."""
    return FOO + "//- drivers/foo/user.c\n#include <linux/foo.h>\n" + body


def in_function(line: str) -> str:
    return user("int f(struct foo *foo, int n)\n{\n\t" + line + "\n}\n")


START = in_function("return foo_/*|*/start(foo, &n);")


def test_function_from_its_definition() -> None:
    found = card(START)
    assert found.code == "int foo_start(struct foo *foo, int *count)"
    assert found.what == "function"
    doc = kernel_doc(found)
    assert (doc.summary, doc.returns) == ("start a foo", "0 or a negative errno.")
    assert found.place is not None
    assert found.place.path == "drivers/foo/core.c"
    assert found.place.conditions == ("CONFIG_FOO",)
    assert found.declared is not None
    assert (found.declared.path, found.declared.conditions) == ("include/linux/foo.h", ("CONFIG_FOO",))
    assert [(one.path, one.conditions) for one in found.variants] == [("include/linux/foo.h", ("!CONFIG_FOO",))]
    assert found.export == Export("EXPORT_SYMBOL_NS_GPL", "FOO_BUS")
    assert found.sleeps_through == ("foo_wait",)
    assert found.callers == 2
    assert found.maintainers is not None
    assert found.maintainers.people == ("Ada Example",)
    assert found.maintainers.lists == ("linux-foo@example.org",)


def test_callers_are_not_counted_while_the_index_is_partial() -> None:
    view, source, offset = at_cursor(START)
    view.complete = False
    found = hover(view, source, offset)
    assert found is not None
    assert found.callers is None


def test_function_in_an_ops_table() -> None:
    found = card(FOO.replace("static int ops_open(", "static int ops_/*|*/open("))
    assert found.operations == (Operation("open", "foo_ops", "ops_table"),)
    assert found.code == "static int ops_open(struct foo *foo)"
    assert found.sleeps_through == ()


def test_static_function_has_no_variants_in_other_files() -> None:
    fixture = user("static int ops_open(int x)\n{\n\treturn x;\n}\nint g(void)\n{\n\treturn ops_o/*|*/pen(1);\n}\n")
    found = card(fixture)
    assert found.place is not None
    assert found.place.path == "drivers/foo/user.c"
    assert found.variants == ()
    assert found.operations == ()
    assert found.callers == 1


def test_variants_of_every_arch_are_named() -> None:
    archs = "".join(
        f"//- arch/{arch}/lib/copy.c\nvoid copy_words(void)\n{{\n}}\n" for arch in ("alpha", "arm", "x86")
    )
    found = card(archs + "//- mm/x.c\nvoid f(void)\n{\n\tcopy_/*|*/words();\n}\n")
    assert found.place is not None
    assert found.place.conditions == ("arch x86",)
    assert {one.conditions for one in found.variants} == {("arch alpha",), ("arch arm",)}


def test_many_variants_are_capped() -> None:
    archs = "".join(f"//- arch/a{n}/copy.c\nvoid copy_words(void)\n{{\n}}\n" for n in range(15))
    found = card(archs + "//- mm/x.c\nvoid f(void)\n{\n\tcopy_/*|*/words();\n}\n")
    assert len(found.variants) == 8
    assert found.more_variants == 6
    assert "and 6 more" in markdown.hover_card(found)


def test_lock_rules_are_shown() -> None:
    found = card("static void f/*|*/oo(struct s *s)\n\t__must_hold(&s->lock)\n{\n\tlockdep_assert_held(&s->lock);\n}\n")
    assert "__must_hold(&s->lock)" in found.code
    assert found.rules is not None
    assert found.rules.must_hold == ["&s->lock"]
    assert "Must hold `&s->lock`" in markdown.hover_card(found)


def test_long_signature_is_wrapped_behind_its_parenthesis() -> None:
    found = card(
        "static ssize_t __init foo_read_many(struct file *file, char __user *buf, size_t count, loff_t *pos)\n{\n"
        "\treturn 0;\n}\nvoid g(void)\n{\n\tfoo_read_/*|*/many();\n}\n"
    )
    assert found.code == (
        "static ssize_t __init foo_read_many(struct file *file, char __user *buf,\n"
        "                                    size_t count, loff_t *pos)"
    )


def test_annotations_on_the_line_above_belong_to_the_signature() -> None:
    found = card("__printf(1, 2)\nvoid foo_w/*|*/arn(const char *fmt, ...)\n{\n}\n")
    assert found.code == "__printf(1, 2) void foo_warn(const char *fmt, ...)"


def test_system_call_shows_its_prototype_and_its_macro() -> None:
    fixture = """
//- fs/open.c
SYSCALL_DEFINE3(open, const char __user *, filename, int, flags, umode_t, mode)
{
	return 0;
}
//- kernel/x.c
long f(void)
{
	return sys_/*|*/open(0, 0, 0);
}
"""
    found = card(fixture)
    assert found.what == "system call"
    assert found.code.splitlines() == [
        "long sys_open(const char __user *filename, int flags, umode_t mode)",
        "SYSCALL_DEFINE3(open, const char __user *, filename, int, flags, umode_t, mode)",
    ]


def test_member_with_kernel_doc_type_and_implementations() -> None:
    found = card(in_function("return foo->ops->op/*|*/en(foo);"))
    assert (found.what, found.owner) == ("member", "struct foo_ops")
    assert found.code == "int (*open)(struct foo *foo);"
    assert found.documentation == (RestructuredText("called on first use"),)
    assert found.implementations == Implementations(("ops_open",), 1)


def test_member_with_the_comment_beside_it() -> None:
    found = card(in_function("return foo->st/*|*/ate;"))
    assert (found.owner, found.code) == ("struct foo", "u8 state;")
    assert found.documentation == (PlainText("an enum foo_state"),)
    assert found.implementations is None


def test_struct_has_its_layout() -> None:
    found = card(user("struct fo/*|*/o *foo;\n"))
    assert found.layout is not None
    assert found.layout.size == 24
    assert "struct foo" in found.code


def test_struct_layout_reaches_into_other_structs() -> None:
    found = card(user("struct pair { struct foo a; struct foo *b; };\nstruct pa/*|*/ir *p;\n"))
    assert found.layout is not None
    assert found.layout.size == 32


def test_struct_layout_knows_macros_and_enumerators_as_array_lengths() -> None:
    found = card(user("struct fo/*|*/o_table { u32 busy[FOO_BUSY]; char name[FOO_LIMIT_DEFAULT]; };\n"))
    assert found.layout is not None
    assert [one.size for one in found.layout.fields] == [16, 16]


def test_a_size_that_is_not_known_is_not_invented() -> None:
    found = card(user("struct fo/*|*/o_user { struct never_defined inner; int last; };\n"))
    assert found.layout is not None
    assert found.layout.size is None


def test_a_struct_that_holds_itself_ends() -> None:
    found = card(user("struct fo/*|*/o_self { struct foo_self inner; };\n"))
    assert found.layout is not None
    assert found.layout.size is None


def test_enum_and_enumerator_have_values() -> None:
    found = card(user("enum foo_st/*|*/ate s;\n"))
    assert found.enumerators == (Enumerator("FOO_IDLE", 0), Enumerator("FOO_BUSY", 4), Enumerator("FOO_DEAD", 5))
    dead = card(in_function("return FOO_DE/*|*/AD;"))
    assert (dead.owner, dead.value, dead.documentation) == ("enum foo_state", 5, ())
    assert card(in_function("return FOO_BU/*|*/SY;")).documentation == (RestructuredText("something"),)


def test_enumerators_behind_an_if_have_no_invented_value() -> None:
    fixture = "enum e {\n\tA,\n#ifdef X\n\tB,\n#endif\n\tC,\n\tD = 9,\n\tE,\n};\nenum /*|*/e x;\n"
    assert [one.value for one in card(fixture).enumerators] == [0, None, None, 9, 10]


def test_function_like_macro_is_expanded_at_its_use() -> None:
    found = card(in_function("return B/*|*/IT(n + 1);"))
    assert (found.expansion, found.value) == ("(UL(1) << (n + 1))", None)
    assert found.code == "#define BIT(nr) (UL(1) << (nr))"
    assert card(in_function("return B/*|*/IT(3);")).value == 8


def test_object_like_macro_has_its_value() -> None:
    found = card(in_function("return FOO_/*|*/READY;"))
    assert found.value == 8
    assert found.code == "#define FOO_READY BIT(3)"


def test_macro_at_its_definition_is_not_expanded() -> None:
    found = card(FOO.replace("#define BIT(nr)", "#define B/*|*/IT(nr)"))
    assert (found.expansion, found.value) == ("", None)


def test_macro_that_differs_by_condition_has_no_value() -> None:
    fixture = (
        "//- include/linux/p.h\n#ifdef BIG\n#define SHIFT 16\n#else\n#define SHIFT 12\n#endif\n"
        "#define SIZE (1 << SHIFT)\n"
        "//- mm/x.c\n#include <linux/p.h>\nint f(void)\n{\n\treturn SI/*|*/ZE;\n}\n"
    )
    assert card(fixture).value is None
    shift = card(fixture.replace("SI/*|*/ZE", "SHI/*|*/FT"))
    assert shift.value is None
    assert len(shift.variants) == 1


def test_typedef_says_what_it_names() -> None:
    found = card(user("foo_/*|*/fn fn;\n"))
    assert (found.what, found.code) == ("typedef", "typedef int (*foo_fn)(struct foo *foo);")


def test_variable_with_export_declaration_and_module_parameter() -> None:
    found = card(in_function("return foo_li/*|*/mit;"))
    assert found.code == "int foo_limit = FOO_LIMIT_DEFAULT;"
    assert found.documentation == (
        PlainText("How many foos there may be."), PlainText("Upper limit of foos (default 16)"),
    )  # fmt: skip
    assert found.export == Export("EXPORT_SYMBOL")
    assert found.declared is not None
    assert found.declared.path == "include/linux/foo.h"


def test_per_cpu_variable() -> None:
    found = card(FOO.replace("this_cpu_inc(foo_hits)", "this_cpu_inc(foo_/*|*/hits)"))
    assert (found.what, found.code) == ("per-CPU variable", "static DEFINE_PER_CPU(int, foo_hits)")


@pytest.mark.parametrize(
    ("body", "what", "code"),
    [
        ("int f(struct foo *foo)\n{\n\treturn !f/*|*/oo;\n}\n", "parameter", "struct foo *foo"),
        ("int f(void)\n{\n\tchar name[8];\n\treturn na/*|*/me[0];\n}\n", "local variable", "char name[];"),
        ("int f(void)\n{\n\tint (*fn)(int a);\n\treturn f/*|*/n(1);\n}\n", "local variable", "int (*fn)(int);"),
        ("int f(void)\n{\n\tstatic int seen;\n\treturn se/*|*/en;\n}\n", "static local variable", "static int seen;"),
        ("int f(void)\n{\n\tgoto o/*|*/ut;\nout:\n\treturn 0;\n}\n", "label", "out:"),
    ],
)
def test_locals(body: str, what: str, code: str) -> None:
    found = card(body)
    assert (found.what, found.code) == (what, code)


def test_local_with_its_comment_and_parameter_with_its_kernel_doc() -> None:
    beside = card(FOO.replace("foo_start(foo, &count)", "foo_start(foo, &cou/*|*/nt)"))
    assert beside.documentation == (PlainText("what foo_start() counts"),)
    parameter = card(FOO.replace("return foo->ops->open(foo);", "return *cou/*|*/nt;"))
    assert parameter.documentation == (RestructuredText("where the count goes"),)


def test_config_option() -> None:
    found = card(user("#ifdef CONFIG_F/*|*/OO\n#endif\n"))
    [help_text] = found.documentation
    assert isinstance(help_text, OptionHelp)
    assert (help_text.entries[0].name, help_text.value) == ("FOO", "m")
    text = markdown.hover_card(found)
    for part in ("Foo support", "tristate", "PCI", "BAR", "Say Y here to support the foo."):
        assert part in text
    assert found.place == Place("drivers/foo/Kconfig", 0)
    assert "drivers/foo/core.c" in found.builds
    assert "`m`" in text


def test_include_shows_what_the_header_says_of_itself() -> None:
    found = card("".join([FOO, "//- drivers/foo/user.c\n#include <linux/fo/*|*/o.h>\n"]))
    assert found.place == Place("include/linux/foo.h", 0)
    assert found.documentation == (PlainText("Interface of the foo bus"),)
    assert no_card("#include <linux/no_such/*|*/file.h>\n")


def test_documentation_page() -> None:
    page = "//- Documentation/foo/use.rst\n.. SPDX-License-Identifier: GPL-2.0\n\n"
    page += "===========\nUsing a foo\n===========\n\n"
    found = card(page + "A foo is used\nas follows.\n\nMore.\n//- x.c\n/* See Documentation/foo/u/*|*/se.rst. */\n")
    assert found.documentation == (Title("Using a foo"), RestructuredText("A foo is used\nas follows."))


def test_nothing_is_shown_where_nothing_is_known() -> None:
    assert no_card("int f(void)\n{\n\treturn no_such_/*|*/thing;\n}\n")
    assert no_card("int a;\n/*|*/\nint b;\n")
    assert no_card('char *s = "fo/*|*/o";\n')


def test_card_for_a_completion_item() -> None:
    view = at_cursor(FOO + "//- x.c\n/*|*/")[0]
    symbol = view.lookup("foo_start", (Kind.FUNCTION,))[0]
    found = card_for_symbol(view, symbol)
    assert found is not None
    assert (found.start, found.end) == (None, None)
    assert kernel_doc(found).summary == "start a foo"
    member = card_for_symbol(view, view.lookup("close", (Kind.MEMBER,))[0])
    assert member is not None
    assert member.documentation == (PlainText("may be NULL"),)


def test_every_symbol_of_a_tree_has_a_card_or_none_without_an_error() -> None:
    view = at_cursor(FOO + "//- x.c\n/*|*/")[0]
    for path in view.sources:
        for symbol in view.symbols_in(path):
            found = card_for_symbol(view, symbol)
            assert found is None or markdown.hover_card(found)


def test_hostile_bytes_do_not_raise() -> None:
    data = b"/** @\xff */ #define A(\xe4 \\\nstruct {{{ int (*x)(; SYSCALL_DEFINE9(,,,) { foo( }"
    data += b" \x00 enum e { A = , } ; e A"
    view = MemoryView({"x.c": data})
    source = view.source("x.c")
    assert source is not None
    for offset in range(len(data) + 1):
        found = hover(view, source, offset)
        assert found is None or markdown.hover_card(found)


class Counting(MemoryView):
    calls = 0

    def __getattribute__(self, name: str) -> object:
        if name in ("source", "lookup", "callers", "caller_count", "assignments_of", "implementations", "references",
                    "files_mentioning", "symbols_in", "text"):  # fmt: skip
            Counting.calls += 1
        return super().__getattribute__(name)


def test_a_hover_asks_the_view_a_bounded_number_of_times() -> None:
    files = {f"arch/a{n}/f.c": b"void busy(void)\n{\n" + b"".join(b"\tcall_%d();\n" % m for m in range(200)) + b"}\n"
             for n in range(60)}  # fmt: skip
    files["x.c"] = b"void f(void)\n{\n\tbusy();\n}\n"
    view = Counting(files)
    source = view.source("x.c")
    assert source is not None
    Counting.calls = 0
    assert hover(view, source, files["x.c"].index(b"busy") + 1) is not None
    assert Counting.calls < 90


class AskedFor(MemoryView):
    """Keeps which methods were called, with their first argument."""

    asked: tuple[tuple[str, object], ...] = ()

    def source(self, path: str) -> Source | None:
        self.asked += (("source", path),)
        return super().source(path)

    def caller_count(self, name: str) -> int:
        self.asked += (("caller_count", name),)
        return super().caller_count(name)


def asked_with(config: HoverConfig, fixture: str) -> tuple[HoverCard, tuple[tuple[str, object], ...]]:
    view, source, offset = at_cursor(fixture)
    asked_view = AskedFor({path: each.data for path, each in view.sources.items()})
    found = hover(asked_view, source, offset, config)
    assert found is not None
    return found, asked_view.asked


def test_parts_that_are_switched_off_are_not_computed() -> None:
    everything, asked = asked_with(HoverConfig(), START)
    assert {("source", "MAINTAINERS"), ("caller_count", "foo_start")} <= set(asked)
    assert everything.maintainers is not None and everything.callers == 2
    nothing, asked = asked_with(HoverConfig(callers=False, maintainers=False), START)
    assert not {("source", "MAINTAINERS"), ("caller_count", "foo_start")} & set(asked)
    assert (nothing.maintainers, nothing.callers) == (None, None)
    assert nothing.code == everything.code


def test_layout_that_is_switched_off_is_not_computed() -> None:
    fixture = user("struct outer { struct foo inner; };\nstruct out/*|*/er *o;\n")
    with_layout, _ = asked_with(HoverConfig(), fixture)
    without, asked = asked_with(HoverConfig(layout=False), fixture)
    assert with_layout.layout is not None
    assert without.layout is None
    assert without.code == with_layout.code == "struct outer"
    assert ("source", "include/linux/foo.h") not in asked


@pytest.mark.parametrize(
    ("name", "fixture"),
    [
        ("function", START),
        ("member", in_function("return foo->ops->op/*|*/en(foo);")),
        ("macro", in_function("return B/*|*/IT(n + 1);")),
        ("struct", user("struct fo/*|*/o *foo;\n")),
        ("config", user("#ifdef CONFIG_F/*|*/OO\n#endif\n")),
    ],
)
def test_cards_as_the_editor_shows_them(name: str, fixture: str) -> None:
    path = GOLDEN / f"{name}.md"
    text = markdown.hover_card(card(fixture)) + "\n"
    if os.environ.get("KEXPERT_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
