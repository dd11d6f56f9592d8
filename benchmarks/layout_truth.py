"""Structs and unions as gcc lays them out with a kernel configuration: the truth for ``benchmarks.layouts``.

C files that the configuration builds are compiled, one at a time, with debugging information that also has the types
that nothing uses; pahole (Debian's package ``dwarves``) reads it. Alignments come from a second, syntax-only pass.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.kernel_build import KernelBuild

_PLACE = re.compile(r"/\* <[0-9a-f]+> (\S+):(\d+) \*/")
_HEAD = re.compile(r"(struct|union) (\w+) \{")
_INNER = re.compile(r"\t+((?:const |volatile )*)(?:struct|union|enum)(?: \w+)? \{")
_MEMBER = re.compile(r"\t+(.*\S)\s+/\*\s*(-?\d+)(?::\s*(\d+))?\s+(\d+)\s*\*/")
_CLOSING = re.compile(r"\t+\}(.*?)\s*/\*\s*(-?\d+)(?::\s*(\d+))?\s+(\d+)\s*\*/")
_FUNCTION_POINTER = re.compile(r"\(\s*\*+\s*(?:const\s+)?(\w+)")
_WIDTH = re.compile(r":(\d+)$")
_NAME = re.compile(r"(\w+)$")
_ASKED = ("sizeof", "_Alignof")
_SAID = re.compile(r"layouts\.c:(\d+):.*?char \(\*\)\[(\d+)\]")
_FLAGS = (
    "-mno-sse", "-mno-red-zone", "-fno-strict-aliasing", "-fno-asynchronous-unwind-tables", "-fno-jump-tables",
    "-fshort-wchar", "-funsigned-char",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrueMember:
    """A member, by its name with those of the named inline records around it. Offsets and sizes in bits."""

    name: str
    offset: int
    size: int  # of a bit-field, its width
    type: str


@dataclass(frozen=True, slots=True)
class TrueRecord:
    """A struct or union with a tag. ``line`` from 1; ``unit``: the C file that was compiled. Sizes in bytes."""

    kind: str
    name: str
    path: str
    line: int
    size: int
    members: tuple[TrueMember, ...]
    unit: str
    align: int = 0
    inner: tuple[TrueMember, ...] = ()  # perhaps shown: members of records with a tag inside this one

    @property
    def key(self) -> str:
        return f"{self.path}:{self.line}"


def missing() -> str:
    """What must be installed first, in one line; "" if all is there."""
    absent = [tool for tool in ("pahole", "gcc") if shutil.which(tool) is None]
    return f"{', '.join(absent)} not installed" if absent else ""


def drawn(build: KernelBuild, count: int, files: int, seed: int) -> list[TrueRecord]:
    """``count`` records of ``files`` C files and of what they include, the same every time. Kept in the build's
    folder."""
    kept = build.folder / f"layouts-{seed}-{files}-{count}.json"
    if not kept.is_file():
        records = list(_with_sizes(build, _draw(build, count, files, seed)))
        kept.write_text(json.dumps([asdict(record) for record in records]))
    return [_stored(record) for record in json.loads(kept.read_text())]


def _stored(record: dict[str, Any]) -> TrueRecord:
    lists = {key: tuple(TrueMember(**member) for member in record[key]) for key in ("members", "inner")}
    return TrueRecord(**{**record, **lists, "path": os.path.normpath(record["path"])})


def _draw(build: KernelBuild, count: int, files: int, seed: int) -> list[TrueRecord]:
    chance = random.Random(f"{seed} {build.target.name}")
    paths = sorted(path for path in build.objects if path.endswith(".c"))
    chance.shuffle(paths)
    found: dict[str, TrueRecord] = {}
    compiled = 0
    for path in paths:
        records = records_of(build, path)
        compiled += bool(records)
        for record in records:
            found.setdefault(record.key, record)
        if compiled == files:
            break
    candidates = sorted(found.values(), key=lambda record: (record.path, record.line))
    return chance.sample(candidates, min(count, len(candidates)))


def records_of(build: KernelBuild, path: str) -> list[TrueRecord]:
    """The records of a C file and of its headers; empty where gcc refuses it."""
    object_file = build.folder / "layouts.o"
    object_file.unlink(missing_ok=True)
    command = build.compiler_call(path, "-O1", "-g", "-gdwarf-4", "-fno-eliminate-unused-debug-types", *_FLAGS)
    done = subprocess.run([*command, "-c", "-o", str(object_file), str(build.tree / path)], cwd=build.folder,
                          capture_output=True, check=False)  # fmt: skip
    if done.returncode:
        return []
    shown = subprocess.run(["pahole", "--show_decl_info", "-F", "dwarf", str(object_file)], capture_output=True,
                           text=True, errors="replace", check=False).stdout  # fmt: skip
    prefix = str(build.tree) + "/"
    records = [record for record in _read(shown, prefix, path) if record.members]
    named = {f"{record.kind} {record.name}": record for record in records}
    return [replace(record, inner=tuple(_inner(record, named, 0))) for record in records]


def _inner(record: TrueRecord, named: dict[str, TrueRecord], depth: int) -> Iterator[TrueMember]:
    """Members of the records with a tag that stand inside a record, as far as their place lets one tell."""
    for member in record.members:
        inner = named.get(member.type)
        if inner is not None and inner.path == record.path and inner.line > record.line and depth < 4:
            for each in (*inner.members, *_inner(inner, named, depth + 1)):
                yield replace(each, name=f"{member.name}.{each.name}", offset=member.offset + each.offset)


def _read(shown: str, prefix: str, unit: str) -> Iterator[TrueRecord]:
    place, kind, name = ("", 0), "", ""
    members: list[TrueMember] = []
    open_at: list[int] = []  # for each inline record, how many members came before it
    for row in shown.splitlines():
        if match := _PLACE.match(row):
            place = (match[1], int(match[2]))
        elif match := _HEAD.match(row):
            kind, name, members, open_at = match[1], match[2], [], []
        elif row.startswith("}"):
            if place[0].startswith(prefix) and name:
                yield TrueRecord(kind, name, place[0].removeprefix(prefix), place[1], 0, tuple(members), unit)
            name = ""
        elif name:
            if (match := _INNER.match(row)) and row.rstrip().endswith("{"):
                open_at.append(len(members))
                if match[1]:  # pahole leaves out the name of such a member
                    name = ""
            elif (match := _CLOSING.match(row)) and open_at:
                first = open_at.pop()
                declared = _member(match[1].strip(), match, "inline")
                if declared is not None and declared.name:
                    if "*" not in match[1] and "[" not in match[1]:
                        members[first:] = [_inside(each, declared.name) for each in members[first:]]
                    else:
                        del members[first:]
                    members.insert(first, declared)
            elif match := _MEMBER.match(row):
                found = _member(match[1], match, "")
                if found is not None:
                    members.append(found)


def _inside(member: TrueMember, outer: str) -> TrueMember:
    return TrueMember(f"{outer}.{member.name}", member.offset, member.size, member.type)


def _member(text: str, match: re.Match[str], kind: str) -> TrueMember | None:
    text = text.rstrip().removesuffix(";")
    while (at := text.find("__attribute__")) >= 0:
        depth = end = 0
        for end in range(at + 13, len(text)):
            depth += (text[end] == "(") - (text[end] == ")")
            if not depth:
                break
        text = (text[:at] + text[end + 1 :]).strip()
    width = _WIDTH.search(text)
    text = text[: width.start()] if width else text
    pointer = _FUNCTION_POINTER.search(text)
    bare = text.partition("[")[0].strip()
    named = pointer or _NAME.search(bare)
    if named is None and not kind:
        return None
    offset = 8 * int(match[2]) + int(match[3] or 0)
    type_text = "" if pointer or "*" in text or "[" in text or named is None else bare[: named.start()].strip()
    return TrueMember(named[1] if named else "", offset, int(width[1]) if width else 8 * int(match[4]),
                      kind or type_text)  # fmt: skip


def _with_sizes(build: KernelBuild, records: list[TrueRecord]) -> Iterator[TrueRecord]:
    """gcc names the type of a wrong pointer in a warning, and with it the size or alignment that it is made of."""
    units: dict[str, list[TrueRecord]] = {}
    for record in records:
        units.setdefault(record.unit, []).append(record)
    probe = build.folder / "layouts.c"
    for unit, group in units.items():
        lines = [f'#include "{build.tree / unit}"']
        for record in group:
            lines += [f"int *kx_{len(lines)} = (char (*)[{what}({record.kind} {record.name})])0;" for what in _ASKED]
        probe.write_text("\n".join([*lines, ""]))
        command = build.compiler_call(unit, "-O1", *_FLAGS, "-fsyntax-only", "-fno-diagnostics-show-caret")
        done = subprocess.run([*command, str(probe)], cwd=build.folder, capture_output=True, text=True, check=False,
                              errors="replace")  # fmt: skip
        said = {int(match[1]): int(match[2]) for match in _SAID.finditer(done.stderr)}
        for at, record in enumerate(group):
            size, align = (said.get(2 + len(_ASKED) * at + each) for each in range(len(_ASKED)))
            if align is not None:
                yield replace(record, size=size or 0, align=align)
