"""One tree, indexed once, and one agent for all tests that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kexpert.__main__ import main
from tests.support.gate_tree import GATE_FILES
from tests.support.mcp_client import Agent, command, connected
from tests.support.toy_tree import home_environment, write_tree

#: Nothing in the background that could change an answer.
SETTINGS = "vectors.enabled = false\nindex.jobs = 1\nindex.watch = false\n"


def new_user(home: Path) -> dict[str, str]:
    """The environment of a user whose folders and settings are in ``home``."""
    settings = home / "config" / "kexpert" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS)
    return home_environment(home)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return new_user(tmp_path_factory.mktemp("agent-home"))


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    root = write_tree(tmp_path_factory.mktemp("agent") / "linux", GATE_FILES)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        assert main(["index", "--tree", str(root)]) == 0
    return root


@pytest.fixture(scope="session")
def agent(tree: Path, environment: dict[str, str]) -> Iterator[Agent]:
    with connected(command(tree, environment)) as client:
        yield client
