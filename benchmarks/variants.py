"""Jumps to names with variants: is the first answer what the compiler sees, configuration by configuration?

    python -m benchmarks.variants --tree DIR [--work DIR] [--places 100] [--by setting]

Places are drawn from C files that each configuration builds: uses of names that the index knows several definitions
of. The truth is the kernel's own build (see ``kernel_build``): the preprocessor says which definition in a header or
in the file stands, and where it leaves a prototype alone, the one object that is built and defines the name. Left out:
members, locals, and names whose definition no file of the build has.

kexpert gets the configuration as the tree's ``.config``, or (``--by setting``) by the name of its defconfig alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.indexing import environment
from benchmarks.kernel_build import TARGETS, KernelBuild, Preprocessed, missing
from benchmarks.sample import SEED, Use, uses_in
from kexpert.core.symbols import Flag, Kind, Symbol

if TYPE_CHECKING:
    from kexpert.core.kernel.configuration import Configuration
    from kexpert.view import View

_TAGS = {"struct": Kind.STRUCT, "union": Kind.UNION, "enum": Kind.ENUM}
_ORDINARY = frozenset({Kind.FUNCTION, Kind.VARIABLE, Kind.TYPEDEF, Kind.MACRO, Kind.ENUMERATOR, Kind.SYSCALL,
                       Kind.ASM_LABEL})  # fmt: skip
_OUTSIDE = ("tools/", "samples/", "scripts/", "Documentation/", "usr/")
_APART = ("/boot/", "/purgatory/", "vdso", "/libstub/", "/realmode/", "arch/um/", "/um/")
_SETTINGS = {"x86_64": "x86_64_defconfig", "allnoconfig": "x86/allnoconfig", "arm64": "arm64/defconfig",
             "riscv": "riscv/defconfig"}  # fmt: skip
_USES_PER_FILE = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A use, and the definitions that are right."""

    use: Use
    right: frozenset[tuple[str, int]]


class Oracle:
    """Says what a name means for one configuration."""

    def __init__(self, view: View, build: KernelBuild) -> None:
        self.view = view
        self.build = build

    def candidates(self, use: Use) -> list[Symbol]:
        """The definitions of the kernel that a use may mean, by name alone."""
        kinds = {_TAGS[use.before]} if use.before in _TAGS else _ORDINARY
        rows = self.view.lookup(use.name)
        if use.before not in _TAGS and any(row.kind is Kind.MEMBER and row.path == use.path for row in rows):
            return []
        return [row for row in rows if row.kind in kinds and not row.path.startswith(_OUTSIDE)]

    def right(self, use: Use, rows: list[Symbol]) -> frozenset[tuple[str, int]]:
        """Where the definitions are that the compiler, or the linker, takes; empty if that is not known."""
        text = self.build.preprocessed(use.path)
        if text is None or use.line + 1 not in text.lines.get(use.path, ()):
            return frozenset()
        macro = _macro_at(text, use)
        if macro is not None:
            found = {(row.path, row.line) for row in rows if row.kind is Kind.MACRO and (row.path, row.line) == macro}
            same = self._in_unit(rows, text) if found and self._names_itself(rows, macro) else set()
            return frozenset(found | same)
        found = self._in_unit(rows, text)
        return frozenset(found or self._linked(rows, use))

    def _names_itself(self, rows: list[Symbol], macro: tuple[str, int]) -> bool:
        """True for ``#define foo foo``: the function below is as right."""
        for row in rows:
            if (row.path, row.line) == macro and row.kind is Kind.MACRO:
                return row.name.encode() in self.view.text(row).split(row.name.encode(), 1)[-1]
        return False

    def _in_unit(self, rows: list[Symbol], text: Preprocessed) -> set[tuple[str, int]]:
        return {
            (row.path, row.line)
            for row in rows
            if row.kind is not Kind.MACRO and self._is_emitted(row, text.lines.get(row.path, set()))
        }

    def _is_emitted(self, row: Symbol, lines: set[int]) -> bool:
        source = self.view.source(row.path) if lines else None
        if source is None:
            return False
        first = source.lines.line_of(row.start)
        return any(line + 1 in lines for line in range(first, row.line + 1))

    def _linked(self, rows: list[Symbol], use: Use) -> set[tuple[str, int]]:
        strong, weak = set(), set()
        for row in rows:
            is_apart = any(mark in row.path for mark in _APART) and row.path.split("/")[:3] != use.path.split("/")[:3]
            if row.path not in self.build.objects or row.flags & Flag.STATIC or is_apart:
                continue
            if row.path.endswith(".S"):
                strong.add((row.path, row.line))
                continue
            text = self.build.preprocessed(row.path) if row.path.endswith(".c") else None
            lines = text.lines.get(row.path, set()) if text else set()
            if row.kind is not Kind.MACRO and self._is_emitted(row, lines):
                (weak if row.flags & Flag.WEAK else strong).add((row.path, row.line))
        return strong or weak


def _macro_at(text: Preprocessed, use: Use) -> tuple[str, int] | None:
    """The macro of a name that holds at a use, as (path, line from 0)."""
    defined = [(path, line) for path, line, before in text.macros.get(use.name, []) if before <= use.line + 1]
    if not defined:
        return None
    last = max(before for _, _, before in text.macros[use.name] if before <= use.line + 1)
    if any(last <= before <= use.line + 1 for before in text.undefined.get(use.name, [])):
        return None
    path, line = defined[-1]
    return path, line - 1


def drawn(view: View, build: KernelBuild, count: int, seed: int) -> list[Place]:
    """As ``draw``; kept in the folder of the build."""
    kept = build.folder / f"places-{seed}-{count}.json"
    if not kept.is_file():
        rows = [[astuple(place.use), sorted(place.right)] for place in draw(view, build, count, seed)]
        kept.write_text(json.dumps(rows))
    stored = json.loads(kept.read_text())
    return [Place(Use(*use), frozenset((path, line) for path, line in right)) for use, right in stored]


def draw(view: View, build: KernelBuild, count: int, seed: int) -> Iterator[Place]:
    """Uses of names with variants, the same every time."""
    chance = random.Random(f"{seed} {build.target.name}")
    paths = sorted(path for path in build.objects if path.endswith(".c"))
    chance.shuffle(paths)
    oracle, total = Oracle(view, build), 0
    for path in paths:
        data = view.data(path) or b""
        uses: dict[str, list[Use]] = {}
        for use in uses_in(path, data):
            if use.before not in (".", ">", "goto", "define", "undef", "ifdef", "ifndef"):
                uses.setdefault(use.name, []).append(use)
        names = sorted(uses)
        chance.shuffle(names)
        taken = 0
        for name in names:
            use = chance.choice(uses[name])
            rows = oracle.candidates(use)
            if sum(map(_is_open, rows)) < 2 or any((row.path, row.line) == (use.path, use.line) for row in rows):
                continue
            if not _is_plain_use(data, use):
                continue
            right = oracle.right(use, rows)
            if not right:
                continue
            yield Place(use, right)
            taken, total = taken + 1, total + 1
            if taken == _USES_PER_FILE or total == count:
                break
        if total == count:
            return


def _is_open(row: Symbol) -> bool:
    """True if other files can mean a definition."""
    if not row.path.endswith(".c"):
        return True
    return row.kind in (Kind.FUNCTION, Kind.VARIABLE) and not row.flags & Flag.STATIC


def _is_plain_use(data: bytes, use: Use) -> bool:
    """A call, a tag, or a name in capitals: not a local that happens to have the name."""
    line = data.split(b"\n")[use.line]
    after = line[use.column + len(use.name) :].lstrip()
    return use.before in _TAGS or after.startswith(b"(") or use.name.isupper()


def judge(view: View, places: list[Place], configuration: Configuration) -> dict[str, Any]:
    """How many first answers are right, the wrong ones, and the CPU time of an answer: the first in a file, which walks
    through its headers (in the server that happens when a file is opened), and the same question again."""
    from kexpert.features.navigation.definition import definition

    view.configuration = configuration
    wrong, first, again = [], [], []
    for place in places:
        source = view.source(place.use.path)
        if source is None:
            continue
        offset = source.lines.starts[place.use.line] + place.use.column
        began = time.process_time()
        spans = definition(view, source, offset)
        between = time.process_time()
        definition(view, source, offset)
        first.append(between - began)
        again.append(time.process_time() - between)
        answer = ("", 0)
        if spans:
            target = view.source(spans[0].path)
            answer = (spans[0].path, target.lines.line_of(spans[0].start) if target else 0)
        if answer not in place.right:
            wanted = ", ".join(f"{path}:{line + 1}" for path, line in sorted(place.right))
            where = f"{place.use.path}:{place.use.line + 1} {place.use.name}"
            wrong.append(f"{where}: {answer[0]}:{answer[1] + 1}, not {wanted}")
    return {
        "places": len(places),
        "right": len(places) - len(wrong),
        "first, CPU ms": _p50_p95(first),
        "again, CPU ms": _p50_p95(again),
        "wrong": wrong,
    }


def _p50_p95(seconds: list[float]) -> str:
    ordered = sorted(seconds) or [0.0]
    p50, p95 = ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100]
    return f"{1000 * p50:.1f} / {1000 * p95:.1f}"


def measure(root: Path, work: Path, count: int, by: str = ".config", seed: int = SEED) -> dict[str, Any]:
    """Draw and judge for each configuration whose tools are here; a reason for each other one."""
    from kexpert.background.database import cache_directory
    from kexpert.core.kernel.configuration import Configuration
    from kexpert.workspace.configuration import ConfigurationInView
    from kexpert.workspace.tree_index import open_view

    report: dict[str, Any] = {}
    for target in TARGETS:
        if reason := missing(target):
            print(f"variants: left out: {reason}", file=sys.stderr)
            report[target.name] = {"left out": reason}
            continue
        build = KernelBuild(root, work / target.name, target)
        build.prepare()
        view = open_view(root)
        places = drawn(view, build, count, seed)
        without = judge(view, places, Configuration("x86", decides_arch=False))
        given = ConfigurationInView(
            root, cache_directory(root), _SETTINGS[target.name], patience_seconds=600,
            dotconfig=build.folder / ".config" if by == ".config" else None,
        )  # fmt: skip
        row = judge(open_view(root), places, given.current())
        row["right without a configuration"] = without["right"]
        report[target.name] = row
        given.close()
    return report


def beside_the_build(root: Path, cache: Path, work: Path) -> dict[str, dict[str, Any]]:
    """For both ways to give a configuration, what ``measure`` finds, in processes that use the index in ``cache``."""
    report = {}
    for by in (".config", "setting"):
        command = [sys.executable, "-m", "benchmarks.variants", "--tree", str(root), "--work", str(work), "--by", by]
        done = subprocess.run(command, env={**os.environ, **environment(cache)}, stdout=subprocess.PIPE, check=True)
        report[by] = json.loads(done.stdout)
    return report


def markdown(report: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The table of ``beside_the_build``."""
    yield "### Variants: the first answer is what the compiler sees\n"
    yield "| configuration | places | without one | by `.config` | by the defconfig's name | CPU ms first | again |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name, row in report[".config"].items():
        if "left out" in row:
            yield f"| {name} | left out: {row['left out']} | | | | | |"
            continue
        named = report["setting"][name]
        yield (
            f"| {name} | {row['places']} | {row['right without a configuration']} | {row['right']} | {named['right']} "
            f"| {row['first, CPU ms']} | {row['again, CPU ms']} |"
        )
    wrong = [f"{name} {line}" for name, row in report[".config"].items() for line in row.get("wrong", ())]
    if wrong:
        yield f"\n<details><summary>{len(wrong)} wrong</summary>\n\n```"
        yield from wrong
        yield "```\n</details>"
    yield ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="for builds; kept, so that a second run is quick")
    parser.add_argument("--places", type=int, default=100, help="for each configuration")
    parser.add_argument("--by", choices=(".config", "setting"), default=".config")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    report = measure(arguments.tree.resolve(), arguments.work.resolve(), arguments.places, arguments.by, arguments.seed)
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
