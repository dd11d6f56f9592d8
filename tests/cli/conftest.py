"""A small tree, and a home for the caches and settings of one module's commands. A module may define its own tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.toy_tree import make_toy_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("tree") / "linux")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")
