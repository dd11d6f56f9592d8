"""The order in which files are indexed: those that the user needs first come first."""

from __future__ import annotations

import os
from collections.abc import Iterable

from kexpert.background.tree import FileKind, TreeFile
from kexpert.core.retrieval.chunk import is_generated


def by_priority(files: Iterable[TreeFile], open_paths: Iterable[str] = ()) -> list[TreeFile]:
    """Sort files for indexing: open files, their folders, include/, Kconfig, this machine's architecture, the core
    of the kernel, the rest, generated register headers."""
    opened = set(open_paths)
    folders = {path.rpartition("/")[0] for path in opened}
    arch = f"arch/{_host_arch()}/"

    def rank(file: TreeFile) -> tuple[int, str]:
        path = file.path
        if path in opened:
            return 0, path
        if path.rpartition("/")[0] in folders:
            return 1, path
        if path.startswith("include/"):
            return 2, path
        if file.kind is FileKind.KCONFIG:
            return 3, path
        if path.startswith(arch + "include/"):
            return 4, path
        if path.startswith(("kernel/", "mm/", "lib/", "fs/", "block/", "net/core", "drivers/base/", arch)):
            return 5, path
        if is_generated(path):
            return 9, path
        return 6, path

    return sorted(files, key=rank)


def _host_arch() -> str:
    """This machine's folder under arch/."""
    machine = os.uname().machine
    aliases = {"x86_64": "x86", "i686": "x86", "i386": "x86", "aarch64": "arm64", "ppc64le": "powerpc", "s390x": "s390"}
    return aliases.get(machine, "riscv" if machine.startswith("riscv") else machine)
