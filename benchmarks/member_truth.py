"""Which struct's member a use means, by clang: the truth for ``benchmarks.member_references``.

    make -C DIR O=OUT ARCH=x86_64 allmodconfig prepare
    python -m benchmarks.member_truth --tree DIR --build OUT --files 140 --out truth.json

libclang (PyPI ``libclang``; nothing else of kexpert is needed) parses files of an x86 kernel as a build in that output
folder would. A file that it cannot parse with this configuration has no truth.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import re
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from benchmarks.sample import SEED

_FOLDERS = ("block", "crypto", "drivers", "fs", "ipc", "kernel", "lib", "mm", "net", "security", "sound")
_MAX_ERRORS = 20
_MAX_FILE_BYTES = 400_000
_DEFINES = (
    "__KERNEL__", "MODULE", "KBUILD_MODNAME=\"x\"", "KBUILD_BASENAME=\"x\"", "KBUILD_MODFILE=\"x\"",
    "__KBUILD_MODNAME=kmod_x", "CC_HAVE_ASM_GOTO",
)  # fmt: skip
_INCLUDES = ("arch/x86/include", "include", "arch/x86/include/uapi", "include/uapi")
_GENERATED = ("arch/x86/include/generated", "include", "arch/x86/include/generated/uapi", "include/generated/uapi")


@dataclass(frozen=True, slots=True)
class MemberUse:
    """A member's name in the code of ``path``, and where clang says that it is declared; offsets in bytes."""

    path: str
    start: int
    name: str
    declared_in: str
    declared_at: int
    #: Byte range of the record that declares it.
    record: tuple[int, int]


def sampled_files(root: Path, count: int, seed: int = SEED) -> list[str]:
    """C files of folders that x86 builds, in random order."""
    paths = sorted(str(path.relative_to(root)) for folder in _FOLDERS for path in (root / folder).rglob("*.c"))
    return random.Random(seed).sample(paths, min(count, len(paths)))


class Clang:
    """Parses files of one tree; ``build``: the output folder."""

    def __init__(self, root: Path, build: Path) -> None:
        from clang import cindex  # type: ignore[import-not-found]  # PyPI libclang

        self._cindex: Any = cindex
        self._root = root
        library = cindex.conf.lib
        library.clang_getFileLocation.argtypes = [
            cindex.SourceLocation, ctypes.POINTER(cindex.c_object_p), ctypes.POINTER(ctypes.c_uint),
            ctypes.POINTER(ctypes.c_uint), ctypes.POINTER(ctypes.c_uint),
        ]  # fmt: skip
        self._library = library
        self._index = cindex.Index.create()
        self._arguments = [
            "-nostdinc", "-std=gnu11", "-fshort-wchar", "-funsigned-char", "-w", "-ferror-limit=0", "-mcmodel=kernel",
            *(f"-I{root}/{folder}" for folder in _INCLUDES[:1]), *(f"-I{build}/{folder}" for folder in _GENERATED),
            *(f"-I{root}/{folder}" for folder in _INCLUDES[1:]),
            "-include", f"{root}/include/linux/compiler-version.h", "-include", f"{root}/include/linux/kconfig.h",
            "-include", f"{root}/include/linux/compiler_types.h", *(f"-D{name}" for name in _DEFINES),
        ]  # fmt: skip

    def uses(self, path: str) -> list[MemberUse] | None:
        """The uses of members in a file; None if clang cannot parse it with this configuration."""
        file = self._root / path
        if file.stat().st_size > _MAX_FILE_BYTES:
            return None
        folders = [file.parent, *file.parent.parents][:4]
        arguments = [*self._arguments, *(f"-I{each}" for each in folders), *(f"-I{each}/include" for each in folders)]
        unit = self._index.parse(str(file), args=arguments)
        errors = [each for each in unit.diagnostics if each.severity >= self._cindex.Diagnostic.Error]
        if len(errors) > _MAX_ERRORS or any(each.severity >= self._cindex.Diagnostic.Fatal for each in errors):
            return None
        found: dict[int, MemberUse] = {}
        data = file.read_bytes()
        for cursor in self._member_cursors(unit, str(file)):
            use = self._use(cursor, path, str(file), data)
            if use is not None:
                found.setdefault(use.start, use)
        return [found[start] for start in sorted(found)]

    def _member_cursors(self, unit: Any, file: str) -> list[Any]:
        """The cursors of uses of members below the declarations of a file."""
        kinds = {self._cindex.CursorKind.MEMBER_REF_EXPR.value, self._cindex.CursorKind.MEMBER_REF.value}
        found: list[Any] = []
        visit_next, recurse = 1, 2

        def visit(cursor: Any, parent: Any, _: Any) -> int:
            if parent._kind_id == top_kind:
                where = cursor.location.file
                return recurse if where is not None and where.name == file else visit_next
            if cursor._kind_id in kinds:
                cursor._tu = unit
                found.append(cursor)
            return recurse

        top_kind = unit.cursor._kind_id
        callback = _callback(self._cindex)(visit)
        self._library.clang_visitChildren(unit.cursor, callback, None)
        return found

    def _use(self, cursor: Any, path: str, file: str, data: bytes) -> MemberUse | None:
        declared = cursor.referenced
        name = cursor.spelling
        if declared is None or declared.kind != self._cindex.CursorKind.FIELD_DECL or not name:
            return None
        where, start = self._place(cursor.location)
        if where != file or not re.compile(rb"%s\b" % re.escape(name.encode())).match(data, start):
            return None
        home, at = self._place(declared.location)
        prefix = f"{self._root}/"
        if not home.startswith(prefix):
            return None
        record = declared.semantic_parent.extent
        span = (self._place(record.start)[1], self._place(record.end)[1])
        return MemberUse(path, start, name, home.removeprefix(prefix), at, span)

    def _place(self, location: Any) -> tuple[str, int]:
        """(file, offset) where the text is written: of a macro's argument, where the argument is."""
        file, line, column, offset = self._cindex.c_object_p(), ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint()
        self._library.clang_getFileLocation(
            location, ctypes.byref(file), ctypes.byref(line), ctypes.byref(column), ctypes.byref(offset)
        )
        if not file:
            return "", 0
        return os.path.normpath(self._cindex.File(file).name), int(offset.value)


def _callback(cindex: Any) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int, cindex.Cursor, cindex.Cursor, ctypes.py_object)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True, help="output folder of the kernel's make")
    parser.add_argument("--files", type=int, default=140)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    root = args.tree.resolve()
    clang = Clang(root, args.build.resolve())
    found: dict[str, list[Any] | None] = {}
    for path in sampled_files(root, args.files, args.seed):
        uses = clang.uses(path)
        found[path] = [astuple(use) for use in uses] if uses is not None else None
        print(f"{path}: {'cannot be parsed' if uses is None else len(uses)}", flush=True)
        args.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
