"""The folders that a Makefile gives to the compiler: ``ccflags-y += -I $(srctree)/$(src)/libxfs``."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

from kexpert.core.text import decode

_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?([\w.$(){}/-]+?)[ \t]*(?:\+|:|::|\?)?=[ \t]*(.*)$", re.M)
_FLAG = re.compile(r"-I[ \t]*([^\s\"']+)")
_REFERENCE = re.compile(r"\$[({]([\w-]+)[)}]")
_MAX_DEPTH = 6
_MAX_FOLDERS = 64


@lru_cache(maxsize=64)
def include_folders(data: bytes, directory: str) -> tuple[str, ...]:
    """The folders of the tree after ``-I`` in the Makefile of ``directory``, in order; those that are generated too."""
    text = re.sub(r"#[^\n]*", "", decode(data).replace("\\\n", " "))
    values = {"srctree": "", "src": directory, "obj": directory, "objtree": "", "SRCARCH": "x86", "ARCH": "x86"}
    found: dict[str, None] = {}
    for name, value in _ASSIGNMENT.findall(text):
        if "-I" in value:
            for flag in _FLAG.findall(value):
                folder = _expanded(flag, values)
                if folder is not None:
                    found[folder] = None
        values.setdefault(name, value.strip())
    return tuple(found)[:_MAX_FOLDERS]


def _expanded(flag: str, values: dict[str, str]) -> str | None:
    for _ in range(_MAX_DEPTH):
        if "$" not in flag:
            break
        flag = _REFERENCE.sub(lambda match: values.get(match[1], "$"), flag)
    if "$" in flag or " " in flag:
        return None
    folder = posixpath.normpath(flag.lstrip("/") or ".")
    return None if folder.startswith("..") else folder.removeprefix("./")
