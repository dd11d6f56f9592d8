"""Fixtures for tests with a real editor."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.editors.get_neovim import NoNeovim, get_neovim


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return get_neovim()
    except NoNeovim as reason:
        pytest.skip(f"no Neovim: {reason}")
