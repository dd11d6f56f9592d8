"""Near-duplicates among functions: MinHash over runs of tokens, in which names count without their prefix."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from datasketch import MinHash, MinHashLSH

from kexpert.core.c.lex import blank_comments
from kexpert.core.text import decode, encode

#: Two texts are near-duplicates if the estimated Jaccard similarity of their sets of token runs is at least this.
MAX_SIMILARITY = 0.8
_PERMUTATIONS = 64
_RUN_TOKENS = 4
_TOKEN = re.compile(r"\w+|[^\s\w]")
_EMPTY = MinHash(num_perm=_PERMUTATIONS, hashfunc=zlib.crc32)


@lru_cache(maxsize=8)
def signature(code: str, name: str) -> str:
    """The MinHash of a symbol's text without its comments, as base64 of 32-bit numbers.

    The first word of ``name`` is removed from all names: drivers are copied and given another prefix.
    """
    text = decode(blank_comments(encode(code), strings=False))
    prefix = name.lstrip("_").partition("_")[0]
    if len(prefix) > 1:
        text = re.sub(rf"\b_*{re.escape(prefix)}_", "", text, flags=re.I)
    tokens = _TOKEN.findall(text)
    runs = {" ".join(tokens[at : at + _RUN_TOKENS]) for at in range(max(1, len(tokens) - _RUN_TOKENS + 1))}
    minhash = _EMPTY.copy()
    minhash.update_batch([encode(run) for run in sorted(runs)])
    return base64.b64encode(np.asarray(minhash.hashvalues, dtype="<u4").tobytes()).decode()


def minhash_of(signature: str) -> MinHash:
    """The inverse of ``signature``."""
    minhash = _EMPTY.copy()
    minhash.hashvalues = np.frombuffer(base64.b64decode(signature), dtype="<u4").astype(minhash.hashvalues.dtype)
    return minhash


def duplicates(items: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield (item, earlier item that it is a near-duplicate of or "") for (item, signature) in order."""
    index = MinHashLSH(threshold=MAX_SIMILARITY, num_perm=_PERMUTATIONS)
    kept: dict[str, MinHash] = {}
    for item, signed in items:
        minhash = minhash_of(signed)
        found = [other for other in index.query(minhash) if kept[other].jaccard(minhash) >= MAX_SIMILARITY]
        yield item, min(found) if found else ""
        if not found:
            index.insert(item, minhash, check_duplication=False)
            kept[item] = minhash
