"""Every scenario through every front end that can ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kexpert.cli.main import main
from tests.scenarios.harness import CONFIG, FRONT_ENDS, FrontEnd
from tests.scenarios.scenario import Scenario, ScenarioTree, complaints, load
from tests.support.toy_tree import home_environment, write_tree

TREES = {tree.name: tree for tree in map(load, sorted(Path(__file__).parent.glob("*.toml")))}
CASES = [
    pytest.param((tree.name, front_end), scenario, id=f"{tree.name}-{front_end}-{scenario.name.replace(' ', '_')}")
    for tree in TREES.values()
    for front_end, kind in FRONT_ENDS.items()
    for scenario in tree.scenarios
    if scenario.ask in kind.asks
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
def front_end(request: pytest.FixtureRequest, indexed: Callable[[ScenarioTree], Path]) -> Iterator[FrontEnd]:
    """A front end at work on a tree; pytest groups the tests, so that each is started once."""
    tree, kind = request.param
    started = FRONT_ENDS[kind](indexed(TREES[tree]))
    yield started
    started.close()


@pytest.mark.parametrize(("front_end", "scenario"), CASES, indirect=["front_end"])
def test_scenario(front_end: FrontEnd, scenario: Scenario) -> None:
    assert complaints(scenario, front_end.answer(scenario)) == []
