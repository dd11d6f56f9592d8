"""``make bench``: measure on a tree, next to ctags and clangd; tables go to docs/benchmarks.md, JSON to stdout.

No test depends on these figures. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import (
    clangd,
    ctags_differential,
    functions,
    indexing,
    jumps,
    latency,
    layouts,
    member_latency,
    member_references,
    patches,
    tree_questions,
    variants,
)  # fmt: skip
from benchmarks.sample import SEED
from kexpert import __version__
from tests.support.lsp_client import Client

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- table -->", "<!-- /table -->"
PARTS = ("index", "search", "latency", "questions", "members", "functions", "names", "parsing", "jumps", "variants",
         "layouts", "clangd")  # fmt: skip
MEMBERS, MEMBER_SECONDS = ["super_block.s_flags", "net_device.flags", "device.of_node", "module.list"], 20.0
SHOWN_MISSES = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only these; the page stays as it is")
    parser.add_argument("--other", type=Path, help="a later version of the tree, from which patches are made")
    parser.add_argument("--cache", type=Path, help="keep the index there between runs (default: a fresh one)")
    args = parser.parse_args()
    root, parts = args.tree.resolve(), args.only or PARTS
    with tempfile.TemporaryDirectory(prefix="kexpert-bench-") as work:
        report = measure(root, parts, args.cache or Path(work, "cache"), Path(work), args.other)
    print(json.dumps(report, indent=1))
    if parts is PARTS:
        write_page(report)
    return 0


def measure(
    root: Path, parts: tuple[str, ...], cache: Path, work: Path, other: Path | None = None
) -> dict[str, Any]:
    report: dict[str, Any] = {
        "kexpert": __version__, "tree": root.name, "date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(),
        "cpu": cpu_name(), "python": platform.python_version(),
    }  # fmt: skip
    if "index" in parts:
        say("reading the tree once, so that every program finds it in the page cache")
        indexing.read_once(root)
        say("ctags -R")
        report["ctags"] = indexing.ctags_index(root, work / "tags")
    if set(parts) & {"index", "latency", "questions", "members", "jumps", "variants", "layouts", "clangd"}:
        say("kexpert index, from nothing and again" if "index" in parts else "kexpert index")
        report["index"] = indexing.kexpert_index(root, cache, "--no-vectors")
    if "index" in parts:
        report["index again"] = indexing.kexpert_index(root, cache, "--no-vectors")
    if "search" in parts:
        say("kexpert index, search by meaning")
        report["search"] = indexing.kexpert_index(root, cache)
    if "latency" in parts:
        say("latencies")
        report["latency"] = latency.latencies(root, cache)
    if "questions" in parts:
        say("grep, call chains, patches")
        os.environ.update(indexing.environment(cache))
        asked = ("grep", "callchain", "path", "diff")
        report["questions"] = list(tree_questions.measure(root, other, SEED, 1.0, asked))
        count = patches.PATCHES
        made = patches.drawn(root, other, count, SEED) if other else patches.of_one_tree(root, count, SEED)
        report["patches"] = patches.judge(list(made)) if shutil.which("ctags") else None
    if "members" in parts:
        say("references of members")
        report["members"] = list(member_latency.reports(root, cache, MEMBERS, MEMBER_SECONDS))
        say("uses of members against clang")
        report["members by clang"] = member_references.beside_clang(root, cache, make_folder(work / "members"))
    if "functions" in parts:
        say("functions against ctags")
        report["functions"] = functions.against_ctags(root)
    if "names" in parts:
        say("functions and types of all files against ctags")
        report["names"] = ctags_differential.differential(root)
    if "parsing" in parts:
        say("clean parses")
        report["parsing"] = functions.clean_parses(root)
    if "jumps" in parts:
        say("definition jumps")
        drawn = jumps.draw(root)
        with Client(env=indexing.environment(cache), timeout=latency.TIMEOUT_SECONDS, quiet=True) as client:
            client.initialize(root, encodings=["utf-8"])
            report["jumps"] = jumps.judge(client, drawn)
    if "variants" in parts:
        say("variants by four configurations")
        report["variants"] = variants.beside_the_build(root, cache, make_folder(work / "variants"))
    if "layouts" in parts:
        say("layouts against gcc")
        report["layouts"] = layouts.beside_the_compiler(root, cache, make_folder(work / "layouts"))
    if "clangd" in parts:
        say("clangd on a subset")
        report["clangd"] = clangd.beside_clangd(root, cache, make_folder(work / "build"))
    return report


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def write_page(report: dict[str, Any]) -> None:
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    table = "\n".join(markdown(report))
    PAGE.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}", "utf-8")


def markdown(report: dict[str, Any]) -> Iterator[str]:
    yield f"kexpert {report['kexpert']}, {report['date']}, {report['tree']}, Python {report['python']},"
    yield f"{report['cores']} cores of {report['cpu']}. Files in the page cache.\n"
    yield from index_table(report)
    yield from latency_table(report["latency"])
    yield from questions_table(report)
    yield from found_table(report)
    yield from variants.markdown(report["variants"])
    yield from layouts.markdown(report["layouts"])
    if report["clangd"]:
        yield from clangd_table(report["clangd"])


def index_table(report: dict[str, Any]) -> Iterator[str]:
    yield "### The whole tree\n"
    yield "| | wall s | CPU s | peak MB, all processes | disk MB |"
    yield "|---|---:|---:|---:|---:|"
    rows = {
        "kexpert index --no-vectors, from nothing": report["index"],
        "kexpert index, nothing changed": report["index again"],
        "kexpert index, search by meaning after that": report["search"],
        "ctags -R (definitions only, one process)": report["ctags"],
    }
    for name, row in rows.items():
        if row:
            memory, disk = row["peak_rss_mb"], row["disk_mb"]
            yield f"| {name} | {row['wall_s']:.1f} | {row['cpu_s']:.1f} | {memory:,.0f} | {disk:,.0f} |"
    index, ctags = report["index"], report["ctags"]
    if ctags:
        wall, cpu = index["wall_s"] / ctags["wall_s"], index["cpu_s"] / ctags["cpu_s"]
        yield f"| names alone / ctags | {wall:.1f} | {cpu:.1f} | {index['peak_rss_mb'] / ctags['peak_rss_mb']:.1f} | |"
    chunks = report["search"]["chunks"]
    yield f"\n{index['files']:,} files, {index['symbols']:,} symbols, {chunks:,} chunks with a vector."
    yield f"All names are there after {index['seconds']:.0f} s; the positions of the most common in the"
    yield f"{index['places_seconds']:.0f} s after that, included in the first row.\n"


def latency_table(report: dict[str, dict[str, float]]) -> Iterator[str]:
    start = report["start"]
    yield "### Waiting, over stdio, index warm\n"
    yield "| request | requests | with an answer | p50 ms | p95 ms | max ms |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, row in report.items():
        if name != "start":
            times = f"{row['p50']:.1f} | {row['p95']:.1f} | {row['max']:.1f}"
            yield f"| {name} | {row['requests']} | {row['answered']} | {times} |"
    yield f"\n`initialize` answered {start['initialize_ms']:.0f} ms after the process was started, the first hover "
    yield f"{start['first_hover_ms']:.0f} ms after. Memory of the server at the end: {start['rss_mb_after']:,.0f} MB, "
    yield f"{start['session_rss_mb_after']:,.0f} MB with the processes that hold the vectors.\n"


def questions_table(report: dict[str, Any]) -> Iterator[str]:
    yield "### Questions about the whole tree, one process, index warm\n"
    yield "| question | asked | with an answer | p50 s | p95 s | max s |"
    yield "|---|---:|---:|---:|---:|---:|"
    for row in report["questions"]:
        for name, found in row.items():
            times = " | ".join(f"{found[f'wall s {share}']:.2f}" for share in ("p50", "p95", "max"))
            yield f"| {name} | {found['cases']} | {found['answered']} | {times} |"
    if report["patches"]:
        judged, found = report["patches"], report["patches"]["before the patch"]
        yield f"\n{judged['patches']} patches touch {judged['functions touched, by ctags']} functions"
        yield f"by ctags; `kexpert diff` names {found['found']}: precision {found['precision']:.3f}, recall"
        yield f"{found['recall']:.3f}."
    yield "\n### References of members, over stdio, in parts\n"
    yield "| member | first part s | first hundred s | all s | cancelled s | places |"
    yield "|---|---:|---:|---:|---:|---:|"
    keys = ("first part after s", "first hundred after s", "all after s", "cancelled after s")
    for found in report["members"]:
        times = " | ".join("" if found.get(key) is None else f"{found[key]:.2f}" for key in keys)
        yield f"| {found['member']} | {times} | {found['places']:,} |"
    yield from member_references.markdown(report["members by clang"])
    yield ""


def found_table(report: dict[str, Any]) -> Iterator[str]:
    found, parsing = report["functions"], report["parsing"]
    yield "### Right, against ctags\n"
    yield "| | of | right | share |"
    yield "|---|---:|---:|---:|"
    named = found["functions of ctags"] - found["made by macros (ctags has no name for them)"]
    what = f"functions that ctags names, {found['files']:,} files"
    yield f"| {what} | {named:,} | {found['found']:,} | {found['recall']:.2%} |"
    clean = f"{parsing['clean']:,} | {parsing['share']:.2%}"
    yield f"| files that parse without an ERROR node | {parsing['files']:,} | {clean} |"
    for kind in ("function", "type"):
        row = report["names"][kind]
        what = f"{kind}s that ctags has, {report['names']['files']:,} files"
        yield f"| {what} | {row['of ctags']:,} | {row['of ctags'] - row['lost']:,} | {row['share']:.3%} |"
    for kind, row in report["jumps"].items():
        yield f"| definition right first time: {kind} | {row['uses']:,} | {row['right']:,} | {row['share']:.2%} |"
    yield f"\nFalse functions (loops, keywords, macro names): {len(found['false'])}. "
    yield f"Functions that only kexpert has: {len(found['only ours']):,}.\n"
    wrong = [line for row in report["jumps"].values() for line in row["wrong"]]
    yield from details("functions missed", found["missed"])
    yield from details("jumps that the oracle calls wrong", wrong)


def details(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        shown = lines[:SHOWN_MISSES]
        yield f"<details><summary>{len(lines)} {title}, {len(shown)} of them shown</summary>\n\n```"
        yield from shown
        yield "```\n</details>\n"


def clangd_table(report: dict[str, Any]) -> Iterator[str]:
    prepared = report["kernel build for clangd, s"]
    had = "no generated headers, because the kernel's build lacks a tool here: its answers suffer"
    if prepared:
        had = f"headers generated by `make x86_64_defconfig prepare` ({prepared:.0f} s, not counted)"
    yield f"### Beside clangd, {report['files']} C files that x86 builds\n"
    yield f"clangd had a compilation database for these files and {had}; no background index, so it sees a file and"
    yield "what it includes. kexpert had its index of the tree. The same positions, one after another.\n"
    kinds = [f"jumps right: {kind}" for kind in report["kexpert"]["jumps"]]
    columns = ["start to first hover, ms", "open to hover, p50 ms", "max ms", "memory MB", *kinds]
    yield "| | " + " | ".join(columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for name in ("kexpert", "clangd"):
        row = report[name]
        times = (
            row["start to first hover, ms"],
            row["open to hover, p50 ms"],
            row["open to hover, max ms"],
            row["rss_mb"],
        )
        right = [f"{kind['right']} of {kind['uses']}" for kind in row["jumps"].values()]
        yield f"| {name} | " + " | ".join([*(f"{value:,.0f}" for value in times), *right]) + " |"


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def say(message: str) -> None:
    print(f"bench: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
