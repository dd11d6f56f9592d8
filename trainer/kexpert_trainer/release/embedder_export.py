"""A trained static embedding -> a folder in model2vec's format, with what kexpert needs besides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kexpert.core.retrieval.words import stem

Floats = NDArray[np.float32]

MAX_BYTES = 16 << 20  # of the whole folder, which lies in the package
_SPECIAL = ("[PAD]", "[UNK]")
#: What cuts text into the vocabulary's words for whoever reads the folder without kexpert: a blank
#: where a word of mixed case goes on, lower case, runs of letters and digits.
_HUMP = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"


@dataclass(frozen=True, slots=True)
class Static:
    """A static embedding: row n of ``table`` belongs to the word family ``stems[n]``."""

    stems: list[str]
    table: Floats
    asked: Floats  # factor of a family in a question
    worth: Floats  # inverse document frequency
    fields: Mapping[str, float]  # factor of a word by the field of a chunk where it stands
    nested: tuple[int, ...]  # shorter lengths that were trained too


def write(model: Static, spellings: list[str], folder: Path) -> None:
    """Lay the model down. ``spellings``: words in any form; those of known families lead to their row."""
    from safetensors.numpy import save

    row_of = {word: at for at, word in enumerate(model.stems)}
    known = dict.fromkeys(model.stems)
    known |= dict.fromkeys(word for word in spellings if stem(word) in row_of)
    words = [*_SPECIAL, *known]
    rows = np.array([len(model.stems), len(model.stems), *(row_of[_family(word, row_of)] for word in known)])
    table, scale = quantised(np.concatenate([model.table, np.zeros((1, model.table.shape[1]), np.float32)]))
    worth, asked = (np.append(values, np.float32(0)) for values in (model.worth, model.asked))
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        "embeddings": table, "mapping": rows.astype(np.int32), "weights": scale[rows],
        "query_weights": (scale * asked)[rows].astype(np.float32), "worth": worth[rows].astype(np.float32),
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
    """int8 rows and the factor of each: a row times its factor is the vector again, to 1/254 of its largest number."""
    scale = np.abs(table).max(axis=1) / 127
    scale[scale == 0] = 1
    return np.rint(table / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def _tokenizer(words: list[str]):  # type: ignore[no-untyped-def]
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase, Replace, Sequence
    from tokenizers.pre_tokenizers import Split

    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = Sequence([Replace(Regex(_HUMP), " "), Lowercase()])
    tokenizer.pre_tokenizer = Split(Regex("[^a-z0-9]+"), "removed")
    return tokenizer
