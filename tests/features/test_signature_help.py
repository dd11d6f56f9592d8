"""Signature help: the label of the call around the cursor, its parameters and the active one."""

from __future__ import annotations

import pytest

from kexpert.features.signature_help import SignatureHelp, signature_help
from tests.support.memory_view import at_cursor

TREE = """
//- include/linux/call.h
struct ops { int (*open)(struct ops *ops, int flags); int (*close)(struct ops *); };
typedef int (*handler_t)(int irq, void *data);
#define pair(first, second) call((first), (second))
#define say(fmt, ...) call(fmt)
//- kernel/call.c
/**
 * call() - do it
 * @ops: the table
 * @fn: called back
 */
int call(struct ops *ops,
	 void (*fn)(int z), ...)
{
	return 0;
}
SYSCALL_DEFINE2(open, const char __user *, filename, int, flags)
{
}
//- drivers/x/x.c
#include <linux/call.h>
"""


CALL = "int call(struct ops *ops, void (*fn)(int z), ...)"


def help_at(code: str) -> SignatureHelp | None:
    return signature_help(*at_cursor(f"{TREE}int f(struct ops *o, int (*cb)(int a), handler_t h)\n{{\n\t{code}\n}}\n"))


@pytest.mark.parametrize(
    ("code", "label", "active"),
    [
        ("call(/*|*/", CALL, "struct ops *ops"),
        ("call(o, /*|*/", CALL, "void (*fn)(int z)"),
        ("call(o, (struct q){1, 2}, \"a,b\", x[1, 2], /*|*/);", CALL, "..."),
        ("call(pair(1, 2), /*|*/\n\tint z;", CALL, "void (*fn)(int z)"),
        ("call(pair(1, /*|*/2), 3);", "pair(first, second)", "second"),
        ("call((a + /*|*/", CALL, "struct ops *ops"),
        ("say(\"x\", 1, 2/*|*/);", "say(fmt, ...)", "..."),
        ("o->open(o, /*|*/);", "int (*open)(struct ops *ops, int flags)", "int flags"),
        ("cb(/*|*/);", "int (*cb)(int a)", "int a"),
        ("h(1, /*|*/);", "int (*h)(int irq, void *data)", "void *data"),
        ("sys_open(/*|*/);", "long sys_open(const char __user *filename, int flags)", "const char __user *filename"),
    ],
)  # fmt: skip
def test_active_parameter_is_the_one_being_written(code: str, label: str, active: str) -> None:
    found = help_at(code)
    assert found is not None
    assert found.active is not None
    parameter = found.parameters[found.active]
    assert (found.label, found.label[parameter.start : parameter.end]) == (label, active)


def test_kernel_doc_explains_the_call_and_its_parameters() -> None:
    found = help_at("call(o, /*|*/);")
    assert found is not None
    assert found.documentation == "do it"
    assert [(p.name, p.documentation) for p in found.parameters] == [
        ("ops", "the table"), ("fn", "called back"), ("...", ""),
    ]  # fmt: skip


def test_no_parameter_is_active_after_the_last() -> None:
    found = help_at("pair(1, 2, /*|*/);")
    assert found is not None
    assert found.active is None


@pytest.mark.parametrize("code", ["if (o/*|*/)", "call(1);/*|*/", "unknown(/*|*/)", "(int)/*|*/x", "/* call(/*|*/"])
def test_no_help_outside_known_calls(code: str) -> None:
    assert help_at(code) is None
