"""Functions found, against ctags, and files that parse cleanly."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.indexing import CTAGS
from benchmarks.sample import files
from kexpert.core.c.extract import extract
from kexpert.core.c.parse import parse
from kexpert.core.symbols import Kind

FILES = 1500
PARSED_FILES = 3000

#: Names that ctags gives to functions made by macros, which it does not expand.
_MACRO_MADE = re.compile(r"(COMPAT_)?SYSCALL_DEFINE\w*|\w*BPF_CALL_\d|[A-Z][A-Z0-9_]+")
#: Names that no function has. A few functions are named like loops; for these ctags must agree.
_FALSE = re.compile(r"if|for|while|switch|do|else|return|sizeof|(COMPAT_)?SYSCALL_DEFINE\w*")
_LOOP = re.compile(r"\w*for_each\w*")


def against_ctags(root: Path) -> dict[str, Any]:
    sample = files(root, FILES)
    theirs = {(t["path"], t["name"]): t["line"] for t in functions_of_ctags(root, sample)}
    ours, lines = set(), set()
    for path in sample:
        for symbol in extract(path, (root / path).read_bytes()).symbols:
            if symbol.kind in (Kind.FUNCTION, Kind.SYSCALL, Kind.TRACEPOINT):
                ours.add((path, symbol.name))
                lines.add((path, symbol.line + 1))
    named = {key for key in theirs if not _MACRO_MADE.fullmatch(key[1])}
    missed = sorted(named - ours)
    more = ours - theirs.keys()
    false = {key for key in ours if _FALSE.fullmatch(key[1])} | {key for key in more if _LOOP.fullmatch(key[1])}
    return {
        "files": len(sample),
        "functions of ctags": len(theirs),
        "made by macros (ctags has no name for them)": len(theirs) - len(named),
        "found": len(named) - len(missed),
        "recall": (len(named) - len(missed)) / len(named),
        "made by macros, found": sum((p, line) in lines for (p, n), line in theirs.items() if (p, n) not in named),
        "only ours": sorted(f"{path}: {name}" for path, name in more),
        "false": sorted(f"{path}: {name}" for path, name in false),
        "missed": [f"{p}:{theirs[p, n]}: {n}" for p, n in missed],
    }


def functions_of_ctags(root: Path, sample: list[str]) -> Iterator[Any]:
    command = [*CTAGS, "--kinds-C=f", "--output-format=json", "--fields=+n", "-f", "-", "-L", "-"]
    done = subprocess.run(command, input="\n".join(sample), cwd=root, capture_output=True, text=True, errors="replace")
    done.check_returncode()
    return (json.loads(line) for line in done.stdout.splitlines())


def clean_parses(root: Path) -> dict[str, float]:
    """The share of files without an ERROR or MISSING node."""
    sample = files(root, PARSED_FILES)
    clean = sum(not parse((root / path).read_bytes()).tree.root_node.has_error for path in sample)
    return {"files": len(sample), "clean": clean, "share": clean / len(sample)}
