"""What the VS Code test looks at, step by step: data for ``drive.mjs``.

A place is a file and text of it with a bar where the mouse or the cursor goes. ``sees`` must be on the screen,
``lands`` is where the cursor must be afterwards; the rest is said at the step in ``*_steps.mjs``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

Look = dict[str, dict[str, Any]]

#: Screenshots that are pictures of the extension's guide.
PICTURES = {"hover": "hover", "search-list": "search", "explain-page": "explain", "ghost-shown": "ghost"}

#: Besides the toy tree: a configuration and what it leaves out, and a function that somebody has begun to write.
MORE_FILES = {
    ".config": "# CONFIG_TOY_OLD is not set\nCONFIG_TOY=m\n",
    "drivers/toy/variants.c": "#ifdef CONFIG_TOY_OLD\nint left_out;\n#else\nint compiled;\n#endif\n",
    "drivers/toy/train.c": """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/toy.h>

static int train_wind(struct toy *toy, unsigned int turns)
{
}

static const struct toy_ops train_ops = {
	.wind = train_wind,
};
""",
    "Kconfig": 'config TOY\n\ttristate "Toy support"\n\tdepends on \n\thelp\n\t  Say Y to play.\n',
}

#: What the model of the toy tree says wherever it is asked.
SENTENCE = ("{\n", "\treturn", " toy", "_wind", "(to", "y", ",", " ", "1", ");")

#: A model of the toy tree that writes several lines.
LONG_WINDED = "lines"
LINES = ("{\n", "\tif", " (toy", ") {\n", "\t\treturn", " 1", ";\n", "\t}\n")
#: A folder with the commands that clangd compiles the toy tree with, and its program.
COMMANDS, CLANGD = "commands", "commands/clangd"
#: A folder that is in no kernel tree.
OUTSIDE = "other"
#: A program that is kexpert, but ends at once while a file named ``broken`` is beside it.
BROKEN = "bin/kexpert"

_CORE, _USER = "drivers/toy/core.c", "drivers/toy/user.c"
_PROTOTYPE = "toy_wind(struct toy *toy, unsigned int turns)"
_TOY_WIND = {"file": _CORE, "at": f"int |{_PROTOTYPE}\n{{"}
_STAYS_DOWN = ["the server ended 5 times within 3 minutes", "Restart", "Show Log"]
_HOVER = {"file": _USER, "at": "return toy_|wind(car, 3)", "sees": ["wind a toy up"]}
#: As its neighbour does it.
_GHOST = {"file": "drivers/toy/train.c", "at": "unsigned int turns)\n{|", "sees": ["return toy_wind(toy, turns * 2);"]}


def toy(home: Path) -> Look:
    """The toy tree, whose files are below ``home``."""
    return {**_toy(home), **(_beside_clangd(home) if (home / CLANGD).exists() else {})}


def _beside_clangd(home: Path) -> Look:
    """What clangd answers, and what is left to kexpert."""
    settings = {
        "kexpert.navigation.enabled": False,
        "clangd.path": str(home / CLANGD),
        "clangd.arguments": [f"--compile-commands-dir={home / COMMANDS}", "--header-insertion=never"],
    }
    return {
        "clangd": {
            "settings": settings,
            "definition": {"file": _USER, "at": "return toy_|wind(car, 3)", "lands": _TOY_WIND},
            "members": {"file": _CORE, "at": "if (toy->|broken)", "names": ["broken", "ops", "turns"]},
            "hover": {**_HOVER, "sees": ["wind a toy up", "exported with", "function toy_wind"]},
            "search": {
                "file": _USER, "at": "|// SPDX", "asks": "wind a toy up", "sees": ["toy_wind"], "lands": _TOY_WIND,
            },
        }
    }  # fmt: skip


def _toy(home: Path) -> Look:
    return {
        "hover": {**_HOVER, "sees": [f"int {_PROTOTYPE}", "wind a toy up", "Terry Toy"]},
        "link": {**_HOVER, "follows": "drivers/toy/core.c:14", "lands": _TOY_WIND},
        "completion": {"file": _CORE, "at": "if (toy->|broken)", "sees": ["ops", "turns", "broken"]},
        "definition": {
            "file": _USER,
            "at": "struct toy_|ops car_ops",
            "lands": {"file": "include/linux/toy.h", "at": "struct toy_|ops {"},
        },
        "include": {"file": _USER, "at": "|// SPDX", "follows": "linux/toy.h", "opens": "toy.h"},
        "search": {
            "file": _USER,
            "at": "|// SPDX",
            "asks": "wind a toy up",
            "sees": ["toy_wind", "function in drivers/toy/core.c"],
            "lands": _TOY_WIND,
        },
        "grep": {"asks": r"toy_wind\(car, \d", "sees": ["car_play", _USER]},
        "similar": {"file": _CORE, "at": "int toy_|wind(struct toy", "sees": [_USER]},
        "colours": {"file": _USER, "at": ".wind = car_|wind", "name": "car_wind"},
        "inactive": {"file": "drivers/toy/variants.c", "at": "int |left_out;", "sees": ["int left_out;"]},
        "kconfig": {"file": "Kconfig", "at": "depends on |", "sees": ["TOY"]},
        "hints": {"file": _USER, "at": "return toy_|wind(car, 3)", "sees": ["toy:", "turns:"]},
        "lenses": {
            "file": _CORE,
            "at": "int toy_|wind(struct toy",
            "sees": ["2 callers"],
            "follows": "2 callers",
            "leads": ["user.c"],
        },
        "hierarchy": {"file": _USER, "at": "struct toy_|ops car_ops", "sees": ["toy_ops"], "under": ["car_ops"]},
        "kerneldoc": {
            "file": _USER,
            "at": "static int car_|wind(struct",
            "takes": "Write kernel-doc",
            "sees": ["car_wind() - the .wind operation of struct toy_ops car_ops"],
        },
        "explain": {
            "file": _CORE,
            "at": "unsigned int to|tal",
            "sees": ["toy_wind", _CORE],
            "lands": _TOY_WIND,
        },
        "chain": {
            "file": _CORE,
            "at": "int toy_|wind(struct toy",
            "sees": ["Called by", "car_play", "Calls"],
            "lands": {"file": _USER, "at": "|return toy_wind(toy, turns * 2)"},
        },
        "ask": {"asks": "who calls toy_wind()?", "sees": ["is called by", "car_wind"]},
        "saved": {
            "file": _CORE,
            "at": "EXPORT_SYMBOL_GPL(toy_wind);|",
            "types": "\n\nint toy_paint(struct toy *toy)\n{\n\treturn toy->broken;\n}",
            "then": {"file": _USER, "at": "turns * 2);|", "types": "\n\ttoy_pai"},
            "sees": ["toy_paint"],
        },
        "diff": {"file": _CORE, "at": "int toy_|wind(struct toy", "sees": ["toy_paint", "Terry Toy"]},
        "reindex": {
            "writes": "drivers/toy/late.c",
            "text": "int late_comer(void)\n{\n\treturn 7331;\n}\n",
            "asks": "late_comer",
            "sees": ["late_comer"],
        },
        "ghost": _GHOST,
        "parts": {**_GHOST, "word": "return"},
        "next": {
            "file": _USER,
            "at": "unsigned int turns)\n|{",
            "model": str(home / LONG_WINDED),
            "first": "if (toy) {",
            "more": "return 1;",
        },
        "menu": {
            "sees": ["Ghost Text Off", "Ghost Text Off in drivers/toy", "Ghost Text Off in *.c", "Configuration",
                     "Re-index", "Doctor", "Show Log", "Choose Model"],
        },
        "model": {"sees": ["kexpert-2m", "smollm2-135m"]},
        "toggle": {"sees": ["Ghost Text On"], "then": ["Ghost Text Off"]},
        "doctor": {"sees": ["Nothing is wrong", "server", "kexpert.server.command", "SQLite"]},
        "log": {"sees": ["starting", "serve"]},
        "walkthrough": {"takes": "kexpert: Linux Kernel C", "sees": ["The server", "Search by meaning", "Ghost text"]},
        "killed": _HOVER,
        "outside": {
            "folder": str(home / OUTSIDE),
            "file": f"../{OUTSIDE}/main.c",
            "at": "|int main",
            "sees": ["a server starts with a folder or a file of a kernel tree"],
        },
        "single": _HOVER,
        "venv": {"program": str(home / BROKEN), "sees": ["Nothing is wrong", ".venv of"]},
        "missing": {
            "sees": ["kexpert: ", "Install with pipx", "Open Settings"],
            "types": "/src/kexpert",
            "runs": "pipx install '/src/kexpert'",
        },
        "crashes": {"works": _HOVER, "sees": _STAYS_DOWN},
        "broken": {
            "program": str(home / BROKEN),
            "mark": str((home / BROKEN).with_name("broken")),
            "says": ["ends at once: ModuleNotFoundError: No module named 'kexpert'", "Doctor", "Show Log"],
            "mends": ["ModuleNotFoundError", "install kexpert again"],
            "sees": _STAYS_DOWN,
            "works": _HOVER,
        },
    }


_UTIL = "mm/util.c"
_KSTRDUP = {"file": _UTIL, "at": "char *kstr|dup(const char *s, gfp_t gfp)\n{"}
_EXPORTED = {"file": _UTIL, "at": "EXPORT_SYMBOL(kstr|dup);"}
_DOCUMENTED = "allocate space for and copy an existing string"
_AGAIN = "mm/again.c"
#: A file that somebody has begun to write.
KERNEL_FILES = {
    _AGAIN: """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/slab.h>
#include <linux/string.h>

char *twice(const char *s, gfp_t gfp)
{
	size_t len;
	char *buf;

	if (!s)
		return NULL;

	len = strlen(s);
	buf = kmalloc(2 * len + 1, gfp);
	if (!buf)
		return NULL;
	memcpy(buf, s, len);
	memcpy(buf + len, s, len + 1);
	return buf;
}

char *again(const char *s, gfp_t gfp)
{
	size_t len;
	char *buf;

	if (!s)
}
"""
}

#: mm/, kernel/ and include/ of a real kernel, with the model that comes with kexpert.
KERNEL: Look = {
    "indexing": {"sees": ["Indexing", " of ", " files", " left"]},
    "hover": {**_EXPORTED, "sees": ["char *kstrdup(const char *s, gfp_t gfp)", _DOCUMENTED]},
    "completion": {"file": "mm/mmap.c", "at": "vma->|vm_start", "sees": ["vm_start", "vm_end"]},
    "folded": {"file": "kernel/fork.c", "at": "struct task_|struct *", "sees": ["struct task_struct", "more"]},
    "definition": {
        "file": "kernel/panic.c",
        "at": "EXPORT_SYMBOL(pa|nic);",
        "lands": {"file": "kernel/panic.c", "at": "void |panic(const char *fmt, ...)\n{"},
    },
    "search": {
        "file": "kernel/panic.c",
        "at": "EXPORT_SYMBOL(pa|nic);",
        "asks": "create a NUL-terminated string from unterminated data",
        "sees": ["kmemdup_nul", f"function in {_UTIL}"],
        "lands": {"file": _UTIL, "at": "char *kmemdup_|nul(const char *s, size_t len, gfp_t gfp)\n{"},
    },
    "grep": {"asks": r"memcpy\(buf, s, len\)", "sees": ["kstrdup", _UTIL]},
    "explain": {**_KSTRDUP, "sees": ["kstrdup", _DOCUMENTED], "lands": _KSTRDUP},
    "chain": {**_EXPORTED, "sees": ["chain of kstrdup", "Called by", "kstrdup_const", "strlen"], "lands": _KSTRDUP},
    "ask": {"asks": "who calls kstrdup_const()?", "sees": ["is called by"]},
    "ghost": {
        "file": _AGAIN,
        "at": "if (!s)|\n}",
        "sees": ["return NULL;"],
    },
    "saved": {
        "file": _UTIL,
        "at": "EXPORT_SYMBOL(kstrdup);|",
        "types": "\n\nchar *kstr_painted(const char *s)\n{\n\treturn NULL;\n}",
        "then": {
            "file": "kernel/panic.c",
            "at": "EXPORT_SYMBOL(panic);|",
            "types": "\n\nvoid paint(void)\n{\n\tkstr_pai",
        },
        "sees": ["kstr_painted"],
    },
    "killed": {**_EXPORTED, "sees": [_DOCUMENTED]},
}

#: What any kernel tree has.
ANY_KERNEL: Look = {
    "hover": {"file": "mm/util.c", "at": "EXPORT_SYMBOL(kstr|dup);", "sees": ["kstrdup"]},
    "completion": {"file": "fs/read_write.c", "at": "if (!(file->|f_mode & FMODE_", "sees": ["f_mode", "f_op"]},
    "definition": {
        "file": "fs/read_write.c",
        "at": "const struct file_|operations generic_ro_fops",
        "lands": {"file": "include/linux/fs.h", "at": "\nstruct file_|operations {"},
    },
}
