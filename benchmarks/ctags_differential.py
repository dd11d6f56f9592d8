"""Functions and types of a tree against ctags: what ctags names and extraction has not, each with a reason.

    python -m benchmarks.ctags_differential --tree linux-source-6.1 [--files 4000]

Without ``--files`` all files are read, but for the generated register headers, which define neither.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.indexing import CTAGS
from benchmarks.sample import GENERATED, SEED
from kexpert.core.c.declarators import is_annotation
from kexpert.core.c.extract import extract
from kexpert.core.c.idioms import idiom_of
from kexpert.core.c.skeleton import skeleton
from kexpert.core.symbols import Kind

_FUNCTIONS = frozenset({Kind.FUNCTION, Kind.SYSCALL, Kind.TRACEPOINT})
_TYPES = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum"}
_AIMS = {"function": 0.9999, "type": 0.999}
_SHOWN_PER_REASON = 40
_LOST = "lost"
_FALSE = re.compile(r"if|for|while|switch|do|else|return|sizeof|defined|\w*for_each\w*|(COMPAT_)?SYSCALL_DEFINE\w*")
#: Names that ctags takes for functions: it does not expand macros.
_MACRO = re.compile(r"(COMPAT_)?SYSCALL_DEFINE\w*|\w*BPF_CALL_\d|[A-Z][A-Z0-9_]+")


_ENUM_VARIABLE = rb"enum\s+\w+\s+(?:const\s+)?%s\s*(?:\[[^]]*\]\s*)*="


class Name(NamedTuple):
    path: str
    kind: str  # "function" or "type"
    name: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--files", type=int, help="a random sample of so many files")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    print(json.dumps(differential(args.tree.resolve(), args.files, args.jobs), indent=1))
    return 0


def differential(root: Path, number: int | None = None, jobs: int = 2) -> dict[str, Any]:
    paths = _paths(root, number)
    theirs = dict(_of_ctags(root, paths))
    ours: set[Name] = set()
    with Pool(jobs) as pool:
        for names in pool.imap_unordered(_names_of, ((root, path) for path in paths), chunksize=64):
            ours |= names
    report: dict[str, Any] = {"files": len(paths)}
    by_file: dict[str, list[Name]] = {}
    for each in theirs.keys() - ours:
        by_file.setdefault(each.path, []).append(each)
    reasons: dict[str, list[str]] = {}
    lost: Counter[str] = Counter()
    excused: Counter[str] = Counter()
    for path in sorted(by_file):
        for each, reason, counts in _reasons(root, path, sorted(by_file[path]), theirs):
            (lost if counts else excused)[each.kind] += 1
            reasons.setdefault(reason, []).append(f"{path}:{theirs[each]}: {each.name}")
    for kind, aim in _AIMS.items():
        named = sum(each.kind == kind for each in theirs) - excused[kind]
        report[kind] = {
            "of ctags": named, "lost": lost[kind], "share": 1 - lost[kind] / max(named, 1), "aim": aim,
            "no such definition": excused[kind],
        }  # fmt: skip
    report["reasons"] = {
        reason: {"number": len(at), "at": at if reason == _LOST else at[:_SHOWN_PER_REASON]}
        for reason, at in reasons.items()
    }
    false = [each for each in ours - theirs.keys() if _FALSE.fullmatch(each.name)]
    report["false"] = sorted(f"{each.path}: {each.name}" for each in false)
    more = sorted(each for each in ours - theirs.keys() if each not in false)
    report["only ours"] = {
        "number": len(more),
        "drawn": [f"{e.path}: {e.kind} {e.name}" for e in random.Random(SEED).sample(more, min(40, len(more)))],
    }
    return report


def _paths(root: Path, number: int | None) -> list[str]:
    found = [path.relative_to(root).as_posix() for suffix in "ch" for path in root.rglob(f"*.{suffix}")]
    kept = sorted(path for path in found if not path.startswith(GENERATED) and not (root / path).is_symlink())
    return sorted(random.Random(SEED).sample(kept, number)) if number and number < len(kept) else kept


def _of_ctags(root: Path, paths: list[str]) -> Iterator[tuple[Name, int]]:
    """Names of ctags with their lines, from 1."""
    command = [*CTAGS, "--kinds-C=fsug", "--output-format=json", "--fields=+nK", "-f", "-", "-L", "-"]
    done = subprocess.run(command, input="\n".join(paths), cwd=root, capture_output=True, text=True, errors="replace")
    done.check_returncode()
    for line in done.stdout.splitlines():
        tag = json.loads(line)
        if not tag["name"].startswith("__anon"):
            yield Name(tag["path"], "function" if tag["kind"] == "function" else "type", tag["name"]), tag["line"]


def _names_of(task: tuple[Path, str]) -> set[Name]:
    root, path = task
    found: set[Name] = set()
    for symbol in extract(path, (root / path).read_bytes()).symbols:
        if symbol.kind in _FUNCTIONS:
            found.add(Name(path, "function", symbol.name))
        elif symbol.kind in _TYPES:
            found.add(Name(path, "type", symbol.name))
    return found


def _reasons(root: Path, path: str, names: list[Name], lines: dict[Name, int]) -> Iterator[tuple[Name, str, bool]]:
    """For each lost name a reason, and whether it counts as lost: where ctags errs nothing is lost."""
    data = (root / path).read_bytes()
    cut = skeleton(data)
    starts = [0]
    for row in data.split(b"\n"):
        starts.append(starts[-1] + len(row) + 1)
    macros = {macro.name.decode() for macro in cut.macros}
    for each in names:
        line = lines[each]
        start, end = starts[line - 1], starts[min(line, len(starts) - 1)]
        called = b"\n" + each.name.encode() + b"("
        if each.kind == "function" and (each.name in macros or _MACRO.fullmatch(each.name) or idiom_of(each.name)):
            yield each, "ctags: the name of a macro", False
        elif each.kind == "function" and called in cut.code[max(start - 1, 0) : end]:
            yield each, "ctags: a call without a type at file level", False
        elif each.name.startswith("__") and is_annotation(each.name):
            yield each, "ctags: an annotation", False
        elif re.search(_ENUM_VARIABLE % each.name.encode(), cut.code[max(start - 120, 0) : end + 200]):
            yield each, "ctags: a variable of an enum's type", False
        elif each.name.encode() not in cut.code[start:end]:
            dead = each.name.encode() in cut.all_code[start:end]
            yield each, "dead #if branch" if dead else "ctags: no code", False
        elif each.kind == "type" and each.name.encode() in cut.code[start:end] and b"#" in cut.code[start:end]:
            yield each, "in the body of a macro", False
        elif any(call.start < end and start < call.end for call in cut.made):
            yield each, "arguments of a macro of the file", False
        else:
            yield each, _LOST, True


if __name__ == "__main__":
    sys.exit(main())
