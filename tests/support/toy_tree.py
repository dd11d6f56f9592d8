"""Kernel trees of a few files, for every test that needs one on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Files by which a folder is known to be the root of a kernel tree.
ROOT_FILES = {
    "Kconfig": 'config SMP\n\tbool "Symmetric multi-processing"\n',
    "Makefile": "obj-$(CONFIG_SMP) += kernel/\n",
    "MAINTAINERS": "",
}

#: A driver and its user: types, a table of operations, kernel-doc, and a checkpatch that objects to one word.
TOY_FILES = {
    "MAINTAINERS": "TOY DRIVER\nM:\tTerry Toy <terry@example.org>\nS:\tMaintained\nF:\tdrivers/toy/\n",
    "Kconfig": 'config TOY\n\ttristate "Toy support"\n\thelp\n\t  Say Y to play.\n',
    "Makefile": "obj-y += drivers/toy/\n",
    "drivers/toy/Makefile": "obj-$(CONFIG_TOY) += core.o user.o\n",
    "include/linux/toy.h": """\
/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_TOY_H
#define _LINUX_TOY_H

struct toy;

/**
 * struct toy_ops - what a toy can do
 * @wind: wind the toy up by some turns
 * @stop: stop the toy
 */
struct toy_ops {
	int (*wind)(struct toy *toy, unsigned int turns);
	void (*stop)(struct toy *toy);
};

/**
 * struct toy - a toy with a spring
 * @ops: what it can do
 * @turns: how far it is wound up
 * @broken: it does not move any more
 */
struct toy {
	const struct toy_ops *ops;
	unsigned int turns;
	unsigned char broken;
};

int toy_wind(struct toy *toy, unsigned int turns);

#endif
""",
    "drivers/toy/core.c": """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/toy.h>

/**
 * toy_wind - wind a toy up
 * @toy: the toy
 * @turns: how many turns to add
 *
 * A spring that is wound too far breaks.
 *
 * Context: Process context. May sleep.
 * Return: 0, or -EINVAL when the toy is broken.
 */
int toy_wind(struct toy *toy, unsigned int turns)
{
	unsigned int total = toy->turns + turns;

	if (toy->broken)
		return -22;
	toy->turns = total;
	return total > 100;
}
EXPORT_SYMBOL_GPL(toy_wind);
""",
    "drivers/toy/user.c": """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/toy.h>

static int car_wind(struct toy *toy, unsigned int turns)
{
	return toy_wind(toy, turns * 2);
}

static const struct toy_ops car_ops = {
	.wind = car_wind,
};

int car_play(struct toy *car)
{
	return toy_wind(car, 3) ? toy_wind(car, 1) : 0;
}
""",
    "drivers/toy/ugly.c": "int ugly;\nint xyzzy;\n",
    "scripts/checkpatch.pl": """\
my $file = $ARGV[-1];
open(my $in, '<', $file) or die;
while (<$in>) { print "$file:$.: WARNING:MAGIC_WORD: do not say $1\\n" if /(xyzzy)/; }
""",
}


#: Functions whose words the toy embedder knows (see ``toy_embedder``).
WRITEBACK_FILES = {
    "mm/writeback.c": """\
/* Wait until writeback of a folio is over. */
void folio_wait_writeback(void)
{
	wait_on_bit(folio);
}
""",
    "mm/probe.c": """\
int probe_list(int list)
{
	free_table(list);
	return device_start(list);
}
""",
    "drivers/frob.c": """\
int frob_probe(int list)
{
	free_table(list);
	return device_start(list);
}
""",
    "include/linux/x.h": "struct x { int a; };\n",
}


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files, and those of ``ROOT_FILES`` that are not among them; returns ``root``."""
    for path, data in {**ROOT_FILES, **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data.encode() if isinstance(data, str) else data)
    return root


def make_toy_tree(root: Path) -> Path:
    return write_tree(root, TOY_FILES)


def home_environment(folder: Path) -> dict[str, str]:
    """Variables that keep the caches, settings and models of a process in ``folder``."""
    return {f"XDG_{kind.upper()}_HOME": str(folder / kind) for kind in ("cache", "config", "data")}
