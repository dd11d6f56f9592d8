"""What a kernel's own build makes of a configuration, as truth: its ``.config``, its objects, its preprocessed text.

Nothing is compiled but a few generated headers. The tree is not written to. Needs make, flex, bison and gcc; for
arm64 and riscv Debian's cross compilers (gcc-aarch64-linux-gnu, gcc-riscv64-linux-gnu).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_LINE_MARK = re.compile(rb'# (\d+) "([^"]*)"')
_DIRECTIVE = re.compile(rb"#(define|undef) (\w+)")
_STUBS = ("bounds.h", "asm-offsets.h", "timeconst.h", "utsrelease.h", "compile.h", "package.h", "autoksyms.h")
_VERSION = """\
#define LINUX_VERSION_CODE 393472
#define KERNEL_VERSION(a,b,c) (((a) << 16) + ((b) << 8) + (c))
"""
#: Folders of an architecture that its own Makefile lists, beside those of its Kbuild.
_ARCH_FOLDERS = ("kernel", "mm", "lib", "entry", "pci", "power", "net")
#: Prints what a folder's Makefile lists, by make itself; functions of Kbuild that are not defined give nothing.
_LIST_OBJECTS = """\
srctree := {tree}
objtree := .
include include/config/auto.conf
BITS := $(if $(CONFIG_64BIT),64,32)
src := $(obj)
-include {tree}/$(obj)/{name}
built := $(filter %.o,$(obj-y) $(lib-y) $(core-y) $(libs-y) $(drivers-y))
$(foreach o,$(built),$(info y $(o) $($(o:.o=-objs)) $($(o:.o=-y))))
$(foreach o,$(filter %.o,$(obj-m)),$(info m $(o) $($(o:.o=-objs)) $($(o:.o=-y)) $($(o:.o=-m))))
$(info d $(filter %/,$(obj-y) $(obj-m) $(lib-y) $(core-y) $(libs-y) $(drivers-y) $(net-y)))
$(info f $(ccflags-y) $(subdir-ccflags-y))
list: ;
.DEFAULT_GOAL := list
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A configuration to build. ``make``: what make calls the architecture."""

    name: str
    arch: str
    make: str
    goal: str
    compiler: str
    flags: tuple[str, ...]


TARGETS = (
    Target("x86_64", "x86", "x86_64", "defconfig", "gcc", ("-m64", "-fno-pie", "-mcmodel=kernel")),
    Target("allnoconfig", "x86", "x86_64", "allnoconfig", "gcc", ("-m64", "-fno-pie", "-mcmodel=kernel")),
    Target("arm64", "arm64", "arm64", "defconfig", "aarch64-linux-gnu-gcc", ("-DKASAN_SHADOW_SCALE_SHIFT=",)),
    Target("riscv", "riscv", "riscv", "defconfig", "riscv64-linux-gnu-gcc", ("-mabi=lp64", "-march=rv64imac")),
)


def missing(target: Target) -> str:
    """What must be installed first, in one line; "" if all is there."""
    absent = [tool for tool in ("make", "flex", "bison", "bc", target.compiler) if shutil.which(tool) is None]
    return f"{target.name}: {', '.join(absent)} not installed" if absent else ""


@dataclass(slots=True)
class Preprocessed:
    """Of one C file: the lines of each file that are compiled, and the macros with the lines that define them.

    ``macros``: name -> (path, line, the number of lines of the main file that came before).
    """

    lines: dict[str, set[int]] = field(default_factory=dict)
    macros: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    undefined: dict[str, list[int]] = field(default_factory=dict)


class KernelBuild:
    """One configuration of a tree, in a folder of its own."""

    def __init__(self, tree: Path, folder: Path, target: Target) -> None:
        self.tree = tree
        self.folder = folder
        self.target = target
        self.preprocessed = cache(self._preprocessed)
        self.flags: dict[str, list[str]] = {}
        self.objects: dict[str, str] = {}

    def prepare(self) -> None:
        """Make ``.config``, the generated headers and the list of objects. Raises CalledProcessError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "include/generated/autoconf.h").is_file():
            self._make(self.target.goal)
            self._make("syncconfig")
        self._make("-k", "asm-generic", "uapi-asm-generic", "archheaders", "archprepare", check=False)
        stubs = self.folder / "stubs" / "generated"
        stubs.mkdir(parents=True, exist_ok=True)
        for name in _STUBS:
            (stubs / name).touch()
        version = self.folder / "stubs" / "linux" / "version.h"
        version.parent.mkdir(exist_ok=True)
        version.write_text(_VERSION)
        listed = self.folder / "objects.json"
        if not listed.is_file():
            self._list_objects()
            listed.write_text(json.dumps([self.objects, self.flags]))
        self.objects, self.flags = json.loads(listed.read_text())

    def prepare_types(self) -> None:
        """Make the headers whose numbers the compiler gives, such as ``generated/bounds.h``: what structs need."""
        if not (self.folder / "include/generated/bounds.h").is_file():
            self._make("-k", "prepare0", check=False)

    @property
    def dotconfig(self) -> bytes:
        return (self.folder / ".config").read_bytes()

    def _make(self, *goals: str, check: bool = True) -> None:
        cross = self.target.compiler.removesuffix("gcc")
        command = ["make", "-s", "-C", str(self.tree), f"ARCH={self.target.make}", f"O={self.folder}", *goals]
        subprocess.run(
            [*command, f"CROSS_COMPILE={cross}"], check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _list_objects(self) -> None:
        """Follow obj-y, obj-m and lib-y from the top. ``objects``: path of a ``.c`` or ``.S`` file -> "y" or "m"."""
        pending = [("", ""), (f"arch/{self.target.arch}", "")]
        seen: set[str] = set()
        while pending:
            folder, above = pending.pop()
            if folder in seen:
                continue
            seen.add(folder)
            name = "Kbuild" if (self.tree / folder / "Kbuild").is_file() else "Makefile"
            if folder == f"arch/{self.target.arch}":
                pending += [(f"{folder}/{each}", "") for each in _ARCH_FOLDERS]
            if not (self.tree / folder / name).is_file():
                continue
            text = _LIST_OBJECTS.format(tree=self.tree, name=name)
            found = subprocess.run(
                ["make", "-s", "-f", "-", f"obj={folder or '.'}", f"SRCARCH={self.target.arch}", "list"],
                input=text, text=True, cwd=self.folder, capture_output=True, check=False,
            ).stdout  # fmt: skip
            flags = above
            for kind, *words in (line.split() for line in found.splitlines() if line):
                if kind == "f":
                    flags = " ".join([above, *(word for word in words if word.startswith(("-I", "-D")))])
            self.flags[folder] = flags.split()
            for kind, *words in (line.split() for line in found.splitlines() if line):
                if kind == "d":
                    inner = [str(Path(folder, word)) for word in words if not word.startswith("/")]
                    pending += [(each, flags) for each in inner]
                elif kind in ("y", "m"):
                    parts = [word for word in words[1:] if word.endswith(".o")] or words[:1]
                    for part in parts:
                        self._add_object(str(Path(folder, part))[:-2], kind)

    def _add_object(self, stem: str, kind: str) -> None:
        for suffix in (".c", ".S"):
            if (self.tree / (stem + suffix)).is_file():
                self.objects.setdefault(stem + suffix, kind)

    def _preprocessed(self, path: str) -> Preprocessed | None:
        """The text that the compiler sees of a file; None where the preprocessor fails."""
        command = [*self.compiler_call(path, "-E", "-dD", "-O2"), f"{self.tree}/{path}"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
        return self._read(path, done.stdout) if done.returncode == 0 else None

    def compiler_call(self, path: str, *flags: str) -> list[str]:
        """What to call, in ``folder``, for a file as the build would; the file itself is to be added."""
        arch, tree = self.target.arch, str(self.tree)
        folders = [
            f"{tree}/arch/{arch}/include", f"arch/{arch}/include/generated", f"{tree}/include", "include",
            f"{tree}/arch/{arch}/include/uapi", f"arch/{arch}/include/generated/uapi", f"{tree}/include/uapi",
            "include/generated/uapi", "stubs",
        ]  # fmt: skip
        here = path.rpartition("/")[0]
        return [
            self.target.compiler, *flags, "-nostdinc", "-std=gnu11", *self.target.flags, "-D__KERNEL__",
            *(f"-I{folder}" for folder in folders), f"-I{tree}/{here}", f"-I{here}",
            *(["-DMODULE"] if self.objects.get(path) == "m" else []), '-DKBUILD_MODNAME="x"', '-DKBUILD_BASENAME="x"',
            "-DKBUILD_MODFILE=\"x\"", "-D__KBUILD_MODNAME=x", "-DCC_USING_FENTRY",
            *(f"-include{tree}/include/linux/{name}.h" for name in ("compiler-version", "kconfig", "compiler_types")),
            *self._flags_of(here),
        ]  # fmt: skip

    def _flags_of(self, folder: str) -> list[str]:
        found = self.flags.get(folder, [])
        return [flag.replace("-I./", "-I") for flag in found]

    def _read(self, main: str, text: bytes) -> Preprocessed:
        found = Preprocessed()
        prefix = str(self.tree) + "/"
        path, line, before = "", 0, 0
        lines: set[int] = set()
        for row in text.split(b"\n"):
            if row.startswith(b"# ") and (mark := _LINE_MARK.match(row)):
                path = mark[2].decode("utf-8", "replace").removeprefix(prefix)
                line = int(mark[1])
                lines = found.lines.setdefault(path, set())
                if path == main:
                    before = line
                continue
            if row.startswith(b"#") and (directive := _DIRECTIVE.match(row)):
                name = directive[2].decode()
                if directive[1] == b"define":
                    found.macros.setdefault(name, []).append((path, line, before))
                else:
                    found.undefined.setdefault(name, []).append(before)
            if row and not row.isspace():
                lines.add(line)
            line += 1
            if path == main:
                before = line
        return found
