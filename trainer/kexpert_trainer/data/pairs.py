"""Pairs of (question, code) that a kernel tree contains, as word numbers: what the embedder and the ranker learn from.

The code of a pair is a function, record or macro. Its questions are texts that describe it: the kernel-doc, the plain
comment above it, the comments inside it, its name, the comment above a call of it, and a paragraph of Documentation/
that names it.
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
from kexpert.core.retrieval.chunk import ChunkKind, chunks, is_documentation, is_generated
from kexpert.core.retrieval.words import split_words, stem
from kexpert.core.symbols import Kind
from kexpert.core.text import decode
from kexpert_trainer.data.tree import files
from kexpert_trainer.errors import UserError

Ints = NDArray[np.int32]

#: Fields of a chunk's own text, then fields that serve as questions for it.
PARTS = ("name", "path", "body")
QUESTIONS = ("brief", "rest", "comment", "inner", "call", "section")
_FIELDS = PARTS + QUESTIONS
_KINDS = (ChunkKind.FUNCTION, ChunkKind.STRUCT, ChunkKind.MACRO)
_MAX_TEXT = 3_000  # characters of one comment
_MAX_MENTIONS = 3  # comments at calls, and paragraphs, of one function
_BATCH_FILES = 200

_COMMENT = re.compile(rb"/\*(.*?)\*/|//([^\n]*)", re.DOTALL)
#: A comment on lines of its own, and the call in the statement below it.
_CALL_COMMENT = re.compile(
    rb"/\*([^*]{12,400}(?:\*(?!/)[^*]{0,400}){0,8})\*/\s*\n[\t ]*(?:if \(!?)?(?:[\w.>-]+ = )?!?([a-z_]\w{3,})\("
)
_FUNCTION_NAME = re.compile(r"\b([a-z_][a-z0-9_]{3,})\(\)")


@dataclass(slots=True)
class Ragged:
    """Rows of different lengths in one array: row n is ``values[offsets[n]:offsets[n + 1]]``."""

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
        """All values of the given rows, each with the position of its row in ``rows``: (owner, value)."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        ends = np.cumsum(lengths)
        indices = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.offsets[rows] - ends + lengths, lengths)
        return np.repeat(np.arange(len(rows)), lengths), self.values[indices]

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
class PairCorpus:
    """A tree as word numbers. Row n of every field belongs to chunk n; ``words[i]`` is the stem with number i."""

    words: list[str]
    paths: list[str]
    names: list[str]
    functions: NDArray[np.bool_]
    exported: NDArray[np.bool_]
    fields: dict[str, Ragged]
    spellings: list[str]  # words before stemming, in order of decreasing frequency


@dataclass(slots=True)
class _ChunkWords:
    path: str
    name: str
    function: bool
    fields: dict[str, list[str]]


@dataclass(slots=True)
class _Batch:
    """Words that a worker process read from some files."""

    chunks: list[_ChunkWords]
    mentions: list[tuple[str, str, list[str]]]  # (path, function, words); path "": a text under Documentation/
    exported: set[str]
    spellings: set[str]  # words before stemming


def sources(root: Path) -> list[str]:
    """C files, headers and the texts under Documentation/, in a fixed order."""
    return sorted(path for path in files(root) if _has_pairs(path) and not _is_hidden(path))


def _has_pairs(path: str) -> bool:
    return path.endswith((".c", ".h")) or is_documentation(path)


def _is_hidden(path: str) -> bool:
    """True if a folder of the path is hidden, as .git is."""
    return "/." in "/" + path.rpartition("/")[0]


def read_tree(
    root: Path, jobs: int, report: Callable[[int, int], None], wanted: Callable[[str], bool] = lambda _: True
) -> PairCorpus:
    """Read a tree with ``jobs`` processes; ``report(done, total)`` counts files. Raises OSError, UserError."""
    paths = [path for path in sources(root) if wanted(path)]
    if not paths:
        raise UserError(f"{root}: no C files; is this a kernel tree?")
    batches = [paths[at : at + _BATCH_FILES] for at in range(0, len(paths), _BATCH_FILES)]
    builder = _CorpusBuilder()
    done = 0
    for batch, found in zip(batches, _mapped(root, batches, jobs), strict=True):
        builder.add(found)
        done += len(batch)
        report(done, len(paths))
    return builder.corpus()


def _mapped(root: Path, batches: list[list[str]], jobs: int) -> Iterator[_Batch]:
    if jobs <= 1 or len(batches) == 1:
        yield from (_read_batch(str(root), batch) for batch in batches)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(_read_batch, [str(root)] * len(batches), batches)


def _read_batch(root: str, paths: list[str]) -> _Batch:
    extractor = _PairExtractor()
    for path in paths:
        try:
            data = Path(root, path).read_bytes()
        except OSError:
            continue  # a dangling link
        if path.startswith("Documentation/"):
            extractor.add_text(data)
        else:
            extractor.add_code(path, data)
    return extractor.batch


class _PairExtractor:
    """Collects the words of files in ``batch``."""

    def __init__(self) -> None:
        self.batch = _Batch([], [], set(), set())

    def add_text(self, data: bytes) -> None:
        for paragraph in re.split(r"\n[ \t]*\n", decode(data)):
            names = set(_FUNCTION_NAME.findall(paragraph))
            if 1 <= len(names) <= 2:  # more names are a list, not a description
                for name in sorted(names):
                    self.batch.mentions.append(("", name, self._stems(paragraph[:_MAX_TEXT].replace(name, " "))))

    def add_code(self, path: str, data: bytes) -> None:
        if is_generated(path):
            return  # no chunks, and a third of the bytes of a tree
        facts = extract(path, data)
        self.batch.exported.update(symbol.name for symbol in facts.symbols if symbol.kind is Kind.EXPORT)
        path_words = _unique(self._stems(path.rpartition(".")[0]))
        for chunk in chunks(path, blank_comments(data, strings=False), facts):
            if chunk.kind in _KINDS:
                fields = {"name": self._stems(chunk.name), "path": path_words, "body": _unique(self._stems(chunk.body))}
                comments = _comments(data, chunk.start, chunk.end)
                fields |= {part: self._stems(text[:_MAX_TEXT]) for part, text in comments}
                self.batch.chunks.append(_ChunkWords(path, chunk.name, chunk.kind is ChunkKind.FUNCTION, fields))
        for match in _CALL_COMMENT.finditer(data):
            self.batch.mentions.append((path, decode(match[2]), self._stems(decode(match[1]))))

    def _stems(self, text: str) -> list[str]:
        words = split_words(text)
        self.batch.spellings.update(words)
        return [stem(word) for word in words]


def _comments(data: bytes, start: int, end: int) -> Iterator[tuple[str, str]]:
    """Yield (field, text) of the comments above and inside a chunk."""
    span = comment_above(data, start)
    if span:
        doc = parse_kerneldoc(data[span[0] : span[1]])
        if doc is None:
            yield "comment", comment_text(data[span[0] : span[1]])
        else:
            yield "brief", doc.summary
            params = (f"{param.name} {param.text}" for param in doc.params)
            yield "rest", "\n".join([doc.description, *params, doc.context, doc.returns])
    inner = _COMMENT.findall(data, start, min(end, start + 5 * _MAX_TEXT))
    if inner:
        yield "inner", decode(b" ".join(block or line for block, line in inner))


def _unique(words: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(words))


class _CorpusBuilder:
    """Joins batches into one corpus and numbers the words."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        self.paths: list[str] = []
        self.names: list[str] = []
        self.functions: list[bool] = []
        self.parts: dict[str, list[Ragged]] = {field: [] for field in _FIELDS}
        self.mentions: list[tuple[str, str, list[int]]] = []
        self.exported: set[str] = set()
        self.spellings: Counter[str] = Counter()

    def add(self, batch: _Batch) -> None:
        intern = self._intern
        for field in (*PARTS, "brief", "rest", "comment", "inner"):
            self.parts[field].append(Ragged.of([intern(chunk.fields.get(field, [])) for chunk in batch.chunks]))
        self.paths += [chunk.path for chunk in batch.chunks]
        self.names += [chunk.name for chunk in batch.chunks]
        self.functions += [chunk.function for chunk in batch.chunks]
        self.mentions += [(path, callee, intern(words)) for path, callee, words in batch.mentions]
        self.exported |= batch.exported
        self.spellings.update(sorted(batch.spellings))

    def _intern(self, words: Sequence[str]) -> list[int]:
        number = self.number
        return [number.setdefault(word, len(number)) for word in words]

    def corpus(self) -> PairCorpus:
        fields = {field: Ragged.joined(parts) for field, parts in self.parts.items() if parts}
        fields |= self._mention_fields()
        exported = np.array([name in self.exported for name in self.names], np.bool_)
        spellings = [word for word, _ in self.spellings.most_common()]
        functions = np.array(self.functions, np.bool_)
        return PairCorpus(list(self.number), self.paths, self.names, functions, exported, fields, spellings)

    def _mention_fields(self) -> dict[str, Ragged]:
        """The fields "call" and "section": comments above calls of a function, and paragraphs that name it.

        A mention belongs to the function of that name in the same file, or to the only one in the tree.
        """
        functions: dict[str, list[int]] = defaultdict(list)
        for row, (name, function) in enumerate(zip(self.names, self.functions, strict=True)):
            if function:
                functions[name].append(row)
        rows: dict[str, list[list[int]]] = {kind: [[] for _ in self.names] for kind in ("call", "section")}
        counted: dict[tuple[str, int], int] = defaultdict(int)
        for path, name, words in self.mentions:
            kind = "call" if path else "section"
            found = functions.get(name, [])
            owners = [row for row in found if self.paths[row] == path] or (found if len(found) == 1 else [])
            for row in owners[:1]:
                if counted[kind, row] < _MAX_MENTIONS and len(words) >= 3:
                    counted[kind, row] += 1
                    rows[kind][row] += words
        return {kind: Ragged.of(each) for kind, each in rows.items()}


def path_fraction(path: str, salt: str) -> float:
    """A number in [0, 1) that depends on the path alone: for splits that nobody chose."""
    return int(hashlib.sha256(f"{salt}:{path}".encode()).hexdigest()[:8], 16) / 2**32
