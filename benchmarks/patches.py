"""The functions that a patch touches, against ctags: small real patches, made from two versions of a tree.

    python -m benchmarks.patches --tree linux-6.1 --other linux-6.12

A patch is the difference of one file between the versions. The truth is what ctags says of the extents of functions in
both texts: a function is touched if a removed line lies in it before the patch, or an added line after it; blank lines
do not count. The patch is judged with the tree before it, with the tree after it, and with twenty foreign lines
at the top of the file, where no line number of the patch is right. Names that ctags gives to macros are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

from benchmarks.indexing import CTAGS
from benchmarks.sample import SEED, all_files
from kexpert.core.symbols import Kind
from kexpert.core.unified_diff import parse_unified_diff
from kexpert.features.patch.states import states_of
from kexpert.features.patch.touched import touched_in

PATCHES = 50
_MAX_FILE_BYTES = 40_000
_MAX_HUNKS = 12
_FOREIGN = b"/* a line of somebody else */\n" * 20
_MACRO_MADE = re.compile(r"(COMPAT_)?SYSCALL_DEFINE\w*|\w*BPF_CALL_\d|[A-Z][A-Z0-9_]+")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Patch:
    path: str
    old: bytes
    new: bytes
    text: bytes


def drawn(tree: Path, other: Path, count: int, seed: int) -> Iterator[Patch]:
    """Patches of small files whose path's SHA-256 begins with 8 to f."""
    paths = [path for path in all_files(tree) if hashlib.sha256(path.encode()).hexdigest()[0] in "89abcdef"]
    random.Random(seed).shuffle(paths)
    for path in paths:
        if count == 0:
            return
        if not path.endswith((".c", ".h")) or not (other / path).is_file():
            continue
        old, new = (tree / path).read_bytes(), (other / path).read_bytes()
        if max(len(old), len(new)) > _MAX_FILE_BYTES or old == new:
            continue
        text = diff_of(path, old, new)
        if 1 <= text.count(b"\n@@ ") <= _MAX_HUNKS:
            count -= 1
            yield Patch(path, old, new, text)


def of_one_tree(tree: Path, count: int, seed: int) -> Iterator[Patch]:
    """Patches of three lines each, where there is no other version: a line changed, one gone, one more."""
    chance = random.Random(seed)
    paths = [path for path in all_files(tree) if path.endswith(".c")]
    while count:
        path = chance.choice(paths)
        old = (tree / path).read_bytes()
        lines = old.split(b"\n")
        if not len(lines) > 100 or len(old) > _MAX_FILE_BYTES:
            continue
        at = chance.randrange(20, len(lines) - 20)
        lines[at : at + 2] = [lines[at] + b" /* changed */", b"/* one more line */"]
        new = b"\n".join(lines)
        count -= 1
        yield Patch(path, old, new, diff_of(path, old, new))


def diff_of(path: str, old: bytes, new: bytes) -> bytes:
    sides = [text.decode("latin-1").splitlines(keepends=True) for text in (old, new)]
    lines = unified_diff(*sides, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines).encode(
        "latin-1"
    )


def changed_lines(patch: Patch) -> tuple[set[int], set[int]]:
    """(removed, added) line numbers from 1, blank ones left out, by the numbers of the hunks alone."""
    removed, added = set(), set()
    old = new = 0
    for line in patch.text.decode("latin-1").split("\n")[2:]:
        if match := re.match(r"@@ -(\d+)(?:,\d+)? \+(\d+)", line):
            old, new = int(match[1]), int(match[2])
        elif line[:1] == "-":
            removed |= {old} if line[1:].strip() else set()
            old += 1
        elif line[:1] == "+":
            added |= {new} if line[1:].strip() else set()
            new += 1
        elif line[:1] == " ":
            old, new = old + 1, new + 1
    return removed, added


def functions_of(path: str, text: bytes) -> list[tuple[str, int, int]]:
    """(name, first line, last line) of each function by ctags."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, Path(path).name)
        file.write_bytes(text)
        command = [*CTAGS, "--kinds-C=f", "--output-format=json", "--fields=+ne", "-f", "-", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    rows = map(json.loads, done.stdout.splitlines())
    return [(row["name"], first_line(text, row["line"]), row.get("end", row["line"])) for row in rows]


def first_line(text: bytes, line: int) -> int:
    """The first line of a declaration whose name is on ``line``; the return type may be on a line above."""
    lines = text.split(b"\n")
    while line > 1 and re.match(rb"[A-Za-z_][\w \t*]*$", lines[line - 2]) and lines[line - 1][:1].strip():
        line -= 1
    return line


def touched_by_ctags(path: str, text: bytes, lines: Iterable[int]) -> set[str]:
    found = functions_of(path, text)
    names = {name for line in lines for name, first, last in found if first <= line <= last}
    return {name for name in names if not _MACRO_MADE.fullmatch(name)}


def touched_by_us(patch: Patch, tree_text: bytes) -> set[str]:
    (file,) = parse_unified_diff(patch.text).files
    found = touched_in(patch.path, states_of(file, tree_text))
    return {each.symbol.name for each in found if each.symbol.kind is Kind.FUNCTION}


def judge(patches: list[Patch]) -> dict[str, Any]:
    report: dict[str, Any] = {"patches": len(patches), "hunks": sum(p.text.count(b"\n@@ ") for p in patches)}
    situations = {
        "before the patch": lambda patch: patch.old,
        "after the patch": lambda patch: patch.new,
        "before, lines moved by 20": lambda patch: _FOREIGN + patch.old,
    }
    truth = []
    for patch in patches:
        removed, added = changed_lines(patch)
        truth.append(touched_by_ctags(patch.path, patch.old, removed) | touched_by_ctags(patch.path, patch.new, added))
    report["functions touched, by ctags"] = sum(map(len, truth))
    for name, text_of in situations.items():
        right = found = 0
        missed, more = [], []
        for patch, wanted in zip(patches, truth, strict=True):
            ours = touched_by_us(patch, text_of(patch))
            right += len(ours & wanted)
            found += len(ours)
            missed += [f"{patch.path}: {each}" for each in sorted(wanted - ours)]
            more += [f"{patch.path}: {each}" for each in sorted(ours - wanted)]
        report[name] = {
            "precision": right / max(found, 1), "recall": right / max(sum(map(len, truth)), 1), "found": found,
            "missed": missed[:_SHOWN], "only ours": more[:_SHOWN],
        }  # fmt: skip
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--other", type=Path, required=True, help="the later version")
    parser.add_argument("--patches", type=int, default=PATCHES)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    print(json.dumps(judge(list(drawn(args.tree, args.other, args.patches, args.seed))), indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
