"""Hover cards at a cursor, and a driver ``foo`` with everything that a card can show."""

from __future__ import annotations

from kexpert.core.docs.kerneldoc import KernelDoc
from kexpert.features.hover.card import HoverCard
from kexpert.features.hover.hover import hover
from tests.support.memory_view import at_cursor

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
    """The kernel-doc comment that is a card's only documentation."""
    [doc] = found.documentation
    assert isinstance(doc, KernelDoc)
    return doc


def no_card(fixture: str) -> bool:
    """True if there is no card at the cursor."""
    return hover(*at_cursor(fixture)) is None


def user(body: str) -> str:
    """The tree with one more file of the driver."""
    return FOO + "//- drivers/foo/user.c\n#include <linux/foo.h>\n" + body


def in_function(line: str) -> str:
    """The tree with a line in a function of the driver."""
    return user("int f(struct foo *foo, int n)\n{\n\t" + line + "\n}\n")


START = in_function("return foo_/*|*/start(foo, &n);")
