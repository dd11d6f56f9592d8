"""All steps from a kernel tree to a model in GGUF: the command ``kexpert-train model``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.data.corpus import CorpusConfig, build
from kexpert_trainer.data.train_tokenizer import train_tokenizer
from kexpert_trainer.data.tree import name_of, require_tree
from kexpert_trainer.release.export import export, origin_of
from kexpert_trainer.training.checkpoint import LAST
from kexpert_trainer.training.pretrain import PretrainConfig, RunLimits, run

#: Text that the tokenizer of ``train_model`` learns from.
_TOKENIZER_MEGABYTES = 120
_JOBS = 2  # processes that write the corpus


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders and files that ``train_model`` writes."""

    out: Path

    @property
    def tokenizer(self) -> Path:
        return self.out / tokenizers.FILE_NAME

    @property
    def corpus(self) -> Path:
        return self.out / "corpus"

    @property
    def run(self) -> Path:
        return self.out / "run"

    @property
    def model(self) -> Path:
        return self.out / "model"


def train_model(
    tree: Path, folders: Folders, vocabulary: int, corpus: CorpusConfig, pretrain: PretrainConfig, limits: RunLimits,
    kinds: Sequence[str],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Run each step, or what is missing of it, and yield the summaries of its results. ``tree`` is a kernel tree.

    ``pretrain.corpus`` must be ``folders.corpus``. Raises UserError, OSError.
    """
    require_tree(tree)
    if not folders.tokenizer.exists():
        _announce("tokenizer", folders.tokenizer)
        yield tokenizers.summary(train_tokenizer(tree, folders.tokenizer, vocabulary, _TOKENIZER_MEGABYTES))
    _announce("corpus", folders.corpus)
    yield build(tree, tokenizers.load(folders.tokenizer), folders.corpus, corpus, _JOBS).summary
    _announce("pretrain", folders.run)
    run(pretrain, folders.run, limits)
    _announce("export", folders.model)
    provenance = f"Pre-trained from nothing on {name_of(tree)}."
    origin = origin_of(folders.run / LAST, folders.corpus, f"kexpert-{pretrain.size}", provenance)
    manifest = export(folders.run / LAST, folders.model, origin, kinds)
    yield {"base": manifest.base, "sha256": manifest.base_sha256}


def _announce(command: str, target: Path) -> None:
    print(f"kexpert-train {command}: {target}", file=sys.stderr, flush=True)
