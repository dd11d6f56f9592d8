"""What a tree teaches of meaning: pairs of (what is asked, the code that answers), in words.

Of every function, record and macro: its stems, and what stands in the tree that could have been a
question for it: its kernel-doc, the plain comment above it, the comments inside it, its name, the
comment above a call of it, a paragraph of Documentation/ that names it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kexpert.core.c.extract import extract
from kexpert.core.c.lex import blank_comments
from kexpert.core.docs.kerneldoc import comment_above, comment_text, parse_kerneldoc
from kexpert.core.retrieval.chunk import ChunkKind, chunks, is_documentation
from kexpert.core.retrieval.words import split_words, stem
from kexpert.core.symbols import Kind
from kexpert.core.text import decode
from kexpert_trainer.data.tree import files

Ints = NDArray[np.int32]

#: What a chunk is made of, then what may be asked for it.
PARTS = ("name", "path", "body")
QUESTIONS = ("brief", "rest", "comment", "inner", "call", "section")
_FIELDS = PARTS + QUESTIONS
_KINDS = (ChunkKind.FUNCTION, ChunkKind.STRUCT, ChunkKind.MACRO)
_TEXT = 3_000  # characters of one comment
_MENTIONS = 3  # comments and paragraphs that are kept of one function
_FILES = 200  # of a batch

_COMMENT = re.compile(rb"/\*(.*?)\*/|//([^\n]*)", re.DOTALL)
#: A comment on lines of its own, and the call in the statement below it.
_TOLD = re.compile(
    rb"/\*([^*]{12,400}(?:\*(?!/)[^*]{0,400}){0,8})\*/\s*\n[\t ]*(?:if \(!?)?(?:[\w.>-]+ = )?!?([a-z_]\w{3,})\("
)
_NAMED = re.compile(r"\b([a-z_][a-z0-9_]{3,})\(\)")


@dataclass(slots=True)
class Ragged:
    """Rows of different lengths in one array."""

    values: Ints
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Ints:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Ints]:
        """(which of ``rows``, value) for all their values."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.offsets[rows] - ends + lengths, lengths)
        return np.repeat(np.arange(len(rows)), lengths), self.values[places]

    @staticmethod
    def of(rows: Sequence[Sequence[int]]) -> Ragged:
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return Ragged(np.array([value for row in rows for value in row], np.int32), offsets)

    @staticmethod
    def joined(parts: Sequence[Ragged]) -> Ragged:
        sizes = np.concatenate([part.lengths for part in parts]) if parts else np.zeros(0, np.int64)
        values = np.concatenate([part.values for part in parts]) if parts else np.zeros(0, np.int32)
        return Ragged(values, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


@dataclass(slots=True)
class Corpus:
    """A tree in word numbers. Row n of every field belongs to chunk n; ``words[i]`` is the word i."""

    words: list[str]
    paths: list[str]
    names: list[str]
    functions: NDArray[np.bool_]
    exported: NDArray[np.bool_]
    fields: dict[str, Ragged]
    spellings: list[str]  # words in any form, the widespread ones first


@dataclass(slots=True)
class _Record:
    path: str
    name: str
    function: bool
    fields: dict[str, list[str]]


@dataclass(slots=True)
class _Batch:
    records: list[_Record]
    told: list[tuple[str, str, list[str]]]  # (path, function, words); no path: a text under Documentation/
    exported: set[str]
    spelled: set[str]  # words before ``stem``


def sources(root: Path) -> list[str]:
    """C files and headers to learn from, and the texts under Documentation/, in a fixed order."""
    return sorted(path for path in files(root) if _teaches(path) and not _is_hidden(path))


def _teaches(path: str) -> bool:
    return path.endswith((".c", ".h")) or is_documentation(path)


def _is_hidden(path: str) -> bool:
    """Whether a folder on the way is (of git, say)."""
    return "/." in "/" + path.rpartition("/")[0]


def read_tree(
    root: Path, jobs: int, shown: Callable[[int, int], None], wanted: Callable[[str], bool] = lambda _: True
) -> Corpus:
    """Read all that a tree teaches; ``shown(done, total)`` counts files. Raises OSError, ValueError."""
    paths = [path for path in sources(root) if wanted(path)]
    if not paths:
        raise ValueError(f"{root}: no C files; is this a kernel tree?")
    batches = [paths[at : at + _FILES] for at in range(0, len(paths), _FILES)]
    gathered = _Gathered()
    done = 0
    for batch, found in zip(batches, _mapped(root, batches, jobs), strict=True):
        gathered.add(found)
        done += len(batch)
        shown(done, len(paths))
    return gathered.corpus()


def _mapped(root: Path, batches: list[list[str]], jobs: int) -> Iterator[_Batch]:
    if jobs <= 1 or len(batches) == 1:
        yield from (_read_batch(str(root), batch) for batch in batches)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(_read_batch, [str(root)] * len(batches), batches)


def _read_batch(root: str, paths: list[str]) -> _Batch:
    reader = _Reader()
    for path in paths:
        try:
            data = Path(root, path).read_bytes()
        except OSError:
            continue  # a link to nowhere
        if path.startswith("Documentation/"):
            reader.text(data)
        else:
            reader.code(path, data)
    return reader.batch


class _Reader:
    """Files in, their words out."""

    def __init__(self) -> None:
        self.batch = _Batch([], [], set(), set())

    def text(self, data: bytes) -> None:
        for paragraph in re.split(r"\n[ \t]*\n", decode(data)):
            names = set(_NAMED.findall(paragraph))
            if 1 <= len(names) <= 2:  # about them, not a list of everything
                for name in sorted(names):
                    self.batch.told.append(("", name, self._stems(paragraph[:_TEXT].replace(name, " "))))

    def code(self, path: str, data: bytes) -> None:
        facts = extract(path, data)
        self.batch.exported.update(symbol.name for symbol in facts.symbols if symbol.kind is Kind.EXPORT)
        where = _unique(self._stems(path.rpartition(".")[0]))
        for chunk in chunks(path, blank_comments(data, strings=False), facts):
            if chunk.kind in _KINDS:
                fields = {"name": self._stems(chunk.name), "path": where, "body": _unique(self._stems(chunk.body))}
                fields |= {part: self._stems(text[:_TEXT]) for part, text in _said(data, chunk.start, chunk.end)}
                self.batch.records.append(_Record(path, chunk.name, chunk.kind is ChunkKind.FUNCTION, fields))
        for match in _TOLD.finditer(data):
            self.batch.told.append((path, decode(match[2]), self._stems(decode(match[1]))))

    def _stems(self, text: str) -> list[str]:
        words = split_words(text)
        self.batch.spelled.update(words)
        return [stem(word) for word in words]


def _said(data: bytes, start: int, end: int) -> Iterator[tuple[str, str]]:
    span = comment_above(data, start)
    if span:
        doc = parse_kerneldoc(data[span[0] : span[1]])
        if doc is None:
            yield "comment", comment_text(data[span[0] : span[1]])
        else:
            yield "brief", doc.summary
            params = (f"{param.name} {param.text}" for param in doc.params)
            yield "rest", "\n".join([doc.description, *params, doc.context, doc.returns])
    inner = _COMMENT.findall(data, start, min(end, start + 5 * _TEXT))
    if inner:
        yield "inner", decode(b" ".join(one or other for one, other in inner))


def _unique(words: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(words))


class _Gathered:
    """Batches in, one corpus out."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        self.paths: list[str] = []
        self.names: list[str] = []
        self.functions: list[bool] = []
        self.parts: dict[str, list[Ragged]] = {field: [] for field in _FIELDS}
        self.told: list[tuple[str, str, list[int]]] = []
        self.exported: set[str] = set()
        self.spelled: Counter[str] = Counter()

    def add(self, batch: _Batch) -> None:
        intern = self._intern
        for field in (*PARTS, "brief", "rest", "comment", "inner"):
            self.parts[field].append(Ragged.of([intern(record.fields.get(field, [])) for record in batch.records]))
        self.paths += [record.path for record in batch.records]
        self.names += [record.name for record in batch.records]
        self.functions += [record.function for record in batch.records]
        self.told += [(path, callee, intern(words)) for path, callee, words in batch.told]
        self.exported |= batch.exported
        self.spelled.update(sorted(batch.spelled))

    def _intern(self, words: Sequence[str]) -> list[int]:
        number = self.number
        return [number.setdefault(word, len(number)) for word in words]

    def corpus(self) -> Corpus:
        fields = {field: Ragged.joined(parts) for field, parts in self.parts.items() if parts}
        fields |= self._mentions()
        exported = np.array([name in self.exported for name in self.names], np.bool_)
        spellings = [word for word, _ in self.spelled.most_common()]
        functions = np.array(self.functions, np.bool_)
        return Corpus(list(self.number), self.paths, self.names, functions, exported, fields, spellings)

    def _mentions(self) -> dict[str, Ragged]:
        """What stands above calls of each function and in paragraphs that name it."""
        place: dict[str, list[int]] = defaultdict(list)
        for row, (name, function) in enumerate(zip(self.names, self.functions, strict=True)):
            if function:
                place[name].append(row)
        rows: dict[str, list[list[int]]] = {kind: [[] for _ in self.names] for kind in ("call", "section")}
        counted: dict[tuple[str, int], int] = defaultdict(int)
        for path, name, words in self.told:
            kind = "call" if path else "section"
            found = place.get(name, [])
            near = [row for row in found if self.paths[row] == path] or (found if len(found) == 1 else [])
            for row in near[:1]:
                if counted[kind, row] < _MENTIONS and len(words) >= 3:
                    counted[kind, row] += 1
                    rows[kind][row] += words
        return {kind: Ragged.of(each) for kind, each in rows.items()}


def digest(path: str, salt: str) -> float:
    """A number from 0 to 1 that a path always has: for splits that no one chose."""
    return int(hashlib.sha256(f"{salt}:{path}".encode()).hexdigest()[:8], 16) / 2**32
