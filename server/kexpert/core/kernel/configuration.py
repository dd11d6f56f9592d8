"""A configuration of the kernel: an architecture and the values of its options, as far as they are known.

``option`` gives "y", "m", "n", a number or a string; None for what is not known, which excludes nothing.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kexpert.core.c.walk_steps import KnownFiles
from kexpert.core.kernel.tristate import LEVELS, NO, YES, evaluate, parse, requirements

_MAX_ASSUMED = 400
_MAX_DEPTH = 8
_MAX_UNITS = 12
_MAX_VARIANTS = 64


@dataclass(frozen=True, slots=True)
class Relations:
    """What Kconfig says of options, as far as one option decides another.

    ``depends``: the conditions of each entry of an option. ``selects``: (option, condition). ``choices``: the members
    of each choice.
    """

    depends: Mapping[str, list[list[str]]] = field(default_factory=dict)
    selects: Mapping[str, list[list[str]]] = field(default_factory=dict)
    choices: list[list[str]] = field(default_factory=list)

    def siblings(self, name: str) -> list[str]:
        """The other members of the choices that an option is in."""
        return [each for choice in self.choices if name in choice for each in choice if each != name]


class Configuration:
    """Immutable but for its caches. ``origin``: where it comes from, in words for a user."""

    def __init__(
        self,
        arch: str,
        values: Mapping[str, str] | None = None,
        *,
        complete: bool = False,
        origin: str = "",
        relations: Callable[[], Relations] = Relations,
        of_other_arch: Callable[[str], Configuration] | None = None,
        decides_arch: bool = True,
        assumed: Mapping[str, str] | None = None,
        objects: dict[str, Any] | None = None,
        known_files: KnownFiles | None = None,
    ) -> None:
        """``complete``: an option without a value is off. ``decides_arch``: other architectures' files are not
        built."""
        self.arch = arch
        self.origin = origin
        self.complete = complete
        self.decides_arch = decides_arch
        self._values = values
        self._relations = relations
        self._of_other_arch = of_other_arch
        self._assumed = dict(assumed or {})
        self._turned_off = any(value == "n" for value in self._assumed.values())
        self._under: dict[frozenset[tuple[str, bool]], Configuration] = {}
        self._computed: dict[str, str] = {}
        self._depth = 0
        self._digest = ""
        #: What features keep of this configuration, such as walks through includes.
        self.kept: OrderedDict[Any, Any] = OrderedDict()
        #: The last place that was asked from, as features see it.
        self.last_place: Any = None
        #: What walks through includes learnt of files; whoever made it makes it forget.
        self.known_files = known_files or KnownFiles()
        #: How objects are built, by the path of their file.
        self.objects: dict[str, Any] = objects if objects is not None else {}

    @property
    def is_decided(self) -> bool:
        """True if any option has a value."""
        return self._values is not None or bool(self._assumed)

    def digest(self) -> str:
        """A text that configurations share which decide the same."""
        if not self._digest:
            values = (sorted((self._values or {}).items()), sorted(self._assumed.items()))
            parts = repr((self.arch, self.complete, self.decides_arch, self._values is None, values))
            self._digest = hashlib.blake2b(parts.encode(errors="replace"), digest_size=16).hexdigest()
        return self._digest

    def option(self, name: str) -> str | None:
        """The value of an option, named without CONFIG_."""
        found = self._assumed.get(name)
        if found is not None:
            return found
        found = self._values.get(name) if self._values is not None else None
        if found is None:
            return "n" if self.complete else None
        if self._turned_off and found in ("y", "m"):
            return self._without_what_is_off(name, found)
        return found

    def _without_what_is_off(self, name: str, value: str) -> str:
        """"n" for an option that depends on one that is assumed to be off."""
        known = self._computed.get(name)
        if known is None:
            entries = self._relations().depends.get(name)
            known = self._computed[name] = value
            if entries and self._depth < _MAX_DEPTH:
                self._depth += 1
                try:
                    if not any(_least(entry, self._text_of) for entry in entries):
                        known = self._computed[name] = "n"
                finally:
                    self._depth -= 1
        return known

    def _text_of(self, name: str) -> str:
        value = self.option(name)
        return "y" if value is None else value

    def under(self, facts: Iterable[tuple[str, bool]]) -> Configuration:
        """This configuration where some options must be on or off, with what Kconfig makes of that: what they depend
        on and select is on, the other members of a choice are off."""
        wanted = frozenset(facts)
        known = self._under.get(wanted)
        if known is None:
            known = self._assuming(wanted)
            if len(self._under) < _MAX_VARIANTS:
                self._under[wanted] = known
        return known

    def _assuming(self, facts: frozenset[tuple[str, bool]]) -> Configuration:
        if all(self._agrees(name, on) for name, on in facts):
            return self
        relations = self._relations()
        assumed: dict[str, str] = dict(self._assumed)
        pending = sorted(facts)
        given = dict(pending)
        while pending and len(assumed) < _MAX_ASSUMED:
            name, on = pending.pop()
            if (name in assumed and name not in given) or given.get(name, on) is not on:
                continue
            if name in assumed and (assumed[name] != "n") is on:
                continue
            held = self.option(name)
            assumed[name] = (held if held in ("y", "m") else "y") if on else "n"
            if not on:
                continue
            pending += [(each, False) for each in relations.siblings(name)]
            entries = relations.depends.get(name, [])
            if len(entries) == 1:
                for text in entries[0]:
                    pending += requirements(parse(text))
            for target, condition in relations.selects.get(name, []):
                if not condition or evaluate(parse(condition), self._text_of) == YES:
                    pending.append((target, True))
        return Configuration(
            self.arch, self._values, complete=self.complete, origin=self.origin, relations=self._relations,
            of_other_arch=self._of_other_arch, decides_arch=self.decides_arch, assumed=assumed, objects=self.objects,
            known_files=self.known_files,
        )  # fmt: skip

    def _agrees(self, name: str, on: bool) -> bool:
        value = self.option(name)
        return value is not None and (value != "n") is on

    def of_arch(self, arch: str) -> Configuration:
        """The configuration for files of an architecture."""
        if arch == self.arch or not arch:
            return self
        if self._of_other_arch is not None:
            return self._of_other_arch(arch)
        return Configuration(arch, decides_arch=self.decides_arch, known_files=self.known_files)

    def forget(self, paths: Iterable[str] | None) -> None:
        """Forget what was read of files that changed; None for any file."""
        changed = None if paths is None else frozenset(paths)
        for each in (self, *list(self._under.values())):
            each.objects.clear() if changed is None or any(_is_makefile(path) for path in changed) else None
            for key, value in list(each.kept.items()):
                files = getattr(value, "files", ())
                is_new = any(path.endswith((".h", "/")) for path in changed or ())
                misses = is_new and not getattr(value, "complete", True)
                if changed is None or misses or not changed.isdisjoint(files):
                    each.kept.pop(key, None)

    def keep(self, key: Any, value: Any) -> None:
        """Remember a value for a key; the oldest are dropped."""
        self.kept[key] = value
        while len(self.kept) > _MAX_UNITS:
            self.kept.popitem(last=False)


def _is_makefile(path: str) -> bool:
    return path.endswith("/") or path.rpartition("/")[2].startswith(("Makefile", "Kbuild"))


def _least(texts: Iterable[str], value_of: Callable[[str], str]) -> int:
    level = YES
    for text in texts:
        level = min(level, evaluate(parse(text), value_of))
        if level == NO:
            break
    return level


def arch_of_dotconfig(data: bytes, values: Mapping[str, str]) -> str:
    """The architecture (a folder of ``arch/``) that a ``.config`` is for; "" if it does not say."""
    line = next((line for line in data[:400].split(b"\n") if line.startswith(b"# Linux/")), b"")
    named = line[8:].split(b" ")[0].decode("ascii", "replace")
    if named:
        return source_arch(named)
    for name, arch in _ARCH_OPTIONS.items():
        if LEVELS.get(values.get(name, "n"), NO) == YES:
            return arch
    return ""


def source_arch(name: str) -> str:
    """The folder of ``arch/`` for what make, uname or a user calls an architecture."""
    folder = _ARCH_NAMES.get(name)
    if folder:
        return folder
    if name.startswith("arm") and name != "arm64":
        return "arm"
    return name


_ARCH_NAMES = {
    "x86_64": "x86", "amd64": "x86", "i386": "x86", "i486": "x86", "i586": "x86", "i686": "x86", "aarch64": "arm64",
    "riscv64": "riscv", "riscv32": "riscv", "ppc64le": "powerpc", "ppc64": "powerpc", "ppc": "powerpc",
    "s390x": "s390", "sparc64": "sparc", "sparc32": "sparc", "parisc64": "parisc", "mips64": "mips",
    "loongarch64": "loongarch",
}  # fmt: skip
_ARCH_OPTIONS = {
    "X86": "x86", "ARM64": "arm64", "ARM": "arm", "RISCV": "riscv", "PPC": "powerpc", "S390": "s390", "MIPS": "mips",
    "LOONGARCH": "loongarch", "SPARC": "sparc", "PARISC": "parisc", "ALPHA": "alpha", "ARC": "arc", "CSKY": "csky",
    "HEXAGON": "hexagon", "IA64": "ia64", "M68K": "m68k", "MICROBLAZE": "microblaze", "NIOS2": "nios2",
    "OPENRISC": "openrisc", "SUPERH": "sh", "UML": "um", "XTENSA": "xtensa",
}  # fmt: skip
