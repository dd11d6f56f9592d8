"""Jumps from a cursor, each target as its line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kexpert.core.c.source import Source
from kexpert.core.symbols import Span
from kexpert.features.navigation.definition import declaration, definition, implementation, type_definition
from kexpert.view import View
from tests.support.memory_view import MemoryView, at_cursor

Jump = Callable[[View, Source, int], list[Span]]


def lands(jump: Jump, fixture: str) -> list[str]:
    """``path: the line`` of every target; the target must span a name, or be the top of a file."""
    view, source, offset = at_cursor(fixture)
    return [shown(view, span) for span in jump(view, source, offset)]


def shown(view: MemoryView, span: Span) -> str:
    source = view.source(span.path)
    assert source is not None
    name = source.data[span.start : span.end].decode()
    assert name.isidentifier() or (span.start, span.end) == (0, 0)
    return f"{span.path}: {source.lines.line_bytes(source.lines.line_of(span.start)).decode().strip()}"


TREE = """
//- include/linux/foo.h
struct foo;
int foo_start(struct foo *foo);
struct foo_ops {
	int (*open)(struct foo *foo);
	void (*close)(struct foo *foo);
};
struct foo { const struct foo_ops *ops; int count; };
//- arch/x86/foo.c
#include <linux/foo.h>
int foo_start(struct foo *foo)
{
	return 1;
}
//- arch/arm64/foo.c
#include <linux/foo.h>
int foo_start(struct foo *foo)
{
	return 2;
}
//- drivers/a/a.c
#include <linux/foo.h>
static int a_open(struct foo *foo)
{
	return 0;
}
static const struct foo_ops a_ops = { .open = a_open };
//- drivers/b/b.c
#include <linux/foo.h>
static int b_open(struct foo *foo)
{
	return 0;
}
static const struct foo_ops b_ops = { .open = b_open };
"""


def user(body: str) -> str:
    return TREE + f"//- drivers/c/c.c\n#include <linux/foo.h>\n{body}"


def test_call_leads_to_the_meant_definition() -> None:
    found = lands(definition, user("int f(struct foo *foo)\n{\n\treturn foo_/*|*/start(foo);\n}\n"))
    assert found == ["arch/x86/foo.c: int foo_start(struct foo *foo)"]


def test_on_a_definition_the_declaration_comes_first() -> None:
    x86 = "int foo_start(struct foo *foo)\n{\n\treturn 1"
    fixture = TREE.replace(x86, x86.replace("foo_start", "foo/*|*/_start"))
    assert lands(definition, fixture) == [
        "include/linux/foo.h: int foo_start(struct foo *foo);",
        "arch/arm64/foo.c: int foo_start(struct foo *foo)",
    ]


def test_definition_without_a_declaration_leads_to_itself() -> None:
    fixture = TREE.replace("static int a_open(", "static int a_/*|*/open(")
    assert lands(definition, fixture) == ["drivers/a/a.c: static int a_open(struct foo *foo)"]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("int f(struct foo *foo)\n{\n\treturn foo->cou/*|*/nt;\n}\n",
         "include/linux/foo.h: struct foo { const struct foo_ops *ops; int count; };"),
        ("int f(int seven)\n{\n\treturn sev/*|*/en;\n}\n", "drivers/c/c.c: int f(int seven)"),
        ("int f(int a)\n{\n\tif (a)\n\t\tgoto o/*|*/ut;\nout:\n\treturn 0;\n}\n", "drivers/c/c.c: out:"),
        ("#include <linux/fo/*|*/o.h>\n", "include/linux/foo.h: struct foo;"),
    ],
)  # fmt: skip
def test_members_locals_labels_and_includes(body: str, line: str) -> None:
    assert lands(definition, user(body)) == [line]


def test_a_config_option_leads_to_its_kconfig_entry() -> None:
    fixture = '//- drivers/x/Kconfig\nconfig FOO\n\tbool "Foo"\n//- drivers/x/x.c\n#ifdef CONFIG_F/*|*/OO\n#endif\n'
    assert lands(definition, fixture) == ["drivers/x/Kconfig: config FOO"]


def test_a_system_call_leads_to_the_macro_that_defines_it() -> None:
    fixture = """
//- fs/open.c
SYSCALL_DEFINE2(open, const char __user *, filename, int, flags)
{
	return 0;
}
//- kernel/x.c
long f(void)
{
	return sys_/*|*/open(0, 0);
}
"""
    assert lands(definition, fixture) == [
        "fs/open.c: SYSCALL_DEFINE2(open, const char __user *, filename, int, flags)"
    ]


def test_name_inside_a_defining_macro_means_what_the_macro_defines() -> None:
    fixture = """
//- include/linux/syscalls.h
asmlinkage long sys_open(const char __user *filename, int flags);
//- fs/open.c
static int open;
SYSCALL_DEFINE2(op/*|*/en, const char __user *, filename, int, flags)
{
	return 0;
}
"""
    assert lands(definition, fixture) == [
        "include/linux/syscalls.h: asmlinkage long sys_open(const char __user *filename, int flags);"
    ]


@pytest.mark.parametrize("text", ["#inc/*|*/lude <a.h>\nint include;\n", "ret/*|*/urn;\nint f(int return);\n"])
def test_keywords_and_directives_lead_nowhere(text: str) -> None:
    assert lands(definition, text) == []


def test_declaration_of_a_function_is_its_prototype() -> None:
    assert lands(declaration, user("int f(void)\n{\n\treturn foo_sta/*|*/rt(0);\n}\n")) == [
        "include/linux/foo.h: int foo_start(struct foo *foo);"
    ]


def test_type_definition_of_a_local_is_its_struct() -> None:
    assert lands(type_definition, user("int f(struct foo *bar)\n{\n\treturn !b/*|*/ar;\n}\n")) == [
        "include/linux/foo.h: struct foo { const struct foo_ops *ops; int count; };"
    ]


def test_implementations_of_an_ops_member_are_the_functions_assigned_to_it() -> None:
    found = lands(implementation, user("int f(struct foo *foo)\n{\n\treturn foo->ops->op/*|*/en(foo);\n}\n"))
    assert sorted(found) == [
        "drivers/a/a.c: static int a_open(struct foo *foo)",
        "drivers/b/b.c: static int b_open(struct foo *foo)",
    ]
    at_declaration = TREE.replace("(*open)", "(*op/*|*/en)")
    assert sorted(lands(implementation, at_declaration)) == sorted(found)


def test_implementations_of_a_prototype_are_the_definitions_of_every_arch() -> None:
    found = lands(implementation, TREE.replace("int foo_start(struct foo *foo);", "int foo_s/*|*/tart(struct foo *);"))
    assert sorted(found) == [
        "arch/arm64/foo.c: int foo_start(struct foo *foo)",
        "arch/x86/foo.c: int foo_start(struct foo *foo)",
    ]


@pytest.mark.parametrize("jump", [definition, declaration, type_definition, implementation])
def test_jump_from_an_empty_place_finds_nothing(jump: Jump) -> None:
    assert lands(jump, "int a;\n/*|*/\nint b;\n") == []
    assert lands(jump, "int f(void)\n{\n\treturn no_such_/*|*/thing;\n}\n") == []
