"""A small tree whose kernel-doc gives rows of every task, and the corpus made from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from kexpert.prompt.chat import Task
from kexpert_trainer.data.corpus_folder import CorpusFolder
from kexpert_trainer.data.curate import curate
from kexpert_trainer.data.mine_tree import mine_tree
from kexpert_trainer.data.rows import Row, row_id
from tests.support.toy_tree import write_tree

_SPDX = "// SPDX-License-Identifier: GPL-2.0\n"

#: Verb, noun, the rest of a summary, and lines that make one function unlike another.
_DEEDS = (
    ("drain", "fifo", "until the hardware reports that it is empty",
     "while (readl({v}->base + {n}) & FIFO_BUSY)\n\t\tcpu_relax();"),
    ("arm", "timer", "for the next period of the watchdog",
     "mod_timer(&{v}->timer, jiffies + {v}->period / {n});"),
    ("pick", "queue", "with the fewest pending requests",
     "list_for_each_entry(best, &{v}->queues, node)\n\t\tcount += best->pending;"),
    ("copy", "record", "into a buffer of user space",
     "if (copy_to_user({v}->buffer + {n}, &count, sizeof(count)))\n\t\tcount = {n};"),
    ("shrink", "cache", "when memory is short",
     "count -= shrink_slab({v}->slab, {n}, total);\n\tkfree_rcu({v}->spare, rcu);"),
    ("probe", "sensor", "that hangs on the bus",
     "count = i2c_smbus_read_byte_data({v}->client, {n});\n\tdev_dbg({v}->dev, \"%d\", count);"),
    ("merge", "extent", "with the one before it",
     "if ({v}->start + {v}->length == total)\n\t\tcount = extent_join({v}->left, {v}->right, {n});"),
    ("wake", "waiter", "that has slept longest",
     "wake_up_process(list_first_entry(&{v}->waiters, struct task, node)->task);"),
)  # fmt: skip

_WORDS = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty", "knoll", "larch", "marsh",
    "north", "ocean", "plain", "quarry", "ridge", "shore", "thorn", "upland", "valley", "willow",
)  # fmt: skip


def function(name: str, deed: int, number: int, kind: str = "int") -> str:
    """A documented function of more than ten lines with several branches; ``kind`` "void" returns nothing."""
    verb, noun, rest, lines = _DEEDS[deed]
    result = "" if kind == "void" else "\n * Return: 0, or -EINVAL when the limit is passed."
    give = ("return;", "return;") if kind == "void" else ("return -EINVAL;", "return 0;")
    body = lines.format(v=noun, n=number)
    first, second, third = (_WORDS[(number * step + deed) % len(_WORDS)] for step in (1, 7, 11))
    return f"""\
/**
 * {name}() - {verb.capitalize()} the {noun} {rest}
 * @{noun}: state that belongs to channel {number}
 * @limit: highest number of tries
 *
 * The {noun} is looked at again after each try, because its owner
 * may change it between two of them.
 *{result}
 */
{kind} {name}(struct {noun} *{noun}, unsigned int limit)
{{
	unsigned int count = {number}, total = 0;

	mutex_lock(&{noun}->state_lock);
	{body}
	for (total = count; total > {number}; total--) {{
		if ({noun}->broken && limit)
			break;
		if (!{noun}->ready || total == limit)
			continue;
		{noun}->{first}[{number}] = {verb}_{second}({noun}, total);
		{first}_{third}({noun}->{second} | {third.upper()}, &{noun}->{third}_{first});
		{noun}->{second}_{third} += total * {first}_{second}({noun}->{third});
	}}
	mutex_unlock(&{noun}->state_lock);
	if (count > limit)
		{give[0]}
	{give[1]}
}}

"""


STRUCT = """\
/**
 * struct crane - lifts goods from ships that lie at the pier
 * @load: weight that hangs on the hook at the moment, in kilograms
 * @reach: how far the arm may swing before the brake closes, in metres
 */
struct crane {
	unsigned int load;
	unsigned int reach;
};

/**
 * crane_is_idle - tell whether nothing hangs on the hook of a machine
 * @crane: the machine
 */
#define crane_is_idle(crane) \\
	((crane)->load == 0)
"""
KCONFIG = """\
# SPDX-License-Identifier: GPL-2.0-only
config CRANE
	tristate "Harbour cranes"
	depends on PCI
	help
	  This driver moves the cranes of a harbour through their serial line. Say Y if
	  you own one.

	  If unsure, say N.

config CRANE_DEBUG
	bool "Debug messages of cranes"
	depends on CRANE
	help
	  Each movement of a crane is written to the log with its load and position.
"""
TEXT = """\
.. SPDX-License-Identifier: GPL-2.0

Cranes
======

A harbour has many. crane_lift() takes a load from a ship and waits until the
hook is at rest. It may sleep.

Nothing else is said here.
"""


def files() -> dict[str, str]:
    """The files of the tree: eight subsystems with two C files each, a header, Kconfig and Documentation."""
    found = {
        "include/linux/crane.h": _SPDX.replace("//", "/*").replace("\n", " */\n") + STRUCT,
        "drivers/crane/Kconfig": KCONFIG, "Documentation/crane.rst": TEXT,
        "Makefile": "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 7\n",
    }  # fmt: skip
    for at in range(8):
        for part in range(2):
            text = _SPDX
            for deed in ((at + 3 * part) % 8, (at + 3 * part + 1) % 8):
                name = f"dock{at}_{_DEEDS[deed][0]}_{part}{deed}"
                text += function(name, deed, 13 * at + 5 * part + deed + 3, ("int", "void")[deed % 2])
            found[f"drivers/dock{at}/port/part{part}.c"] = text
    return found


def corpus_tree(root: Path) -> Path:
    return write_tree(root, files())


@dataclass(frozen=True, slots=True)
class Made:
    """A tree and the curated corpus of it."""

    tree: Path
    folder: CorpusFolder


def make(root: Path) -> Made:
    """Mine and curate the small tree."""
    tree, folder = corpus_tree(root / "linux"), CorpusFolder(root / "chat")
    mine_tree(tree, folder, jobs=1, commits=0)
    curate(folder, jobs=1)
    return Made(tree, folder)


TREE = "linux, Linux 6.1.7"


@lru_cache(maxsize=1)
def _code() -> str:
    text = function("dock_drain", 0, 4)
    return text[text.index("int dock_drain") :].strip()


def row(task: Task = Task.SUMMARY, output: str = "", **entries: object) -> Row:
    """A good row about one function; the given entries replace its own, and the id follows."""
    outputs = {
        Task.SUMMARY: "Drain the fifo until the hardware reports that it is empty",
        Task.KERNEL_DOC: "@fifo: state that belongs to channel 4\n@limit: highest number of tries\n"
        "Return: 0, or -EINVAL when the limit is passed",
        Task.EXPLANATION: "The fifo is looked at again after each try, because its owner may change it.",
    }
    code = str(entries.get("code", _code()))
    given = Row(
        "", task, output or outputs.get(task, ""), "drivers/dock/port/fifo.c", 13, 13 + code.count("\n"), TREE,
        "GPL-2.0", "dock_drain", "function", code,
    )  # fmt: skip
    given = replace(given, **entries)  # type: ignore[arg-type]
    return replace(given, id=row_id(given.tree, given.path, given.name, given.line, given.task))
