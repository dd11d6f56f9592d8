"""Rows from the kernel-doc of a tree: a symbol's text is the input, what its authors wrote about it is the answer.

Only the kernel-doc above the symbol is taken out of the input; comments inside it stay, as they do where the server
asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

from kexpert.core.c.extract import extract
from kexpert.core.docs.kerneldoc import KernelDoc, comment_above, parse_kerneldoc
from kexpert.core.retrieval.documented import nearest_documented
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.prompt.chat import MAX_NEIGHBOURS, Task, kernel_doc_answer
from kexpert_trainer.data.licences import licence_of
from kexpert_trainer.data.mine_texts import MAX_OTHERS, among
from kexpert_trainer.data.rows import Pair, Row, row_id
from kexpert_trainer.data.tree import c_files, name_of

_KINDS = {
    Kind.FUNCTION: "function", Kind.MACRO: "macro", Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum",
}  # fmt: skip
_MAX_FILE_BYTES = 2_000_000
_MAX_CODE_CHARS = 6_000
_MAX_PARAMS = 8
_MIN_MEMBER_CHARS, _MAX_MEMBER_CHARS = 25, 140
_HEAD_BYTES = 3_000  # of a file, where a program names itself
_GENERATED = re.compile(
    rb"auto(?:matically|-)?[ -]?generated|generated (?:automatically|by)|machine[ -]generated|do not (?:edit|modify)",
    re.I,
)
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)])\.(?:\s+(?=[A-Z])|$)")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class _Documented:
    """A symbol with its kernel-doc."""

    symbol: Symbol
    doc: KernelDoc
    code: str
    line: int  # 1-based
    end_line: int
    licence: str
    generated: bool  # the file says that a program wrote it

    @property
    def brief(self) -> str:
        return _brief(self.doc.summary)


def mine(tree: Path, jobs: int, report: Callable[[int, int], None]) -> Iterator[Row]:
    """Yield the rows of a tree, folder by folder in the order of their paths; ``report(done, total)`` counts folders.

    Raises OSError.
    """
    folders = [list(paths) for _, paths in groupby(sorted(c_files(tree), key=by_folder), key=folder_of)]
    for done, rows in enumerate(_mapped(tree, folders, jobs), 1):
        yield from rows
        report(done, len(folders))


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def by_folder(path: str) -> tuple[str, str]:
    return folder_of(path), path


def _mapped(tree: Path, folders: list[list[str]], jobs: int) -> Iterator[list[Row]]:
    name = name_of(tree)
    if jobs <= 1:
        yield from (mine_folder(tree, paths, name) for paths in folders)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        count = len(folders)
        yield from pool.map(mine_folder, [tree] * count, folders, [name] * count, chunksize=16)


def mine_folder(tree: Path, paths: Sequence[str], tree_name: str) -> list[Row]:
    """The rows of the files of one folder. A documented neighbour comes from the same file, else from the folder."""
    files = [(path, found) for path in paths if (found := _documented(tree, path))]
    folder = [(each.symbol.name, each.brief) for _, found in files for each in found if each.brief]
    rows: list[Row] = []
    for path, found in files:
        for at in range(len(found)):
            rows += _rows(path, at, found, folder, tree_name)
    return rows


def _documented(tree: Path, path: str) -> list[_Documented]:
    data = (tree / path).read_bytes()
    if len(data) > _MAX_FILE_BYTES or b"/**" not in data:
        return []
    licence, generated = licence_of(data), _GENERATED.search(data, 0, _HEAD_BYTES) is not None
    found = []
    for symbol in extract(path, data).symbols:
        span = comment_above(data, symbol.start) if symbol.kind in _KINDS else None
        doc = parse_kerneldoc(data[span[0] : span[1]]) if span else None
        if doc is not None and doc.name == symbol.name:
            code = decode(data[symbol.start : symbol.end])
            first = data.count(b"\n", 0, symbol.start) + 1
            found.append(_Documented(symbol, doc, code, first, first + code.count("\n"), licence, generated))
    return found


def _rows(path: str, at: int, found: list[_Documented], folder: list[Pair], tree_name: str) -> Iterator[Row]:
    each = found[at]
    if len(each.code) > _MAX_CODE_CHARS * 4:
        return
    kind = _KINDS[each.symbol.kind]

    def row(task: Task, output: str, neighbours: Iterable[Pair] = ()) -> Row:
        return Row(
            row_id(tree_name, path, each.symbol.name, each.line, task), task, output, path, each.line, each.end_line,
            tree_name, each.licence, each.symbol.name, kind, each.code[:_MAX_CODE_CHARS], tuple(neighbours),
            notes={"generated": True} if each.generated else {},
        )  # fmt: skip

    if each.brief:
        yield row(Task.SUMMARY, each.brief, neighbours(at, found, folder))
    if kind in ("struct", "union") and (asked := _member_question(path, each, kind)):
        question, answer, sources = asked
        yield replace(row(Task.ANSWER, answer), question=question, sources=sources)
    if kind != "function":
        return
    params = [(param.name, _sentence(param.text)) for param in each.doc.params]
    returns = _sentence(each.doc.returns)
    if 0 < len(params) <= _MAX_PARAMS and all(text for _, text in params):
        yield row(Task.KERNEL_DOC, kernel_doc_answer(params, returns), _same_params(at, found))
    if text := _explanation(each.doc.description):
        yield row(Task.EXPLANATION, text)


def _member_question(path: str, each: _Documented, kind: str) -> tuple[str, str, tuple[Pair, ...]] | None:
    """(question, answer, sources) about the member with the longest text; None if no text says enough."""
    texts = [(param.name, _sentence(param.text)) for param in each.doc.params]
    useful = [(name, text) for name, text in texts if _MIN_MEMBER_CHARS <= len(text) <= _MAX_MEMBER_CHARS]
    if not useful:
        return None
    name, text = max(useful, key=lambda pair: len(pair[1]))
    where = f"{path}:{each.line}"
    others = [(where, f"{kind} {each.symbol.name}, {other}: {said}") for other, said in useful if other != name]
    identity = row_id(each.symbol.name, path, name, each.line, Task.ANSWER)
    sources, number = among(identity, (where, f"{kind} {each.symbol.name}, {name}: {text}"), others[:MAX_OTHERS])
    return f"What is the member {name} of {kind} {each.symbol.name}?", f"{text} [{number}]", sources


def neighbours(at: int, found: Sequence[_Documented], folder: Sequence[Pair]) -> list[Pair]:
    """(name, brief) of the best documented neighbours of ``found[at]``: of its file, nearest first, then its folder."""
    name = found[at].symbol.name
    order = sorted(range(len(found)), key=lambda other: abs(other - at))
    own = [(found[other].symbol.name, found[other].brief) for other in order if other != at]
    best = nearest_documented(name, own, MAX_NEIGHBOURS)
    if len(best) < MAX_NEIGHBOURS:
        known = {name, *(other for other, _ in own)}
        rest = [pair for pair in folder if pair[0] not in known]
        best += nearest_documented(name, rest, MAX_NEIGHBOURS - len(best))
    return best


def _same_params(at: int, found: Sequence[_Documented]) -> Iterator[Pair]:
    """(parameter, text) of the nearest other function of the file that documents a parameter of the same name."""
    order = sorted((other for other in range(len(found)) if other != at), key=lambda other: abs(other - at))
    for param in found[at].doc.params:
        for other in order:
            text = next((same.text for same in found[other].doc.params if same.name == param.name), "")
            if text:
                yield param.name, _sentence(text)
                break


def _brief(text: str) -> str:
    return _SPACE.sub(" ", text).strip().rstrip(". ")


def _sentence(text: str) -> str:
    """The first sentence of a text on one line, without its period."""
    paragraph = text.split("\n\n")[0]
    return _SPACE.sub(" ", _SENTENCE_END.split(_SPACE.sub(" ", paragraph), maxsplit=1)[0]).strip(" .")


def _explanation(description: str) -> str:
    """The first paragraph of a description, at most three sentences; "" for a list, a literal block or a long text."""
    paragraph = description.split("\n\n")[0]
    if re.search(r"^\s*(?:[-*%@.]|\d+[.)])|::\s*$", paragraph, re.M):
        return ""
    text = _SPACE.sub(" ", paragraph).strip()
    sentences = re.split(r"(?<=[a-z0-9)]\.)\s+(?=[A-Z])", text)
    text = " ".join(sentences[:3])
    return text if 30 <= len(text) <= 420 else ""
