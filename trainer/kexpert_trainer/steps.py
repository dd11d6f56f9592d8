"""The steps of a long pipeline: each leaves a record when it is done, and is not repeated on the same input."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kexpert_trainer.progress import say


class Steps:
    """``folder`` holds the records, ``NAME.json``: the key of the input, and the result."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count
        self._number = 0
        self._key = ""

    def run(self, name: str, settings: Mapping[str, Any], work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Do the work unless its record is there, with the same settings and the same steps before it.

        The result must be JSON. The key of the next step depends on it.
        """
        self._number += 1
        text = json.dumps([self._key, name, settings], sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()
        file = self._folder / f"{name}.json"
        result = _recorded(file, key)
        if result is None:
            say(f"step {self._number} of {self._count}: {name}")
            result = dict(work())
            self._folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(json.dumps({"key": key, "result": result}, indent=2) + "\n")
            os.replace(part, file)
        else:
            say(f"step {self._number} of {self._count}: {name} is done")
        self._key = hashlib.sha256((key + json.dumps(result, sort_keys=True)).encode()).hexdigest()
        return result


def _recorded(file: Path, key: str) -> dict[str, Any] | None:
    """The result of a finished step; None if it is not done, or was done on other input."""
    try:
        found = json.loads(file.read_text())
        return dict(found["result"]) if found["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
