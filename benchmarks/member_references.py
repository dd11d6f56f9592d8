"""References of members beside clang: is what is called certain right, and how much of what is right is certain?

    XDG_CACHE_HOME=CACHE python -m benchmarks.member_references --tree DIR --truth truth.json [--uses 300] [--times]

``truth.json`` comes from ``benchmarks.member_truth``. Uses are drawn at random from all that clang can tell in
its files. For each, the references of the member that clang names are asked for, at its declaration, and looked at in
the file of the use: the use must be there and certain; all other uses in the file that are called certain must be of
that member by clang too. Members that ``#if`` declares twice in one struct count as one. ``--times``: seconds of CPU
for whole answers.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.indexing import environment
from benchmarks.kernel_build import TARGETS, KernelBuild
from benchmarks.kernel_build import missing as missing_for
from benchmarks.member_truth import Clang, MemberUse, sampled_files
from benchmarks.sample import SEED
from kexpert.core.symbols import Kind
from kexpert.features.navigation.references import marked_references
from kexpert.features.navigation.resolved_uses import ResolvedUses
from kexpert.view import View
from kexpert.workspace.saved_tree import SavedTree

#: (struct, member) of common names, for the times.
_COMMON = (("module", "list"), ("device", "of_node"), ("wait_queue_entry", "entry"), ("net_device", "flags"),
           ("super_block", "s_flags"))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--uses", type=int, default=300)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--times", action="store_true")
    args = parser.parse_args()
    view = SavedTree(args.tree.resolve(), print).snapshot().view
    read = json.loads(args.truth.read_text())
    truth = {path: [_use(row) for row in rows] for path, rows in read.items() if rows}
    every = [use for uses in truth.values() for use in uses]
    drawn = random.Random(args.seed).sample(every, min(args.uses, len(every)))
    counts = judge(view, truth, drawn)
    print(f"{len(truth)} of {len(read)} files, {len(every):,} uses; drawn {len(drawn)}")
    print(f"true uses that are certain: {counts['certain']} of {len(drawn)}: {counts['certain'] / len(drawn):.2%}")
    print(f"only possible: {counts['possible']}, missing: {counts['missing']}")
    claimed = counts["right"] + counts["wrong"]
    print(f"called certain, right: {counts['right']:,} of {claimed:,}: {counts['right'] / max(claimed, 1):.2%}")
    if args.times:
        for struct, member in _COMMON:
            print(measure(view, struct, member))


def beside_clang(root: Path, cache: Path, work: Path, files: int = 120, uses: int = 300) -> dict[str, Any]:
    """Configure a kernel in ``work``, draw and judge. Where a tool is missing, the reason."""
    if reason := missing_for(TARGETS[0]):
        return {"not measured": reason}
    try:
        clang = Clang(root, work)
    except ImportError:
        return {"not measured": "libclang not installed; run: .venv/bin/pip install libclang"}
    build = KernelBuild(root, work, TARGETS[0])
    build.prepare()
    build.prepare_types()
    truth = {path: found for path in sampled_files(root, files) if (found := clang.uses(path))}
    every = [use for found in truth.values() for use in found]
    drawn = random.Random(SEED).sample(every, min(uses, len(every)))
    os.environ.update(environment(cache))
    counts = judge(SavedTree(root, print).snapshot().view, truth, drawn)
    return {"files": len(truth), "uses": len(every), "drawn": len(drawn), **counts}


def markdown(report: dict[str, Any]) -> Iterator[str]:
    """The table of ``beside_clang``."""
    yield "\n### Uses of members, against clang\n"
    if "not measured" in report:
        yield f"Not measured: {report['not measured']}."
        return
    claimed = report.get("right", 0) + report.get("wrong", 0)
    yield f"| {report['uses']:,} uses in {report['files']:,} files | of | | share |"
    yield "|---|---:|---:|---:|"
    for what, found, total in (
        ("true uses that are certain", report.get("certain", 0), report["drawn"]),
        ("uses called certain that are right", report.get("right", 0), claimed),
    ):
        yield f"| {what} | {total:,} | {found:,} | {found / max(total, 1):.2%} |"


def _use(row: list[Any]) -> MemberUse:
    path, start, name, home, at, record = row
    return MemberUse(path, start, name, home, at, tuple(record))


def judge(view: View, truth: dict[str, list[MemberUse]], drawn: list[MemberUse]) -> Counter[str]:
    """How many of the drawn uses are certain, possible or missing; how many that are called certain are right."""
    known, counts = ResolvedUses(), Counter[str]()
    asked: set[tuple[str, str, int]] = set()
    for use in drawn:
        meant = {each.start: each for each in truth[use.path]}
        source = view.source(use.declared_in)
        found: dict[int, bool] = {}
        if source is not None:
            uses = marked_references(
                view, source, use.declared_at, True, lambda: False, known, within=[use.path]
            )  # fmt: skip
            found = {start: sure for each in uses for start, sure in zip(each.file.starts, each.certain, strict=True)}
        state = {True: "certain", False: "possible", None: "missing"}[found.get(use.start)]
        counts[state] += 1
        if state != "certain":
            print(f"  {state}: {use.name} in {use.path}, offset {use.start}", file=sys.stderr)
        if (use.path, use.declared_in, use.declared_at) in asked:
            continue
        asked.add((use.path, use.declared_in, use.declared_at))
        for start in (start for start, sure in found.items() if sure and start in meant):
            is_right = (meant[start].declared_in, meant[start].record) == (use.declared_in, use.record)
            counts["right" if is_right else "wrong"] += 1
            if not is_right:
                print(f"  wrong: {use.name} in {use.path}, offset {start}", file=sys.stderr)
    return counts


def measure(view: View, struct: str, member: str) -> str:
    """Seconds of CPU for the first hundred uses of a member and for all, the first time and again."""
    rows = [row for row in view.lookup(member, (Kind.MEMBER,), 100_000) if row.scope == struct]
    row = next(row for row in rows if row.path.startswith("include/"))
    source = view.source(row.path)
    assert source is not None
    known, spent = ResolvedUses(), []
    uses, certain, first = 0, 0, 0.0
    for _ in range(2):
        began, uses, certain, first = time.process_time(), 0, 0, 0.0
        for each in marked_references(view, source, row.name_start, True, lambda: False, known):
            uses, certain = uses + len(each.file), certain + sum(each.certain)
            first = first or (time.process_time() - began if uses >= 100 else 0.0)
        spent += [first, time.process_time() - began]
    return (
        f"{struct}.{member}: {uses:,} uses, {certain:,} certain; first hundred {spent[0]:.2f} s, all {spent[1]:.1f} s;"
        f" again {spent[2]:.2f} s and {spent[3]:.1f} s"
    )


if __name__ == "__main__":
    main()
