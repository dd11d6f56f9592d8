// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Driver for gizmos on the toy bus. A gizmo spins a wheel and reports how often it turned.
 *
 * Copyright (C) 2020 A. Nobody <nobody@example.org>
 */

#include <linux/gizmo.h>

#define GIZMO_WAIT(cond, gizmo)						\
	({								\
		int __left = (gizmo)->max_turns;			\
		while (!(cond) && --__left)				\
			cpu_relax();					\
		__left;							\
	})
#define GIZMO_SHORT 1

/**
 * gizmo_spin_up() - Start the wheel of a gizmo and wait until it turns.
 * @gizmo: The gizmo, with its clock enabled.
 * @max_turns: Give up after this many turns.
 *
 * Context: Process context. May sleep.
 * Return: 0, or a negative error code.
 */
int gizmo_spin_up(struct gizmo *gizmo, unsigned int max_turns)
{
	mutex_lock(&gizmo->lock);
	gizmo->max_turns = max_turns;
	writel_relaxed(GIZMO_START, gizmo->regs + GIZMO_CTRL);
	mutex_unlock(&gizmo->lock);
	return GIZMO_WAIT(readl(gizmo->regs), gizmo) ? 0 : -ETIMEDOUT;
}
EXPORT_SYMBOL_GPL(gizmo_spin_up);

/* Übergröße: a comment that is not ASCII, above a function without kernel-doc. */
static irqreturn_t gizmo_irq_handler(int irq, void *data)
{
	struct gizmo *gizmo = data;

	gizmo->turns++;
	return IRQ_HANDLED;
}

SYSCALL_DEFINE2(gizmo_read, int, fd, char __user *, buf)
{
	return copy_to_user(buf, gizmo_name(fd), 8);
}

#ifdef CONFIG_GIZMO_DEBUG
static void gizmo_dump(struct gizmo *gizmo)
{
	pr_info("%s: %d turns\n", gizmo->name, gizmo->turns);
}
#else
static inline void gizmo_dump(struct gizmo *gizmo) { }
#endif
