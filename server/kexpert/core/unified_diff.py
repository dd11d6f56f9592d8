"""Parser of unified diffs: of git, of mails with patches, of ``diff -u``. Any bytes parse to something."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_DIFF_BYTES = 32 << 20
MAX_FILES = 5000
_MAX_NAME_BYTES = 4096
_MAX_HUNK_LINES = 1_000_000
_MAX_NOTES = 50

_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)")
_GIT = re.compile(rb"diff --git (.+)")
_ESCAPE = re.compile(rb'\\(?:([0-7]{3})|(["\\abfnrtv]))')
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_PREFIXES = ("a/", "b/", "i/", "w/", "c/", "o/")
_DEV_NULL = b"/dev/null"


@dataclass(frozen=True, slots=True)
class Hunk:
    """A changed stretch. Lines count from 0, as the diff has them. ``lines`` are (tag, text without line end), where
    the tag is ``" "``, ``"+"`` or ``"-"``."""

    old_start: int
    new_start: int
    heading: str  # the text after the second ``@@``: a function, if git knew one
    lines: tuple[tuple[str, bytes], ...]

    def side(self, tag: str) -> list[bytes]:
        """The lines before (``"-"``) or after (``"+"``) the change."""
        return [text for each, text in self.lines if each in (" ", tag)]


@dataclass(slots=True)
class FilePatch:
    """The changes of one file. A name is without ``a/`` and ``b/``, otherwise as the diff has it; None for no file."""

    old_name: str | None
    new_name: str | None
    hunks: list[Hunk] = field(default_factory=list)
    is_binary: bool = False
    is_rename: bool = False


@dataclass(slots=True)
class UnifiedDiff:
    """``notes`` say what was left out, a line each."""

    files: list[FilePatch] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if len(self.notes) < _MAX_NOTES:
            self.notes.append(text)


def parse_unified_diff(data: bytes) -> UnifiedDiff:
    """Parse a diff; text around it is passed over."""
    found = UnifiedDiff()
    if len(data) > MAX_DIFF_BYTES:
        found.note(f"only the first {MAX_DIFF_BYTES >> 20} MiB of the diff are read")
        data = data[:MAX_DIFF_BYTES]
    _Reader(data.split(b"\n"), found).read()
    return found


class _Reader:
    def __init__(self, lines: list[bytes], found: UnifiedDiff) -> None:
        self.lines, self.found, self.at = lines, found, 0
        self.file: FilePatch | None = None
        self._awaits_names = False  # after a git header

    def read(self) -> None:
        lines = self.lines
        while self.at < len(lines):
            line = lines[self.at].rstrip(b"\r")
            if line.startswith(b"@@@"):
                self.found.note("a combined diff of a merge is passed over: make one against one parent")
                self.file = None
            elif match := _HUNK.match(line):
                if self.file is None:
                    self.found.note(f"a hunk without a file is passed over, line {self.at + 1} of the diff")
                self._hunk(match)
                continue
            elif git := _GIT.match(line):
                self._begin(*_without_prefixes(*_git_names(git[1])))
                self._awaits_names = True
            elif line.startswith(b"--- ") and self._next_line().startswith(b"+++ "):
                self._names(line[4:], self._next_line().rstrip(b"\r")[4:])
                self.at += 1
            elif self.file is not None:
                self._extended_header(line, self.file)
            if len(self.found.files) > MAX_FILES:
                del self.found.files[MAX_FILES:]
                self.found.note(f"only the first {MAX_FILES} files of the diff are read")
                return
            self.at += 1

    def _next_line(self) -> bytes:
        return self.lines[self.at + 1] if self.at + 1 < len(self.lines) else b""

    def _begin(self, old: str | None, new: str | None) -> None:
        self.file = FilePatch(old, new)
        self.found.files.append(self.file)

    def _names(self, old: bytes, new: bytes) -> None:
        """The ``---`` and ``+++`` lines: they name the file of a git header above, or begin a file."""
        names = _without_prefixes(_name(old), _name(new))
        if self.file is None or not self._awaits_names:
            self._begin(*names)
        else:
            self.file.old_name, self.file.new_name = names
        self._awaits_names = False

    def _extended_header(self, line: bytes, file: FilePatch) -> None:
        if line.startswith((b"rename from ", b"copy from ")):
            file.old_name, file.is_rename = _name(line.split(b" ", 2)[2]), True
        elif line.startswith((b"rename to ", b"copy to ")):
            file.new_name, file.is_rename = _name(line.split(b" ", 2)[2]), True
        elif line.startswith(b"new file mode"):
            file.old_name = None
        elif line.startswith(b"deleted file mode"):
            file.new_name = None
        elif line.startswith((b"Binary files ", b"GIT binary patch")):
            file.is_binary = True

    def _hunk(self, header: re.Match[bytes]) -> None:
        """Read a hunk; the current line becomes the first after it."""
        old_left = int(header[2]) if header[2] is not None else 1
        new_left = int(header[4]) if header[4] is not None else 1
        lines: list[tuple[str, bytes]] = []
        self.at += 1
        while (old_left > 0 or new_left > 0) and self.at < len(self.lines) and len(lines) < _MAX_HUNK_LINES:
            line = self.lines[self.at]
            tag = line[:1]
            if tag == b"\\":
                self.at += 1
                continue
            if tag in (b"", b"\r"):  # a mail program took the blank of an empty line
                tag, line = b" ", b" " + line
            if tag not in (b" ", b"+", b"-"):
                break
            old_left -= tag != b"+"
            new_left -= tag != b"-"
            if old_left < 0 or new_left < 0:
                break
            lines.append((tag.decode("ascii"), line[1:]))
            self.at += 1
        if old_left > 0 or new_left > 0:
            self.found.note(f"a hunk is shorter than it says, line {self.at + 1} of the diff")
        if self.file is not None and lines:
            heading = header[5].decode("utf-8", "replace").strip()
            starts = max(int(header[1]) - 1, 0), max(int(header[3]) - 1, 0)
            self.file.hunks.append(Hunk(*starts, heading, tuple(lines)))


def _git_names(text: bytes) -> tuple[str | None, str | None]:
    """The two names of a ``diff --git`` line; they may hold blanks, but are equal where no other line names them."""
    text = text.rstrip()
    if text.startswith(b'"'):
        first, _, rest = text[1:].partition(b'" ')
        return _name(b'"' + first + b'"'), _name(rest)
    half = len(text) // 2
    left, blank, right = text[:half], text[half : half + 1], text[half + 1 :]
    if len(text) % 2 and blank == b" " and left.partition(b"/")[2] == right.partition(b"/")[2]:
        return _name(left), _name(right)
    old, _, new = text.partition(b" ")
    return _name(old), _name(new)


def _without_prefixes(old: str | None, new: str | None) -> tuple[str | None, str | None]:
    """Two names without the first parts by which a diff tells its sides: a/ and b/, or git's i/, w/, c/ and o/."""
    names = [name for name in (old, new) if name is not None]
    if not names or not all(name[:2] in _PREFIXES for name in names):
        return old, new
    return (old[2:] if old else None), (new[2:] if new else None)


def _name(text: bytes) -> str | None:
    """A file's name without its date and quotes; None for ``/dev/null``."""
    text = text[:_MAX_NAME_BYTES]
    if text.startswith(b'"'):
        quoted = text[1:].rpartition(b'"')[0]
        text = _ESCAPE.sub(lambda m: bytes([int(m[1], 8) & 0xFF]) if m[1] else _ESCAPED.get(m[2], m[2]), quoted)
    else:
        text = text.partition(b"\t")[0].rstrip()
    return None if text == _DEV_NULL else text.decode("utf-8", "surrogateescape")
