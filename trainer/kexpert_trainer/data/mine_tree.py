"""Writes ``mined.jsonl``, every row that a tree gives, in parts: ``kexpert-train mine``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import batched, groupby
from pathlib import Path
from typing import Any, Literal

from kexpert_trainer.data.corpus_folder import CorpusFolder, digest
from kexpert_trainer.data.mine import by_folder, folder_of, mine_folder
from kexpert_trainer.data.mine_history import head_of, mine_history
from kexpert_trainer.data.mine_texts import is_text, mine_text
from kexpert_trainer.data.pairs_file import tree_identity
from kexpert_trainer.data.row_parts import Parts, lines_of, write_lines
from kexpert_trainer.data.rows import dump_row, parse_row
from kexpert_trainer.data.tree import c_files, files, name_of, require_tree
