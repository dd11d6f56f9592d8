"""Hover cards: the facts on small kernel-like trees, and a few cards as the editor shows them.

Golden files: ``tests/features/hover/golden/*.md``; ``KEXPERT_GOLDEN=write pytest …`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind
from kexpert.features.hover.card import (
    Export,
    HoverCard,
    Operation,
    OptionHelp,
    Place,
    PlainText,
    RestructuredText,
    Title,
)
from kexpert.features.hover.hover import HoverConfig, card_for_symbol, hover
from kexpert.render import markdown
from tests.support.hover_cards import FOO, START, card, in_function, kernel_doc, no_card, user
from tests.support.memory_view import MemoryView, at_cursor

GOLDEN = Path(__file__).parent / "golden"


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
    assert [(place.path, place.conditions) for place in found.variants] == [("include/linux/foo.h", ("!CONFIG_FOO",))]
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
    assert {place.conditions for place in found.variants} == {("arch alpha",), ("arch arm",)}


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


def test_long_signature_is_wrapped_after_its_parenthesis() -> None:
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


def test_variable_has_its_export_declaration_and_module_parameter() -> None:
    found = card(in_function("return foo_li/*|*/mit;"))
    assert found.code == "int foo_limit = FOO_LIMIT_DEFAULT;"
    assert found.documentation == (
        PlainText("How many foos there may be."), PlainText("Upper limit of foos (default 16)"),
    )  # fmt: skip
    assert found.export == Export("EXPORT_SYMBOL")
    assert found.declared is not None
    assert found.declared.path == "include/linux/foo.h"


def test_a_description_that_does_not_end_costs_no_time() -> None:
    words = 'MODULE_PARM_DESC(odd, "Odd" ' + "words " * 40 + ";\n"
    found = card(user("static int odd;\n" + words + "int f(void)\n{\n\treturn o/*|*/dd;\n}\n"))
    assert found.code == "static int odd;"
    assert found.documentation == ()


def test_per_cpu_variable() -> None:
    found = card(FOO.replace("this_cpu_inc(foo_hits)", "this_cpu_inc(foo_/*|*/hits)"))
    assert (found.what, found.code) == ("per-CPU variable", "static DEFINE_PER_CPU(int, foo_hits)")


@pytest.mark.parametrize(
    ("body", "what", "code"),
    [
        ("int f(struct foo *foo)\n{\n\treturn !f/*|*/oo;\n}\n", "parameter", "struct foo *foo"),
        ("int f(void)\n{\n\tchar name[8];\n\treturn na/*|*/me[0];\n}\n", "local variable", "char name[];"),
        ("int f(void)\n{\n\tint (*fn)(int a);\n\treturn f/*|*/n(1);\n}\n", "local variable", "int (*fn)(int);"),
        (
            "int f(char **p)\n{\n\t__auto_type q = *p;\n\treturn q/*|*/[0];\n}\n", "local variable", "char *q;"
        ),
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


def test_include_shows_the_description_of_the_header() -> None:
    found = card("".join([FOO, "//- drivers/foo/user.c\n#include <linux/fo/*|*/o.h>\n"]))
    assert found.place == Place("include/linux/foo.h", 0)
    assert found.documentation == (PlainText("Interface of the foo bus"),)
    assert no_card("#include <linux/no_such/*|*/file.h>\n")


def test_documentation_page() -> None:
    page = "//- Documentation/foo/use.rst\n.. SPDX-License-Identifier: GPL-2.0\n\n"
    page += "===========\nUsing a foo\n===========\n\n"
    found = card(page + "A foo is used\nas follows.\n\nMore.\n//- x.c\n/* See Documentation/foo/u/*|*/se.rst. */\n")
    assert found.documentation == (Title("Using a foo"), RestructuredText("A foo is used\nas follows."))


def test_unknown_names_have_no_card() -> None:
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
    assert "Member of `struct foo_ops`" in markdown.hover_card(member)


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


def test_number_of_questions_to_the_view_is_bounded() -> None:
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
