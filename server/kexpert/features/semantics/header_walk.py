"""The walk through a file and the headers that it includes, for the configuration in view."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from kexpert.core.c.decided_steps import DecidedSteps, Holds, decide
from kexpert.core.c.directives import directives_of
from kexpert.core.c.source import Source
from kexpert.core.c.translation_unit import MacroTable, TranslationUnit, translation_unit
from kexpert.core.c.walk_steps import FileSteps, KnownFiles, steps_of
from kexpert.core.kernel.configuration import Configuration
from kexpert.core.kernel.kbuild import Build, build_of
from kexpert.features.semantics.include_paths import include_candidates, makefile_folders
from kexpert.view import View

#: Headers that the build includes before everything else.
_FIRST = ("include/linux/compiler-version.h", "include/linux/kconfig.h", "include/linux/compiler_types.h")
_GCC = {"__GNUC__": "12", "__GNUC_MINOR__": "2", "__GNUC_PATCHLEVEL__": "0", "__STDC__": "1", "__CHAR_BIT__": "8",
        "__linux__": "1", "__OPTIMIZE__": "1", "__STDC_VERSION__": "201112"}  # fmt: skip
_LITTLE = {"__BYTE_ORDER__": "1234", "__ORDER_LITTLE_ENDIAN__": "1234", "__ORDER_BIG_ENDIAN__": "4321"}
_LONG64 = {"__LP64__": "1", "__SIZEOF_LONG__": "8", "__SIZEOF_POINTER__": "8", "__SIZEOF_INT128__": "16"}
#: What gcc defines for an architecture's usual kernel.
_PREDEFINED = {
    "x86": {"__x86_64__": "1", "__x86_64": "1", **_LITTLE, **_LONG64},
    "arm64": {"__aarch64__": "1", "__AARCH64EL__": "1", **_LITTLE, **_LONG64},
    "riscv": {"__riscv": "1", "__riscv_xlen": "64", "__riscv_atomic": "1", **_LITTLE, **_LONG64},
}
_MAX_KNOWN_FILES = 6000
_MAX_DECIDED_FILES = 9000


def unit_of(view: View, source: Source, configuration: Configuration) -> TranslationUnit:
    """The walk through a file and its headers; kept with the configuration until an include or condition changes."""
    key = (source.path, _directives_hash(source), view.root)
    found: TranslationUnit | None = configuration.kept.get(key)
    if found is None:
        is_module = _is_module(view, source.path, configuration)
        predefined = {**_GCC, **_PREDEFINED.get(configuration.arch, {})}
        macros = MacroTable(configuration.option, predefined, is_module)
        headers = _Headers(view, configuration.known_files)
        find = _Finder(view, headers.exists, source.path, configuration.arch)
        decide = partial(_decided, configuration, find)
        main = file_steps(source.data)
        found = translation_unit(source.path, main, headers.read, find, macros, _FIRST, decide)
        configuration.keep(key, found)
    return found


def _decided(configuration: Configuration, find: _Finder, path: str, file: FileSteps, holds: Holds) -> DecidedSteps:
    """The steps of a header under the values of the options that it tests, worked out once."""
    known = configuration.known_files.decided
    key = (configuration.arch, path, tuple(map(configuration.option, file.options)))
    found = known.get(key)
    if found is None or found.file is not file:
        if len(known) >= _MAX_DECIDED_FILES:
            known.clear()
        found = known[key] = decide(file, holds, partial(find.plainly, path))
    return found


def build_in(view: View, path: str, configuration: Configuration) -> Build:
    """How a file is built, as its Makefiles say; kept with the configuration."""
    found: Build | None = configuration.objects.get(path)
    if found is None:
        found = configuration.objects[path] = build_of(path, lambda name: _data(view, name))
    return found


def _data(view: View, path: str) -> bytes | None:
    source = view.source(path)
    return source.data if source else None


@lru_cache(maxsize=16)
def _directives_hash(source: Source) -> int:
    """The same for two texts of a file with the same directives in the same order."""
    return hash(tuple(each[:1] + each[2:] for each in directives_of(source.data)))


def _is_module(view: View, path: str, configuration: Configuration) -> bool | None:
    if not path.endswith(".c"):
        return None
    conditions = build_in(view, path, configuration).conditions
    values = [configuration.option(each.removeprefix("CONFIG_")) for each in conditions if each.startswith("CONFIG_")]
    return "m" in values if None not in values else None


def file_steps(data: bytes) -> FileSteps:
    """A file's text as the steps of a walk."""
    return steps_of(len(data), directives_of(data))


class _Headers:
    """Files that are included. What is known of a file is used again unless it is open in an editor."""

    def __init__(self, view: View, known: KnownFiles) -> None:
        self._view = view
        self._steps = known.steps
        self._exists = known.exists

    def exists(self, path: str) -> bool:
        found = self._exists.get(path)
        if found is None:
            found = self._exists[path] = self._view.exists(path)
        return found

    def read(self, path: str) -> FileSteps | None:
        is_open = self._view.is_open(path)
        found = None if is_open else self._steps.get(path)
        if found is None:
            data = self._view.data(path)
            found = None if data is None else file_steps(data)
            if found is not None and not is_open:
                if len(self._steps) >= _MAX_KNOWN_FILES:
                    self._steps.clear()
                self._steps[path] = found
        return found


class _Finder:
    """Finds included files, each name once."""

    def __init__(self, view: View, exists: Callable[[str], bool], root_file: str, arch: str) -> None:
        self._view = view
        self._exists = exists
        self._arch = arch
        self._root_file = root_file
        self._folders: list[str] | None = None
        self._found: dict[tuple[str, str], str | None] = {}

    def __call__(self, path: str, name: str, quoted: bool) -> str | None:
        key = (path.rpartition("/")[0] if quoted else "", name)
        if key not in self._found:
            self._found[key] = self._find(path, name, quoted)
        return self._found[key]

    def plainly(self, path: str, name: str, quoted: bool) -> str | None:
        """The file that every walk for this architecture finds; None if only some do."""
        if name.startswith(("generated/", "/")):
            return None
        exists = self._exists
        if quoted:
            beside = f"{path.rpartition('/')[0]}/{name}"
            if "/../" not in beside and exists(beside):
                return beside
        for folder in (f"arch/{self._arch}/include", "include", f"arch/{self._arch}/include/uapi", "include/uapi"):
            if exists(f"{folder}/{name}"):
                return f"{folder}/{name}"
        return None

    def _find(self, path: str, name: str, quoted: bool) -> str | None:
        if name.startswith(("generated/", "/")):
            return None
        found = self.plainly(path, name, quoted)
        if found is not None:
            return found
        exists = self._exists
        for candidate in include_candidates(path, name, quoted, self._arch):
            if exists(candidate):
                return candidate
        if self._folders is None:
            self._folders = makefile_folders(self._view, self._root_file)
        return next((found for folder in self._folders if exists(found := f"{folder}/{name}")), None)
