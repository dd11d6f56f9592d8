"""Exports a trained embedder as a folder in model2vec's format, with what kexpert's search needs besides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase, Replace, Sequence
from tokenizers.pre_tokenizers import Split

from kexpert.core.retrieval.words import stem

Floats = NDArray[np.float32]

MAX_BYTES = 16 << 20  # of the whole folder, which ships in the package
_SPECIAL = ("[PAD]", "[UNK]")
#: Where the parts of a mixed-case word meet. The tokenizer splits there, lowers case and takes runs of letters and
#: digits, so that model2vec can read the folder without kexpert.
_CASE_CHANGE = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"


@dataclass(frozen=True, slots=True)
class StaticEmbedding:
    """A trained embedding: row n belongs to the word family ``stems[n]``."""

    stems: list[str]
    table: Floats  # (rows, dimensions)
    question_weights: Floats  # (rows,): factor of a family in a question
    idf: Floats  # (rows,): inverse document frequency
    fields: Mapping[str, float]  # factor of a word by the field of the chunk that holds it
    nested: tuple[int, ...]  # shorter lengths of the vector that were trained too


def write(model: StaticEmbedding, spellings: list[str], folder: Path) -> None:
    """Write the folder. ``spellings``: words before stemming; those of known families map to their row."""
    from safetensors.numpy import save

    row_of = {word: at for at, word in enumerate(model.stems)}
    known = dict.fromkeys(model.stems)
    known |= dict.fromkeys(word for word in spellings if stem(word) in row_of)
    words = [*_SPECIAL, *known]
    rows = np.array([len(model.stems), len(model.stems), *(row_of[_family(word, row_of)] for word in known)])
    table, scale = quantised(np.concatenate([model.table, np.zeros((1, model.table.shape[1]), np.float32)]))
    idf, question_weights = (np.append(values, np.float32(0)) for values in (model.idf, model.question_weights))
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        "embeddings": table, "mapping": rows.astype(np.int32), "weights": scale[rows],
        "query_weights": (scale * question_weights)[rows].astype(np.float32), "worth": idf[rows].astype(np.float32),
    }  # fmt: skip
    (folder / "model.safetensors").write_bytes(save(tensors))
    _tokenizer(words).save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True, "max_length": None,
        "embedding_dtype": "int8", "vocabulary_quantization": len(table),
        "kexpert": {"fields": dict(model.fields), "nested": list(model.nested)},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def _family(word: str, row_of: Mapping[str, int]) -> str:
    return word if word in row_of else stem(word)


def quantised(table: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Quantise each row to int8: (table, factors). A row times its factor is off by at most 1/254 of its maximum."""
    scale = np.abs(table).max(axis=1) / 127
    scale[scale == 0] = 1
    return np.rint(table / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def _tokenizer(words: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = Sequence([Replace(Regex(_CASE_CHANGE), " "), Lowercase()])
    tokenizer.pre_tokenizer = Split(Regex("[^a-z0-9]+"), "removed")
    return tokenizer
