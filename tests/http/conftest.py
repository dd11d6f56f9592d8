"""One small tree for all tests of this folder, and one server that asks for no token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.web_server import make_web_tree, web_server


@pytest.fixture(scope="session")
def web_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tree (``linux``), its caches and settings."""
    folder = tmp_path_factory.mktemp("web")
    make_web_tree(folder)
    return folder


@pytest.fixture(scope="session")
def address(web_folder: Path) -> Iterator[str]:
    """A server without a model and without a limit of requests."""
    with web_server(web_folder, web_folder / "linux", "--read-only", "--no-model", "--rate", "0") as found:
        yield found


@pytest.fixture
def web(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30) as client:
        yield client
