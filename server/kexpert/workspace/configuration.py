"""The configuration in view of a tree: its ``.config``, else the setting ``configuration``, else the defaults.

``.config`` is looked at with every question, so that a change holds at once. What Kconfig makes of the rest is worked
out in the background; until then nothing is decided but what ``.config`` says.
"""

from __future__ import annotations

import platform
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kexpert.background.database import cache_directory
from kexpert.background.file_identity import FileIdentity
from kexpert.core.c.walk_steps import KnownFiles
from kexpert.core.kernel.configuration import Configuration, Relations, arch_of_dotconfig, source_arch
from kexpert.core.kernel.kconfig import parse_dotconfig
from kexpert.workspace.kconfig_table import Question, Table, compute, compute_apart, load

ALL = "all"
_NONE = "allnoconfig"
_NAME = re.compile(r"[\w.+-]{1,100}(?:/[\w.+-]{1,100})?")
_DEFAULT = re.compile(rb"^\s*KBUILD_DEFCONFIG\s*[:?]?=\s*([\w.+-]*defconfig)\s*$", re.M)
_MAX_FILE_BYTES = 4 << 20
_GENERATED = b"Automatically generated file"
#: Maximum seconds that the first question waits for a table; it is there that soon if it is in the cache.
_FIRST_WAIT_SECONDS = 0.2
_CLOSE_SECONDS = 3.0
_PREPARE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which configuration is wanted. ``question``: what Kconfig is asked; None where nothing is to be decided."""

    origin: str
    question: Question | None
    #: What ``.config`` itself says; ``is_whole`` if an option that it does not name is off.
    values: dict[str, str] | None = None
    is_whole: bool = False


class ConfigurationError(ValueError):
    """A setting that names no configuration of the tree; the message says what there is."""


class ConfigurationInView:
    """The configuration of one tree in a running server. Safe to ask from any thread."""

    def __init__(
        self,
        root: Path,
        directory: Path,
        setting: str = "",
        *,
        patience_seconds: float = 0.0,
        writes: bool = True,
        dotconfig: Path | None = None,
        on_message: Callable[[str], None] = lambda _: None,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``directory``: the tree's folder in the cache. ``patience_seconds``: how long a question waits at most for
        what Kconfig makes of it. ``writes``: False if the cache is only read. ``dotconfig``: another ``.config``
        than the tree's. ``on_message`` gets what a user must mend, ``on_change`` the words of a new configuration."""
        self._root = root
        self._dotconfig = dotconfig or root / ".config"
        self._directory = directory
        self._setting = setting
        self._patience_seconds = patience_seconds
        self._writes = writes
        self._on_message = on_message
        self._on_change = on_change
        self._lock = threading.Lock()
        self._stopping = False
        self._seen: tuple[FileIdentity | None, str] | None = None
        self._choice = Choice("", None)
        self._tables: dict[Question, Table | None] = {}
        self._working: dict[Question, threading.Event] = {}
        self._made: Configuration | None = None
        self._others: dict[str, Configuration] = {}
        self._known_files = KnownFiles()  # the same for all architectures

    def current(self) -> Configuration:
        """The configuration as far as it is known."""
        choice = self._looked_at()
        if choice.question is not None:
            is_urgent = choice.question not in self._tables and not choice.is_whole
            self._table(choice.question, _FIRST_WAIT_SECONDS if is_urgent else 0.0, not choice.is_whole)
        with self._lock:
            if self._made is None:
                self._made = self._configuration(choice)
            return self._made

    def configure(self, setting: str) -> None:
        """The setting has changed."""
        self._setting = setting

    def files_changed(self, paths: set[str] | None) -> None:
        """Files of the tree changed; None for any. What depends on them is worked out again."""
        with self._lock:
            self._known_files.forget(paths)
            if paths is None or any(_is_kconfig(path) for path in paths):
                self._tables = {each: table for each, table in self._tables.items() if each in self._working}
                self._seen = None
            if self._made is not None:
                for each in (self._made, *self._others.values()):
                    each.forget(paths)

    def describe(self) -> str:
        """The configuration in words, for a user."""
        return describe(self.current())

    def close(self) -> None:
        self._stopping = True
        for done in list(self._working.values()):
            done.wait(_CLOSE_SECONDS)

    # -- which -----------------------------------------------------------------------------------

    def _looked_at(self) -> Choice:
        seen = (FileIdentity.of(self._dotconfig), self._setting)
        if seen == self._seen:
            return self._choice
        try:
            choice = choose(self._root, self._setting, self._dotconfig)
        except ConfigurationError as problem:
            self._on_message(str(problem))
            choice = choose(self._root, "", self._dotconfig)
        with self._lock:
            is_new = choice != self._choice
            self._seen, self._choice = seen, choice
            if is_new:
                self._made = None
                self._others = {}
        if is_new:
            self._on_change(choice.origin)
        return choice

    def _configuration(self, choice: Choice) -> Configuration:
        question = choice.question
        if question is None:
            return Configuration(
                _host_arch(), origin=choice.origin, decides_arch=False, known_files=self._known_files
            )
        table = self._tables.get(question)
        if choice.is_whole:
            values: dict[str, str] | None = choice.values
        elif table is not None:
            values = {**table.values, **(choice.values or {})} if not table.complete else dict(table.values)
        else:
            values = choice.values
        return Configuration(
            question.arch,
            values,
            complete=choice.is_whole or (table is not None and table.complete),
            origin=choice.origin,
            relations=lambda: self._relations(question),
            of_other_arch=self._of_other_arch,
            known_files=self._known_files,
        )

    def _relations(self, question: Question) -> Relations:
        table = self._table(question, 0.0, True)
        return table.relations if table is not None else Relations()

    def _of_other_arch(self, arch: str) -> Configuration:
        """The defaults of an architecture that is not the one in view."""
        if not (self._root / "arch" / arch).is_dir():
            return Configuration(arch, decides_arch=False, known_files=self._known_files)
        choice = _of_arch(self._root, arch, arch, f"defaults of {arch}")
        if choice.question is not None:
            self._table(choice.question, 0.0, True)
        with self._lock:
            if arch not in self._others:
                self._others[arch] = self._configuration(choice)
            return self._others[arch]

    # -- what Kconfig makes of it ----------------------------------------------------------------

    def _table(self, question: Question, wait_seconds: float, is_needed: bool) -> Table | None:
        if is_needed:
            wait_seconds = max(wait_seconds, self._patience_seconds)
        with self._lock:
            if question in self._tables and question not in self._working:
                return self._tables[question]
            done = self._working.get(question)
            if done is None and not self._stopping:
                done = self._working[question] = threading.Event()
                self._tables.setdefault(question, None)
                thread = threading.Thread(target=self._work, args=(question, done), name="kexpert-kconfig", daemon=True)
                thread.start()
        if done is not None and wait_seconds > 0:
            done.wait(wait_seconds)
        return self._tables.get(question)

    def _work(self, question: Question, done: threading.Event) -> None:
        table = None
        try:
            table = load(self._root, self._directory, question)
            if table is None:
                table = self._compute(question)
        except (OSError, RuntimeError) as problem:
            self._on_message(f"{self._root}: the configuration is not known: {problem}")
        finally:
            with self._lock:
                self._tables[question] = table
                self._working.pop(question, None)
                self._made = None
                self._others = {}
            done.set()


    def _compute(self, question: Question) -> Table | None:
        def stop() -> bool:
            return self._stopping

        if not self._writes:
            return compute(self._root, None, question, stop=stop)
        if self._patience_seconds:
            return compute(self._root, self._directory, question, stop=stop)
        return compute_apart(self._root, self._directory, question, stop)


def prepare(root: Path, setting: str, on_message: Callable[[str], None]) -> None:
    """Work out the configuration in view of a tree now, so that the first question does not wait for it."""
    in_view = ConfigurationInView(
        root, cache_directory(root), setting, patience_seconds=_PREPARE_SECONDS, on_message=on_message
    )
    in_view.current()
    in_view.close()


def describe(configuration: Configuration) -> str:
    """A configuration in one line."""
    if not configuration.origin:
        return "none"
    state = "" if configuration.is_decided or configuration.origin == ALL else ", being read"
    return f"{configuration.origin} ({configuration.arch}{state})" if configuration.origin != ALL else "all variants"


def choose(root: Path, setting: str, dotconfig: Path) -> Choice:
    """Which configuration of a tree is wanted. Raises ConfigurationError for a setting that names none."""
    if setting == ALL:
        return Choice(ALL, None)
    named = _named(root, setting) if setting else None
    data = _read(dotconfig)
    if data is not None and (values := parse_dotconfig(data)):
        base = named.question if named and named.question else None
        arch = arch_of_dotconfig(data, values) or (base.arch if base else _host_arch())
        long_name = "i386" if arch == "x86" and values.get("X86_32") == "y" else arch
        if _GENERATED in data[:400]:
            return Choice(".config", _of_arch(root, arch, long_name, "").question, values, is_whole=True)
        return Choice(".config", Question(arch, long_name, tuple(sorted(values.items()))), values)
    return named or _of_arch(root, _host_arch(), _host_arch(), "defaults")


def _named(root: Path, setting: str) -> Choice:
    """``x86_64_defconfig``, ``arm64/defconfig``, ``arm64``, ``allnoconfig``, ``riscv/allnoconfig``."""
    if not _NAME.fullmatch(setting) or ".." in setting:
        raise ConfigurationError(
            f"configuration: {setting[:60]!r} is no name of a configuration; name a defconfig (x86_64_defconfig, "
            f"arm64/defconfig), an architecture (arm64) or {ALL!r}"
        )
    folder, _, name = setting.rpartition("/")
    folder = source_arch(folder) if folder else ""
    if not folder and (root / "arch" / source_arch(name)).is_dir():
        return _of_arch(root, source_arch(name), name, setting)
    if name == _NONE:
        arch = folder or _host_arch()
        return Choice(setting, Question(arch, arch, all_no=True))
    host = _host_arch()
    for arch in [folder] if folder else [host, *(each for each in _architectures(root) if each != host)]:
        for file in (name, f"{name}_defconfig"):
            data = _read(root / "arch" / arch / "configs" / file)
            if data is not None:
                return Choice(setting, _question(arch, file, data))
    raise ConfigurationError(
        f"configuration: {root} has no arch/{folder or '*'}/configs/{name}; name a defconfig that is there, an "
        f"architecture or {ALL!r}"
    )


def _of_arch(root: Path, arch: str, long_name: str, origin: str) -> Choice:
    """What ``make defconfig`` gives for an architecture; Kconfig's defaults alone where it names no defconfig."""
    makefile = _read(root / "arch" / arch / "Makefile") or b""
    names = [match.decode() for match in _DEFAULT.findall(makefile)]
    if long_name in ("i386", "sparc32"):
        names = [f"{long_name}_defconfig", *names]
    for name in dict.fromkeys([*names, "defconfig"]):
        data = _read(root / "arch" / arch / "configs" / name)
        if data is not None:
            return Choice(f"{origin}: {name}" if origin and origin != name else origin, _question(arch, name, data))
    return Choice(f"{origin}: Kconfig's", Question(arch, long_name))


def _question(arch: str, defconfig: str, data: bytes) -> Question:
    long_name = defconfig.removesuffix("_defconfig") if defconfig[:4] in ("i386", "spar") else arch
    return Question(arch, long_name, tuple(sorted(parse_dotconfig(data).items())))


def _architectures(root: Path) -> list[str]:
    try:
        return sorted(each.name for each in (root / "arch").iterdir() if each.is_dir())
    except OSError:
        return []


def _host_arch() -> str:
    return source_arch(platform.machine() or "x86")


def _read(path: Path) -> bytes | None:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None


def _is_kconfig(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith(("Kconfig", "Makefile", "Kbuild")) or name.endswith("defconfig")
