"""A static embedder for tests: a few words, each with a direction of its own, and some that mean the same."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from kexpert.core.retrieval.words import stem

#: Words of a group share one direction: what a trained embedder would have learned.
SAME = [("wait", "block", "sleep"), ("writeback", "flush", "dirty"), ("free", "release", "put"), ("lock", "mutex")]
WORDS = """
    folio page inode alpha beta gamma delta device driver probe frob widget spin start stop size count list task copy
    thing helper exit memory allocate table entry register value zeta omega kernel mm fs drivers include linux use
"""


def make_embedder(folder: Path, seed: int = 0, dimensions: int = 64) -> Path:
    """Write one in model2vec's format; another ``seed`` gives other vectors."""
    leader = {stem(word): group[0] for group in SAME for word in group}
    words = list(dict.fromkeys([*leader, *map(stem, WORDS.split())]))
    rows = []
    for word in words:
        random = np.random.default_rng([seed, zlib.crc32(leader.get(word, word).encode())])
        rows.append(random.standard_normal(dimensions))
    every = np.arange(len(words), dtype=np.int32)
    ones = np.ones(len(words), np.float32)
    tensors = {"embeddings": np.asarray(rows, np.float32), "mapping": every}
    folder.mkdir(parents=True, exist_ok=True)
    weights = {"weights": ones, "query_weights": ones, "worth": ones}
    save_file({**tensors, **weights}, str(folder / "model.safetensors"))
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "WordLevel", "vocab": vocabulary}}))
    fields = {"name": 1.0, "path": 0.5, "summary": 1.0, "body": 0.5}
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "kexpert": {"fields": fields}}))
    return folder
