"""clangd on a subset, with generated headers and a compilation database.

The same positions go to kexpert, whose index is warm.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.indexing import environment
from benchmarks.jumps import Jump, draw, judge
from benchmarks.latency import TIMEOUT_SECONDS, milliseconds
from benchmarks.processes import session_rss_mb
from benchmarks.sample import SEED, all_files
from tests.support.lsp_client import SERVE, Client

FILES = 20
#: Built by x86_64_defconfig, so their headers can be generated.
FOLDERS = ("drivers/base/", "drivers/pci/", "drivers/ata/", "drivers/rtc/", "drivers/input/")
FLAGS = (
    "-nostdinc -Iarch/x86/include -I{build}/arch/x86/include/generated -Iinclude -I{build}/include "
    "-Iarch/x86/include/uapi -I{build}/arch/x86/include/generated/uapi -Iinclude/uapi -I{build}/include/generated/uapi "
    "-include include/linux/compiler-version.h -include include/linux/kconfig.h "
    "-include include/linux/compiler_types.h "
    "-D__KERNEL__ -std=gnu11 -fshort-wchar -fno-strict-aliasing -mno-sse -m64 -mcmodel=kernel -O2 -w "
    '-DKBUILD_MODFILE="x" -DKBUILD_BASENAME="x" -DKBUILD_MODNAME="x" -D__KBUILD_MODNAME=x'
)


def beside_clangd(root: Path, cache: Path, work: Path) -> dict[str, Any] | None:
    """None where there is no clangd."""
    clangd = shutil.which("clangd-19") or shutil.which("clangd")
    if clangd is None:
        return None
    prepared_s = prepare(root, work)
    jumps = draw(root, subset(root), per_class=100)
    paths = sorted({jump.use.path for jump in jumps})
    write_database(root, work, paths)
    servers = {
        "clangd": ((clangd, f"--compile-commands-dir={work}", "--background-index=false", "--log=error"), {}),
        "kexpert": (SERVE, environment(cache)),
    }
    report: dict[str, Any] = {"files": len(paths), "kernel build for clangd, s": prepared_s}
    for name, (command, env) in servers.items():
        report[name] = ask(command, env, root, jumps, paths)
    return report


def subset(root: Path) -> list[str]:
    """C files that a default configuration of x86 builds."""
    candidates = [p for p in all_files(root) if p.startswith(FOLDERS) and p.endswith(".c")]
    return random.Random(SEED).sample(candidates, FILES)


def prepare(root: Path, work: Path) -> float | None:
    """Generate headers outside the tree; seconds it took, None if the kernel's build lacks a tool."""
    started = time.perf_counter()
    for target in ("x86_64_defconfig", "prepare"):
        make = ["make", "-s", f"-j{os.cpu_count()}", "-C", str(root), f"O={work}", "ARCH=x86", target]
        if subprocess.run(make, capture_output=True, check=False).returncode:
            return None
    return time.perf_counter() - started


def write_database(root: Path, work: Path, paths: list[str]) -> None:
    flags = FLAGS.format(build=work).split()
    entries = [
        {"directory": str(root), "file": path, "arguments": ["clang", *flags, "-I" + os.path.dirname(path), "-c", path]}
        for path in paths
    ]
    (work / "compile_commands.json").write_text(json.dumps(entries))


def ask(
    command: tuple[str, ...], env: dict[str, str], root: Path, jumps: list[Jump], paths: list[str]
) -> dict[str, Any]:
    """Measure a fresh server: time to the first hover, to a hover in each further file, jumps, memory."""
    started = time.perf_counter()
    with Client(command, env, timeout=TIMEOUT_SECONDS, quiet=True) as client:
        client.initialize(root, encodings=["utf-8"])
        at = {jump.use.path: jump.use for jump in jumps}
        waits = []
        for path in paths:
            opened = time.perf_counter()
            uri = client.open_file(path)
            client.at("hover", uri, at[path].position)
            waits.append(milliseconds(opened))
            if len(waits) == 1:
                first = milliseconds(started)
            client.close(uri)
        judged = judge(client, jumps)
        rss = session_rss_mb(client.pid)
    waits.sort()
    return {
        "start to first hover, ms": first,
        "open to hover, p50 ms": waits[len(waits) // 2],
        "open to hover, max ms": waits[-1],
        "rss_mb": rss,
        "jumps": {kind: {k: row[k] for k in ("uses", "right", "share")} for kind, row in judged.items()},
    }
