"""A small driver with what agents ask about: variants, operations, locks, options, a layout, a static of a global's
name."""

from __future__ import annotations

from tests.support.fixture_text import files_of

GATE_FILES = files_of(
    """\
//- MAINTAINERS
GATE DRIVER
M:\tGrace Gate <grace@example.org>
R:\tRuth Reviewer <ruth@example.org>
L:\tlinux-gate@example.org
S:\tSupported
F:\tdrivers/gate/

//- Makefile
VERSION = 6
PATCHLEVEL = 1
SUBLEVEL = 7
EXTRAVERSION = -rc1
obj-y += drivers/gate/
//- Kconfig
config GATE
\ttristate "Gate support"
\tdepends on SMP
\tselect CRC16
\thelp
\t  Say Y to open gates.

config GATE_FAST
\tbool "Fast gates"
\tdepends on GATE

config SMP
\tbool "Several processors"
//- drivers/gate/Makefile
obj-$(CONFIG_GATE) += core.o user.o
//- include/linux/gate.h
#define GATE_LIMIT 64

enum gate_state {
\tGATE_SHUT,
\tGATE_OPEN = 4,
};

struct gate;

struct gate_ops {
\tint (*swing)(struct gate *gate, int angle);
};

/**
 * struct gate - a gate
 * @ops: what it can do
 * @lock: protects @state
 * @kind: its kind
 * @count: how often it opened
 */
struct gate {
\tconst struct gate_ops *ops;
\tspinlock_t lock;
\tchar kind;
\tlong count;
};

int gate_swing(struct gate *gate, int angle);
extern int gate_debug;
//- drivers/gate/core.c
#include <linux/gate.h>

int gate_debug = 3;

/**
 * gate_swing - swing a gate
 * @gate: the gate
 * @angle: in degrees
 *
 * Context: Any context. Takes and releases gate->lock.
 * Return: 0, or -EINVAL for a negative angle.
 */
int gate_swing(struct gate *gate, int angle)
{
\tif (angle < 0)
\t\treturn -EINVAL;
\tspin_lock(&gate->lock);
\tgate->count++;
\tspin_unlock(&gate->lock);
\treturn 0;
}
EXPORT_SYMBOL_GPL(gate_swing);

#ifdef CONFIG_GATE_FAST
int gate_speed(void)
{
\treturn 9;
}
#else
int gate_speed(void)
{
\treturn 1;
}
#endif
//- drivers/gate/user.c
#include <linux/gate.h>

static int wing_swing(struct gate *gate, int angle)
{
\treturn gate_swing(gate, angle * 2);
}

static const struct gate_ops wing_ops = {
\t.swing = wing_swing,
};

int wing_all(struct gate *gate)
{
\tint i;

\tfor (i = 0; i < GATE_LIMIT; i++)
\t\tgate_swing(gate, i);
\treturn gate->ops->swing(gate, gate_speed()) + gate_debug;
}
//- drivers/other/own.c
static int gate_swing(int own)
{
\treturn own;
}

int own_user(void)
{
\treturn gate_swing(1);
}
"""
)
