"""Small trees in a temporary folder, each with a cache of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

MARKS = {
    "Kconfig": b'config SMP\n\tbool "Symmetric multi-processing"\n',
    "Makefile": b"obj-$(CONFIG_SMP) += kernel/\n",
    "MAINTAINERS": b"",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def make_tree(tmp_path: Path, cache: Path) -> Callable[[Mapping[str, bytes]], Path]:
    """Write a kernel tree with these files; returns its root."""

    def make(files: Mapping[str, bytes], name: str = "linux") -> Path:
        root = tmp_path / name
        for path, data in {**MARKS, **files}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        return root

    return make
