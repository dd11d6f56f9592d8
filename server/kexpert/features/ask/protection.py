"""Which lock protects a member or a variable, in the words of comments: beside it, and in the files that use it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from kexpert.core.c.lex import comment_spans
from kexpert.core.docs.kerneldoc import comment_text
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.ask.fact_sources import FoundSource
from kexpert.features.ask.question import MEMBER_OF, Topic
from kexpert.features.semantics.definition_ranking import NOT_KERNEL
from kexpert.prompt.sources import plain
from kexpert.view import View

_MAX_FILES = 16
_MAX_FILE_BYTES = 1 << 19
_MAX_FOUND = 4
_MAX_NAMES = 3
_ACCESS = re.compile(r"\b([a-z_]\w*)(?:->|\.)([a-z_]\w*)\b")
_WORD = re.compile(r"(?<![\w/])[a-z_]\w+(?![\w/(])")
_MAX_CHARS = 240
_OF = (Kind.MEMBER, Kind.VARIABLE)
_PROTECTS = re.compile(r"\b(?:protect(?:s|ed|ing)?|guard(?:s|ed)|seriali[sz]e[sd]?)\b", re.I)
_CORE = ("fs/", "mm/", "kernel/", "net/core/", "block/", "lib/", "include/linux/")
#: ``spinlock_t lock;``
_DECLARES = re.compile(rb"\s*[A-Za-z_][\w\s*]*?\b(\w+)(?:\[[^\]]*\])?(?:\s+__\w+)*\s*;")
#: The name of a lock. Where a statement has none, the lock is what the comment is written beside.
_LOCK = re.compile(r"\w*(?:lock|mutex|sem)\b|\brcu\w*", re.I)
#: Between paragraphs, members of kernel-doc, and lists of what each lock protects.
_UNIT = re.compile(r"\n[\s*]*\n|\n(?=\s*@\w|[^\n]*\bprotects?:\s*\n)")


def protected_names(view: View, text: str) -> list[tuple[str, str]]:
    """(name, struct or "") of the members and variables that a question names."""
    found = [(match[2], match[1]) for match in _ACCESS.finditer(text)]
    found += [(match[1], match[2]) for match in MEMBER_OF.finditer(text)]
    found = [(name, struct if view.lookup(struct, (Kind.STRUCT,), 1) else "") for name, struct in found]
    if not found:
        found = [(word, "") for word in _WORD.findall(text) if "_" in word]
    return list(dict.fromkeys(found))[:_MAX_NAMES]


def protection_sources(view: View, name: str, struct: str) -> Iterator[FoundSource]:
    """The statements of comments that name ``name`` and say what protects it. ``struct``: whose member it is; "" if the
    question does not say."""
    everywhere = [row for row in view.lookup(name, _OF, 50) if not row.path.startswith(NOT_KERNEL)]
    symbols = [row for row in everywhere if not struct or row.scope.partition(".")[0] == struct]
    owners = {row.scope.partition(".")[0] for row in symbols}
    is_unique = len({row.scope for row in everywhere}) == 1
    own = {row.path for row in symbols}
    found = 0
    for path in _files(view, name, symbols):
        source = view.source(path)
        if source is None or len(source.data) > _MAX_FILE_BYTES:
            continue
        known = _names(name, owners, is_unique, path in own)
        for text, offset in _statements(source.data, name, known):
            yield FoundSource(name, Topic.PROTECTION, plain(text), path, source.lines.line_of(offset))
            found += 1
            if found == _MAX_FOUND:
                return


def _names(name: str, owners: Collection[str], is_unique: bool, is_own: bool) -> re.Pattern[str]:
    """What names it in a comment: outside the file that defines it, the name alone may be another's."""
    if is_own:
        return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    before = r"\w" if is_unique else f"(?<!\\w)(?:{'|'.join(map(re.escape, owners))})"
    return re.compile(rf"{before}(?:->|\.){re.escape(name)}(?!\w)")


def _files(view: View, name: str, symbols: list[Symbol]) -> list[str]:
    """Those that define it, then those nearest to them that mention it."""
    own = sorted({symbol.path for symbol in symbols}, key=lambda path: (not path.startswith(_CORE), path))[:_MAX_FILES]
    if not own:
        return []
    subject = own[0].rpartition("/")[2].rpartition(".")[0]
    mentioning = [path for path in view.files_mentioning(name) if path.endswith((".c", ".h")) and path not in own]
    folder = own[0].rpartition("/")[0] + "/"
    mentioning.sort(key=lambda path: (
        not path.startswith(folder), subject not in path, not path.startswith(_CORE), path.count("/"), path
    ))  # fmt: skip
    return own + mentioning[: _MAX_FILES - min(len(own), _MAX_FILES)]


def _statements(data: bytes, name: str, known: re.Pattern[str]) -> Iterator[tuple[str, int]]:
    """(statement, offset of its comment) of those comments that name it and say "protects"."""
    encoded = name.encode()
    for start, end in comment_spans(data):
        declared = _declared(data, start, end) if encoded in data[max(0, start - 200) : end + 200] else ""
        if declared != name and encoded not in data[start:end]:
            continue
        for statement in _UNIT.split(comment_text(data[start:end])):
            if _PROTECTS.search(statement) and (declared == name or known.search(statement)):
                text = _shortened(" ".join(statement.split()).rstrip(" ."), known)
                is_named = not declared or (declared != name and _LOCK.search(text))
                yield text if is_named else f"{declared}: {text}", start
                break


def _declared(data: bytes, start: int, end: int) -> str:
    """The name declared on the line of a comment, or else on the line below it."""
    line = data[data.rfind(b"\n", 0, start) + 1 : start]
    if match := _DECLARES.fullmatch(line.rstrip()):
        return match[1].decode()
    blank, newline, below = data[end : end + 200].partition(b"\n")
    match = _DECLARES.fullmatch(below.partition(b";")[0] + b";")
    is_above = newline and not blank.strip() and not line.strip() and not below.startswith((b"\n", b"\r"))
    return match[1].decode() if match and is_above else ""


def _shortened(text: str, word: re.Pattern[str]) -> str:
    """A long statement cut to the sentences that matter."""
    if len(text) <= _MAX_CHARS:
        return text
    kept = " ".join(each for each in re.split(r"(?<=[.!?])\s+", text) if _PROTECTS.search(each) or word.search(each))
    return kept if len(kept) <= _MAX_CHARS else kept[: _MAX_CHARS - 1].rsplit(None, 1)[0] + "…"
