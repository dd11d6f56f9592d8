"""The version that a tree's Makefile names."""

from __future__ import annotations

import re
from pathlib import Path

from kexpert.background.tree import read

_LINE = re.compile(rb"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*([\w.-]*)", re.M)
_MAX_MAKEFILE_BYTES = 4096


def kernel_version(root: Path) -> str:
    """``6.1.0-rc1`` from the Makefile at the top; "" if it does not say."""
    head = (read(root, "Makefile") or b"")[:_MAX_MAKEFILE_BYTES]
    found: dict[str, str] = {key.decode(): value.decode() for key, value in _LINE.findall(head)}
    numbers = [found[key] for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if found.get(key)]
    return ".".join(numbers) + found.get("EXTRAVERSION", "")
