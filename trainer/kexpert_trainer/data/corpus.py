"""A kernel tree as token shards: the command ``kexpert-train corpus``.

Everything random is decided here, once: which window of a file is an example with a hole, where the hole is, what
of the headers is told in front. Training then only reads tokens. Every shard depends on the tree, the tokenizer,
the settings and its own files alone, so an interrupted run goes on with the shards that are missing.

A folder holds ``tokenizer.json``, ``corpus.json``, shards ``train-000.xz`` … and ``held-out-000.xz``, and beside
each a ``.tsv`` that names path, SPDX licence, documents and tokens of every file in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import dropwhile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from datasketch import MinHash
from rich.progress import track
from tokenizers import Tokenizer

from kexpert.core.c.extract import extract
from kexpert.prompt.declaration_summary import summarise_declaration
from kexpert.prompt.fim import PROMPT_VERSION, Context, Excerpt, Marker, Order, render, render_document
from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.data.fim_spans import choose_hole
from kexpert_trainer.data.shards import MANIFEST, SPLITS, Corpus, read_corpus, read_shard, write_corpus, write_shard
from kexpert_trainer.data.sources import SourceFile, distinct, is_held_out, paths, read, signature
from kexpert_trainer.data.tokenizer import Encoder
from kexpert_trainer.data.tree import name_of

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")', re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w+")
#: Ids that a window may grow by when it is cut at a hole and gets its markers.
_MARGIN = 12
#: More than the files of a tree name: some 10 KB each of those that are there.
_HEADERS_KEPT = 1 << 15
#: That a process looks at for near-duplicates before it hands over what it found.
_FILES_AT_A_TIME = 64
_FILES = "files.txt"
#: Room that is left for ``corpus.json``.
MANIFEST_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Settings:
    """What a corpus is made of. Rates are shares of windows."""

    sequence: int = 2048  # tokens of the longest document
    seed: int = 0
    holes: float = 0.7
    prefix_first: float = 0.15  # of those with a hole: PSM, the others SPM
    excerpts: float = 0.3
    megabytes: float = 0  # of text; 0 for the whole tree
    files_per_shard: int = 2000


def make(tree: Path, tokenizer: Tokenizer, folder: Path, settings: Settings, jobs: int = 1) -> Corpus:
    """Write a corpus, or what is missing of it."""
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, tree, tokenizer, settings)
    tokenizer.save(str(folder / tokenizers.FILE_NAME))
    with ProcessPoolExecutor(jobs, initializer=_start, initargs=(tree, folder, settings)) as pool:
        parts = dict(_parts(_chosen(tree, folder, settings, pool), settings))
        missing = {name: part for name, part in parts.items() if not (folder / f"{name}.tsv").exists()}
        futures = [pool.submit(_write_part, name, part) for name, part in missing.items()]
        for future in track(as_completed(futures), "shards", total=len(futures)):
            future.result()
    corpus = _summary(tree, tokenizer, folder, settings, parts)
    write_corpus(folder, corpus)
    return corpus


def _claim(folder: Path, tree: Path, tokenizer: Tokenizer, settings: Settings) -> None:
    """Empty the folder unless what it holds was made from the very same things."""
    key = {"tree": str(tree), "tokenizer": tokenizers.identity(tokenizer), "prompt": PROMPT_VERSION, **asdict(settings)}
    record = folder / "settings.json"
    if not record.exists() or json.loads(record.read_text()) != key:
        _empty(folder)
        record.write_text(json.dumps(key))


def _empty(folder: Path) -> None:
    """Remove what a corpus consists of and nothing else."""
    patterns = [MANIFEST, _FILES, *(f"{split}-*.{kind}" for split in SPLITS for kind in ("xz", "tsv"))]
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()


def _chosen(tree: Path, folder: Path, settings: Settings, pool: Executor) -> list[str]:
    """The paths of the files that go in, looked for once."""
    record = folder / _FILES
    if record.exists():
        return record.read_text().splitlines()
    chosen, characters = [], 0
    found = paths(tree, settings.seed)
    signed = track(pool.map(_signed, found, chunksize=_FILES_AT_A_TIME), "near-duplicates", total=len(found))
    for path, length in distinct(file for file in signed if file is not None):
        chosen.append(path)
        characters += length
        if settings.megabytes and characters > settings.megabytes * 1e6:
            break
    part = record.with_suffix(".part")
    part.write_text("\n".join(chosen))
    part.replace(record)
    return chosen


def _parts(chosen: Sequence[str], settings: Settings) -> Iterator[tuple[str, list[str]]]:
    for split, wanted in zip(SPLITS, (False, True), strict=True):
        names = [path for path in chosen if is_held_out(path) is wanted]
        for at in range(0, len(names), settings.files_per_shard):
            yield f"{split}-{at // settings.files_per_shard:03d}", names[at : at + settings.files_per_shard]


@dataclass(slots=True)
class _Worker:
    tree: Path
    folder: Path
    settings: Settings
    encoder: Encoder


_worker: _Worker


def _start(tree: Path, folder: Path, settings: Settings) -> None:
    global _worker
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    _worker = _Worker(tree, folder, settings, Encoder(tokenizers.load(folder / tokenizers.FILE_NAME)))


def _signed(path: str) -> tuple[tuple[str, int], MinHash] | None:
    """Path, characters and signature of a file, if it may go in."""
    file = read(_worker.tree, path)
    return None if file is None else ((path, len(file.text)), signature(file))


def _write_part(name: str, part: list[str]) -> None:
    worker = _worker
    documents: list[list[int]] = []
    rows = []
    for path in part:
        file = read(worker.tree, path)
        if file is None:
            continue
        # Held-out files are written twice: left to right, to compare models, and with a hole in every window.
        rates = (0.0, 1.0) if is_held_out(path) else (worker.settings.holes,)
        new = [ids for rate in rates for ids in documents_of(file, worker.encoder, worker.settings, rate, worker.tree)]
        documents += new
        rows.append(f"{path}\t{file.licence}\t{len(new)}\t{sum(map(len, new))}\n")
    write_shard(worker.folder / f"{name}.xz", documents)
    part_file = worker.folder / f"{name}.tsv.part"
    part_file.write_text("".join(rows))
    part_file.replace(worker.folder / f"{name}.tsv")  # last: this is what says that the shard is there


def documents_of(
    file: SourceFile, encoder: Encoder, settings: Settings, holes: float, tree: Path
) -> Iterator[list[int]]:
    """The documents of one file: windows of whole lines, ``holes`` of them with something to fill in."""
    rng = random.Random(hashlib.blake2b(f"{settings.seed}/{holes}/{file.path}".encode()).digest())
    headers = _headers(tree, file) if settings.excerpts else []
    path_tokens = len(encoder.ids(file.path))
    starts = encoder.starts(file.text)
    first = 0
    while first < len(starts):
        budget = settings.sequence - path_tokens - _MARGIN
        spent = settings.sequence // 4 if headers and rng.random() < settings.excerpts else 0
        past = _window_end(file.text, starts, first, budget - spent)
        window = file.text[starts[first] : starts[past] if past < len(starts) else len(file.text)]
        first = past
        if not window.strip():
            continue
        excerpts = _excerpts(window, tree, headers, spent, encoder, rng) if spent else ()
        ids = _example(file.path, window, excerpts, encoder, settings, holes, rng)
        if len(ids) > settings.sequence:
            ids = [*ids[: settings.sequence - 1], encoder.markers[Marker.END]]
        yield ids


def _window_end(text: str, starts: Sequence[int], first: int, budget: int) -> int:
    """The token that begins the next window: at a line start, after a blank line if there is one not far up."""
    past = first + max(budget, 1)
    if past >= len(starts):
        return len(starts)
    begin, stop = starts[first], starts[past]
    cut = text.rfind("\n\n", begin + (stop - begin) // 2, stop)
    if cut < 0:
        cut = text.rfind("\n", begin, stop)
    if cut < 0:
        return past
    while past > first + 1 and starts[past - 1] > cut:
        past -= 1
    return past


def _example(
    path: str, window: str, excerpts: tuple[Excerpt, ...], encoder: Encoder, settings: Settings, holes: float,
    rng: random.Random,
) -> list[int]:  # fmt: skip
    hole = choose_hole(window, rng) if rng.random() < holes else None
    if hole is None:
        return encoder.prompt(render_document(path, window, excerpts))
    start, end = hole
    order: Order = "psm" if rng.random() < settings.prefix_first else "spm"
    context = Context(path, window[:start], window[end:], excerpts)
    return encoder.prompt(render(context, order, window[start:end]))


def _headers(tree: Path, file: SourceFile) -> list[str]:
    """The headers that a file names, from the first on of which there is something to tell."""
    beside = PurePosixPath(file.path).parent
    named = _INCLUDE.findall(file.text)
    headers = (f"include/{system}" if system else os.path.normpath(beside / local) for system, local in named)
    return list(dropwhile(lambda header: not _declared(tree, header), headers))


@lru_cache(_HEADERS_KEPT)
def _declared(tree: Path, path: str) -> dict[str, str]:
    """Name -> declaration of what a header declares."""
    file = read(tree, path) if not path.startswith(("..", "/")) else None
    if file is None:
        return {}
    data = file.text.encode()
    symbols = reversed(extract(path, data).symbols)  # of a name that is declared twice, the first stays
    told = ((symbol.name, summarise_declaration(data[symbol.start : symbol.end], symbol.kind)) for symbol in symbols)
    return {name: text for name, text in told if text}


def _excerpts(
    window: str, tree: Path, headers: Sequence[str], budget: int, encoder: Encoder, rng: random.Random
) -> tuple[Excerpt, ...]:
    """Declarations of what a window names, one excerpt a header, as many as fit ``budget`` tokens."""
    words = set(_WORD.findall(window))
    declared: dict[str, tuple[str, str]] = {}
    for header in headers:
        told = _declared(tree, header)
        for name in words & told.keys():
            declared.setdefault(name, (header, told[name]))
    names = sorted(declared)
    rng.shuffle(names)
    excerpts: dict[str, list[str]] = {}
    for name in names:
        header, text = declared[name]
        cost = len(encoder.ids(text)) + 2
        if header not in excerpts:
            cost += len(encoder.ids(header)) + 2
        if cost > budget:
            continue
        budget -= cost
        excerpts.setdefault(header, []).append(text)
    return tuple(Excerpt(header, "\n".join(texts)) for header, texts in excerpts.items())


def _summary(tree: Path, tokenizer: Tokenizer, folder: Path, settings: Settings, parts: Iterable[str]) -> Corpus:
    licences: Counter[str] = Counter()
    for name in parts:
        for line in (folder / f"{name}.tsv").read_text().splitlines():
            licences[line.split("\t")[1] or "none named"] += 1
    provenance = {
        "tree": name_of(tree), "settings": asdict(settings), "files": licences.total(),
        "licences": dict(licences.most_common()),
    }  # fmt: skip
    return _counted(folder, sorted(parts), tokenizer, settings.sequence, provenance)


def _counted(
    folder: Path, parts: Iterable[str], tokenizer: Tokenizer, sequence: int, provenance: dict[str, Any]
) -> Corpus:
    """What ``corpus.json`` says of these shards."""
    lengths = np.array(tokenizers.byte_lengths(tokenizer))
    shards: dict[str, list[str]] = {split: [] for split in SPLITS}
    tokens, text = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, 0)
    for name in parts:
        split = name.rpartition("-")[0]
        ids = read_shard(folder / f"{name}.xz")
        shards[split].append(f"{name}.xz")
        tokens[split] += len(ids)
        text[split] += int(lengths[ids].sum())
    end = tokenizers.markers(tokenizer)[Marker.END]
    return Corpus(tokenizers.identity(tokenizer), PROMPT_VERSION, sequence, end, shards, tokens, text, provenance)


def pack(folder: Path, target: Path, most_bytes: int, skip: int = 0) -> Corpus:
    """Copy a corpus with as many of its training shards, from number ``skip`` on, as ``most_bytes`` hold.

    That is one load for a machine that takes no more at a time; the next one begins with the next shard.
    """
    whole = read_corpus(folder)
    tokenizer = tokenizers.load(folder / tokenizers.FILE_NAME)
    target.mkdir(parents=True, exist_ok=True)
    _empty(target)
    shutil.copyfile(folder / tokenizers.FILE_NAME, target / tokenizers.FILE_NAME)
    room = most_bytes - (target / tokenizers.FILE_NAME).stat().st_size - MANIFEST_BYTES
    kept = []
    for name in [*whole.shards["held-out"], *whole.shards["train"][skip:]]:
        size = (folder / name).stat().st_size
        if size > room:
            break
        shutil.copyfile(folder / name, target / name)
        room -= size
        kept.append(name.removesuffix(".xz"))
    load = _counted(target, kept, tokenizer, whole.sequence, whole.provenance)
    write_corpus(target, load)
    return load
