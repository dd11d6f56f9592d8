"""Layouts of structs and unions against gcc, drawn at random from files that x86_64's defconfig builds.

    python -m benchmarks.layouts --tree linux-source-6.1 --work DIR [--records 2000] [--files 150] [--seed N]

Every number that is shown without ``~`` must be gcc's. The index of the tree is used as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import layout_truth
from benchmarks.indexing import environment
from benchmarks.kernel_build import TARGETS, KernelBuild
from benchmarks.kernel_build import missing as missing_for
from benchmarks.layout_truth import TrueMember, TrueRecord
from benchmarks.sample import SEED
from kexpert.core.c.layout import Layout, MemberLayout
from kexpert.core.symbols import Kind
from kexpert.features.hover.card_reader import CardReader
from kexpert.features.hover.type_sizes import layout_of
from kexpert.view import View

_SHOWN = 60
#: Names that a macro of the tree replaces, so that debugging information has another.
_REPLACED = {"rcu_head": "callback_head"}


def judge(view: View, records: list[TrueRecord], from_unit: bool = False) -> dict[str, Any]:
    """How many layouts carry no ``~``, which exact numbers are wrong, and the CPU time of an answer.

    ``from_unit``: as a hover shows them in the C file that was compiled; else by name, as ``struct_layout`` does.
    """
    wrong, open_ones, times = [], [], []
    exact = without = 0
    for record in sorted(records, key=lambda record: record.unit):
        kind = Kind.UNION if record.kind == "union" else Kind.STRUCT
        rows = [row for row in view.symbols_in(record.path) if row.name == record.name and row.kind == kind]
        row = min(rows, key=lambda row: abs(row.line + 1 - record.line), default=None)
        source = view.source(record.unit) if from_unit else None
        began = time.process_time()
        layout = layout_of(CardReader(view, source), row) if row is not None else None
        times.append(time.process_time() - began)
        where = f"{record.key} {record.kind} {record.name}"
        if layout is None:
            without += 1
            open_ones.append(f"{where}: {'no layout' if row else 'not in the index'}")
            continue
        wrong += [f"{where}: {fault}" for fault in faults(layout, record)]
        if doubt := first_doubt(layout):
            open_ones.append(f"{where}: {doubt}")
        else:
            exact += 1
    ordered = sorted(times) or [0.0]
    return {
        "records": len(records),
        "without ~": exact,
        "share without ~": exact / max(len(records), 1),
        "no layout": without,
        "records with a wrong number": len({line.partition(": ")[0] for line in wrong}),
        "CPU ms p50 / p95 / max": " / ".join(
            f"{1000 * ordered[min(len(ordered) * part // 100, len(ordered) - 1)]:.1f}" for part in (50, 95, 100)
        ),
        "wrong": wrong,
        "with ~": open_ones,
    }


def first_doubt(layout: Layout) -> str:
    """The first thing that is not exact; "" if all is."""
    for each in layout.fields:
        if not each.exact or each.offset is None or each.size is None:
            return f"member {each.text}"
    return "" if layout.exact and layout.size is not None else "size"


def faults(layout: Layout, record: TrueRecord) -> Iterator[str]:
    """Numbers without ``~`` that are not gcc's, and members of an exact layout that are not there."""
    true: dict[str, list[TrueMember]] = {}
    for member in (*record.members, *record.inner):
        true.setdefault(member.name, []).append(member)
    for each in layout.fields:
        if each.name:
            yield from _of_member(each, true.get(_REPLACED.get(each.name, each.name), []))
    if not layout.exact or layout.size is None:
        return
    if layout.size != record.size:
        yield f"size {layout.size}, not {record.size}"
    if record.align and layout.align != record.align:
        yield f"align {layout.align}, not {record.align}"
    shown = {_REPLACED.get(each.name, each.name) for each in layout.fields}
    for name in sorted({member.name for member in record.members} - shown):
        outer, _, last = name.partition(".")
        if not (outer in shown and last in shown) and "__empty_" not in name:  # of DECLARE_FLEX_ARRAY
            yield f"{name} is not shown"


def _of_member(each: MemberLayout, true: list[TrueMember]) -> Iterator[str]:
    if not true:
        if each.offset_exact and each.exact:
            yield f"{each.name}: no such member"
        return
    if each.offset_exact and each.offset is not None:
        offset = 8 * each.offset + (each.bit_offset or 0)
        if all(member.offset != offset for member in true):
            yield f"{each.name}: offset {_bits(offset)}, not {_bits(true[0].offset)}"
    if each.exact and each.size is not None:
        size = 8 * each.size if each.bit_width is None else each.bit_width
        if all(member.size != size for member in true):
            yield f"{each.name}: size {_bits(size)}, not {_bits(true[0].size)}"


def _bits(count: int) -> str:
    return str(count // 8) + (f":{count % 8}" if count % 8 else "")


def measure(root: Path, work: Path, count: int, files: int, seed: int = SEED) -> dict[str, Any]:
    """Draw and judge. Where a tool is missing, the reason."""
    from kexpert.background.database import cache_directory
    from kexpert.workspace.configuration import ConfigurationInView
    from kexpert.workspace.tree_index import open_view

    target = TARGETS[0]
    if reason := missing_for(target) or layout_truth.missing():
        print(f"layouts: left out: {reason}", file=sys.stderr)
        return {"left out": reason}
    build = KernelBuild(root, work / target.name, target)
    build.prepare()
    build.prepare_types()
    records = layout_truth.drawn(build, count, files, seed)
    view = open_view(root)
    in_view = ConfigurationInView(
        root, cache_directory(root), patience_seconds=600, writes=False, dotconfig=build.folder / ".config"
    )
    view.configuration = in_view.current()
    report = {"by name": judge(view, records), "in a C file": judge(view, records, from_unit=True)}
    in_view.close()
    return report


def beside_the_compiler(root: Path, cache: Path, work: Path) -> dict[str, Any]:
    """``measure`` in a process that uses the index in ``cache``."""
    command = [sys.executable, "-m", "benchmarks.layouts", "--tree", str(root), "--work", str(work)]
    done = subprocess.run(command, env={**os.environ, **environment(cache)}, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def markdown(report: dict[str, Any]) -> Iterator[str]:
    """The table of ``beside_the_compiler``."""
    yield "### Layouts against gcc\n"
    if "left out" in report:
        yield f"left out: {report['left out']}\n"
        return
    yield "| asked | structs and unions | without `~` | share | with a wrong number | CPU ms p50 / p95 / max |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, row in report.items():
        yield (
            f"| {name} | {row['records']:,} | {row['without ~']:,} | {row['share without ~']:.1%} "
            f"| {row['records with a wrong number']} | {row['CPU ms p50 / p95 / max']} |"
        )
    for name, row in report.items():
        for title, key in (("wrong numbers", "wrong"), ("with `~` or without a layout", "with ~")):
            if lines := row[key]:
                shown = lines[:_SHOWN]
                yield f"\n<details><summary>{name}: {len(lines)} {title}, {len(shown)} of them shown</summary>\n\n```"
                yield from shown
                yield "```\n</details>"
    yield ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="for the build; kept, so that a second run is quick")
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--files", type=int, default=150, help="C files to compile")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    root, work = arguments.tree.resolve(), arguments.work.resolve()
    print(json.dumps(measure(root, work, arguments.records, arguments.files, arguments.seed), indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
