"""Arguments that the commands of the chat corpus share."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.prompt.chat import Task

if TYPE_CHECKING:
    from kexpert_trainer.data.corpus_folder import CorpusFolder

#: Values of ``--task``; "" stands for all.
TASKS = tuple(str(task) for task in Task)


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the chat corpus")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="processes, at low priority (default: 2)")


def show_failing(folder: CorpusFolder, checks: Sequence[str], count: int = 10) -> None:
    """Print the first rows that fail each of some checks."""
    shown: Counter[str] = Counter()
    for line in folder.failing.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        check = entry["check"]
        if check in checks and shown[check] < count:
            shown[check] += 1
            where = f"{entry.get('path', '')}:{entry.get('line', '')} {entry.get('name', '')}"
            print(f"{check}: {entry['id']} {where}: {entry['reason']}")
