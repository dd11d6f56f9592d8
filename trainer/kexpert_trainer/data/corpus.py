"""Writes a kernel tree as token shards: the command ``kexpert-train corpus``.

Everything random is decided here, once: the windows of a file, which of them get a FIM span, and which declarations of
headers precede them. Training only reads tokens. A shard depends on the tree, the tokenizer, the configuration and its
own files alone, so an interrupted run continues with the shards that are missing.

A folder holds ``tokenizer.json``, ``corpus.json``, shards ``train-000.xz`` … and ``held-out-000.xz``, and beside each
shard a ``.tsv`` with path, SPDX licence, documents and tokens of every file in it.
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
from kexpert_trainer.data.fim_spans import choose_span
from kexpert_trainer.data.shards import (
    MANIFEST,
    SPLITS,
    CorpusManifest,
    read_manifest,
    read_shard,
    write_manifest,
    write_shard,
)
from kexpert_trainer.data.sources import SourceFile, distinct, is_held_out, paths, read, signature
from kexpert_trainer.data.tokenizer import Encoder
from kexpert_trainer.data.tree import name_of, require_tree

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")', re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w+")
#: Tokens that a window may gain when it is split at a span and gets its markers.
_MARGIN_TOKENS = 12
#: Headers whose declarations a process caches, about 10 KB each; more than a tree includes.
_CACHED_HEADERS = 1 << 15
#: Files that a process signs before it returns them.
_SIGNATURE_BATCH = 64
_FILES = "files.txt"
#: Bytes that ``pack`` reserves for ``corpus.json``.
MANIFEST_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class CorpusConfig:
    """Decides the contents of a corpus. Rates are fractions of windows."""

    sequence: int = 2048  # maximum tokens of a document
    seed: int = 0
    fim_rate: float = 0.7
    psm_rate: float = 0.15  # of the windows with a span: order prefix, suffix, middle; the others SPM
    excerpt_rate: float = 0.3  # windows preceded by declarations of headers
    megabytes: float = 0  # maximum of text; 0 for the whole tree
    files_per_shard: int = 2000


def build(tree: Path, tokenizer: Tokenizer, folder: Path, config: CorpusConfig, jobs: int = 1) -> CorpusManifest:
    """Write a corpus, or what is missing of it, with ``jobs`` processes. Raises UserError, OSError."""
    require_tree(tree)
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, tree, tokenizer, config)
    tokenizer.save(str(folder / tokenizers.FILE_NAME))
    with ProcessPoolExecutor(jobs, initializer=_start, initargs=(tree, folder, config)) as pool:
        shards = dict(_shards(_selected(tree, folder, config, pool), config))
        missing = {name: paths for name, paths in shards.items() if not (folder / f"{name}.tsv").exists()}
        futures = [pool.submit(_write, name, paths) for name, paths in missing.items()]
        for future in track(as_completed(futures), "shards", total=len(futures)):
            future.result()
    manifest = _manifest(tree, tokenizer, folder, config, shards)
    write_manifest(folder, manifest)
    return manifest


def _claim(folder: Path, tree: Path, tokenizer: Tokenizer, config: CorpusConfig) -> None:
    """Empty the folder unless its contents were made from the same tree, tokenizer, prompt version and config."""
    key = {"tree": str(tree), "tokenizer": tokenizers.identity(tokenizer), "prompt": PROMPT_VERSION, **asdict(config)}
    record = folder / "settings.json"
    if not record.exists() or json.loads(record.read_text()) != key:
        _empty(folder)
        record.write_text(json.dumps(key))


def _empty(folder: Path) -> None:
    """Remove the files of a corpus and nothing else."""
    patterns = [MANIFEST, _FILES, *(f"{split}-*.{kind}" for split in SPLITS for kind in ("xz", "tsv"))]
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()


def _selected(tree: Path, folder: Path, config: CorpusConfig, pool: Executor) -> list[str]:
    """The paths of the files that the corpus holds; selected once and kept in ``files.txt``."""
    record = folder / _FILES
    if record.exists():
        return record.read_text().splitlines()
    selected, characters = [], 0
    candidates = paths(tree, config.seed)
    signatures = pool.map(_sign, candidates, chunksize=_SIGNATURE_BATCH)
    signed = track(signatures, "near-duplicates", total=len(candidates))
    for path, length in distinct(file for file in signed if file is not None):
        selected.append(path)
        characters += length
        if config.megabytes and characters > config.megabytes * 1e6:
            break
    part = record.with_suffix(".part")
    part.write_text("\n".join(selected))
    part.replace(record)
    return selected


def _shards(selected: Sequence[str], config: CorpusConfig) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each shard and the paths of its files."""
    for split, held_out in zip(SPLITS, (False, True), strict=True):
        names = [path for path in selected if is_held_out(path) is held_out]
        for at in range(0, len(names), config.files_per_shard):
            yield f"{split}-{at // config.files_per_shard:03d}", names[at : at + config.files_per_shard]


@dataclass(slots=True)
class _Worker:
    """State of a worker process between shards."""

    tree: Path
    folder: Path
    config: CorpusConfig
    encoder: Encoder


_worker: _Worker


def _start(tree: Path, folder: Path, config: CorpusConfig) -> None:
    global _worker
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    _worker = _Worker(tree, folder, config, Encoder(tokenizers.load(folder / tokenizers.FILE_NAME)))


def _sign(path: str) -> tuple[tuple[str, int], MinHash] | None:
    """Path, characters and signature of a file; None if ``sources.read`` rejects it."""
    file = read(_worker.tree, path)
    return None if file is None else ((path, len(file.text)), signature(file))


def _write(name: str, paths: list[str]) -> None:
    """Write one shard and then its ``.tsv``, whose presence says that the shard is complete."""
    worker = _worker
    documents: list[list[int]] = []
    rows = []
    for path in paths:
        file = read(worker.tree, path)
        if file is None:
            continue
        # Held-out files are written twice: left to right, to compare models, and with a span in every window.
        rates = (0.0, 1.0) if is_held_out(path) else (worker.config.fim_rate,)
        new = [ids for rate in rates for ids in documents_of(file, worker.encoder, worker.config, rate, worker.tree)]
        documents += new
        rows.append(f"{path}\t{file.licence}\t{len(new)}\t{sum(map(len, new))}\n")
    write_shard(worker.folder / f"{name}.xz", documents)
    part = worker.folder / f"{name}.tsv.part"
    part.write_text("".join(rows))
    part.replace(worker.folder / f"{name}.tsv")


def documents_of(
    file: SourceFile, encoder: Encoder, config: CorpusConfig, fim_rate: float, tree: Path
) -> Iterator[list[int]]:
    """Yield the documents of one file: windows of whole lines, a fraction ``fim_rate`` of them with a span cut out."""
    rng = random.Random(hashlib.blake2b(f"{config.seed}/{fim_rate}/{file.path}".encode()).digest())
    headers = _headers(tree, file) if config.excerpt_rate else []
    path_tokens = len(encoder.ids(file.path))
    starts = encoder.starts(file.text)
    first = 0
    while first < len(starts):
        budget = config.sequence - path_tokens - _MARGIN_TOKENS
        reserved = config.sequence // 4 if headers and rng.random() < config.excerpt_rate else 0
        past = _window_end(file.text, starts, first, budget - reserved)
        window = file.text[starts[first] : starts[past] if past < len(starts) else len(file.text)]
        first = past
        if not window.strip():
            continue
        excerpts = _excerpts(window, tree, headers, reserved, encoder, rng) if reserved else ()
        ids = _example(file.path, window, excerpts, encoder, config, fim_rate, rng)
        if len(ids) > config.sequence:
            ids = [*ids[: config.sequence - 1], encoder.markers[Marker.END]]
        yield ids


def _window_end(text: str, starts: Sequence[int], first: int, budget: int) -> int:
    """The token that begins the next window: at a line start, if possible after a blank line."""
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
    path: str, window: str, excerpts: tuple[Excerpt, ...], encoder: Encoder, config: CorpusConfig, fim_rate: float,
    rng: random.Random,
) -> list[int]:  # fmt: skip
    span = choose_span(window, rng) if rng.random() < fim_rate else None
    if span is None:
        return encoder.prompt(render_document(path, window, excerpts))
    start, end = span
    order: Order = "psm" if rng.random() < config.psm_rate else "spm"
    context = Context(path, window[:start], window[end:], excerpts)
    return encoder.prompt(render(context, order, window[start:end]))


def _headers(tree: Path, file: SourceFile) -> list[str]:
    """The headers that a file includes, from the first one that declares something on."""
    folder = PurePosixPath(file.path).parent
    included = _INCLUDE.findall(file.text)
    headers = (f"include/{system}" if system else os.path.normpath(folder / local) for system, local in included)
    return list(dropwhile(lambda header: not _declarations(tree, header), headers))


@lru_cache(_CACHED_HEADERS)
def _declarations(tree: Path, path: str) -> dict[str, str]:
    """Name -> declaration, for everything that a header declares; the first declaration of a name counts."""
    file = read(tree, path) if not path.startswith(("..", "/")) else None
    if file is None:
        return {}
    data = file.text.encode()
    symbols = reversed(extract(path, data).symbols)
    declared = (
        (symbol.name, summarise_declaration(data[symbol.start : symbol.end], symbol.kind)) for symbol in symbols
    )
    return {name: text for name, text in declared if text}


def _excerpts(
    window: str, tree: Path, headers: Sequence[str], budget: int, encoder: Encoder, rng: random.Random
) -> tuple[Excerpt, ...]:
    """Declarations of names in a window, in random order while they fit ``budget`` tokens; one excerpt a header."""
    words = set(_WORD.findall(window))
    declared: dict[str, tuple[str, str]] = {}
    for header in headers:
        declarations = _declarations(tree, header)
        for name in words & declarations.keys():
            declared.setdefault(name, (header, declarations[name]))
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


def _manifest(
    tree: Path, tokenizer: Tokenizer, folder: Path, config: CorpusConfig, shards: Iterable[str]
) -> CorpusManifest:
    """The manifest of a corpus whose shards are written."""
    licences: Counter[str] = Counter()
    for name in shards:
        for line in (folder / f"{name}.tsv").read_text().splitlines():
            licences[line.split("\t")[1] or "none named"] += 1
    provenance = {
        "tree": name_of(tree), "settings": asdict(config), "files": licences.total(),
        "licences": dict(licences.most_common()),
    }  # fmt: skip
    return _count(folder, sorted(shards), tokenizer, config.sequence, provenance)


def _count(
    folder: Path, names: Iterable[str], tokenizer: Tokenizer, sequence: int, provenance: dict[str, Any]
) -> CorpusManifest:
    """The manifest of the named shards, with their tokens and bytes of text counted."""
    lengths = np.array(tokenizers.byte_lengths(tokenizer))
    shards: dict[str, list[str]] = {split: [] for split in SPLITS}
    tokens, text_bytes = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, 0)
    for name in names:
        split = name.rpartition("-")[0]
        ids = read_shard(folder / f"{name}.xz")
        shards[split].append(f"{name}.xz")
        tokens[split] += len(ids)
        text_bytes[split] += int(lengths[ids].sum())
    end = tokenizers.markers(tokenizer)[Marker.END]
    identity = tokenizers.identity(tokenizer)
    return CorpusManifest(identity, PROMPT_VERSION, sequence, end, shards, tokens, text_bytes, provenance)


def pack(folder: Path, target: Path, max_bytes: int, skip: int = 0) -> CorpusManifest:
    """Copy a corpus with as many training shards, from number ``skip`` on, as fit ``max_bytes``.

    For a machine that takes a limited size at a time; the next pack begins with the next shard.
    """
    corpus = read_manifest(folder)
    tokenizer = tokenizers.load(folder / tokenizers.FILE_NAME)
    target.mkdir(parents=True, exist_ok=True)
    _empty(target)
    shutil.copyfile(folder / tokenizers.FILE_NAME, target / tokenizers.FILE_NAME)
    room = max_bytes - (target / tokenizers.FILE_NAME).stat().st_size - MANIFEST_BYTES
    copied = []
    for name in [*corpus.shards["held-out"], *corpus.shards["train"][skip:]]:
        size = (folder / name).stat().st_size
        if size > room:
            break
        shutil.copyfile(folder / name, target / name)
        room -= size
        copied.append(name.removesuffix(".xz"))
    packed = _count(target, copied, tokenizer, corpus.sequence, corpus.provenance)
    write_manifest(target, packed)
    return packed
