"""Trains a tokenizer on a kernel tree: the command ``kexpert-train tokenizer``."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from kexpert_trainer.data import sources
from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.data.tree import require_tree


def train_tokenizer(tree: Path, file: Path, vocabulary: int, megabytes: float) -> Tokenizer:
    """Train a tokenizer of ``vocabulary`` entries on ``megabytes`` of a tree and write it to ``file``."""
    require_tree(tree)
    tokenizer = tokenizers.train(sources.sample(tree, megabytes), vocabulary)
    file.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(file))
    return tokenizer
