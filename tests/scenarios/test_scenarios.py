"""Every scenario through every front end that can ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kexpert.__main__ import main
from tests.scenarios.harness import CONFIG, FRONT_ENDS, FrontEnd
from tests.scenarios.scenario import Scenario, ScenarioTree, complaints, load
from tests.support.toy_tree import home_environment, write_tree

TREES = [load(file) for file in sorted(Path(__file__).parent.glob("*.toml"))]
CASES = [
    pytest.param(tree, kind, scenario, id=f"{tree.name}-{kind}-{scenario.name.replace(' ', '_')}")
    for tree in TREES
    for kind, front_end in FRONT_ENDS.items()
    for scenario in tree.scenarios
    if scenario.ask in front_end.asks
]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[ScenarioTree], Path]]:
    """Write a tree and index it, once; returns its root."""
    home = tmp_path_factory.mktemp("home")
    settings = home / "config" / "kexpert" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(CONFIG)
    roots: dict[str, Path] = {}

    def make(tree: ScenarioTree) -> Path:
        if tree.name not in roots:
            roots[tree.name] = write_tree(home / tree.name / "linux", tree.files)
            assert main(["index", "--tree", str(roots[tree.name])]) == 0
        return roots[tree.name]

    with pytest.MonkeyPatch.context() as patch:
        for name, value in home_environment(home).items():
            patch.setenv(name, value)
        yield make


@pytest.fixture(scope="module")
def start(indexed: Callable[[ScenarioTree], Path]) -> Iterator[Callable[[ScenarioTree, str], FrontEnd]]:
    """Start a front end on a tree; it runs until another one is wanted."""
    running: dict[tuple[str, str], FrontEnd] = {}

    def close_all() -> None:
        while running:
            running.popitem()[1].close()

    def start_or_keep(tree: ScenarioTree, kind: str) -> FrontEnd:
        if (tree.name, kind) not in running:
            close_all()
            running[tree.name, kind] = FRONT_ENDS[kind](indexed(tree))
        return running[tree.name, kind]

    yield start_or_keep
    close_all()


@pytest.mark.parametrize(("tree", "kind", "scenario"), CASES)
def test_scenario(
    start: Callable[[ScenarioTree, str], FrontEnd], tree: ScenarioTree, kind: str, scenario: Scenario
) -> None:
    assert complaints(scenario, start(tree, kind).answer(scenario)) == []
