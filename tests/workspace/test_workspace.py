"""The façade without a protocol: a tree found late, documents over it, settings that take effect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kexpert.background.progress import Progress
from kexpert.workspace.documents import Edit
from kexpert.workspace.snapshot import Position, Refusal
from kexpert.workspace.workspace import Workspace
from tests.support.toy_tree import home_environment, write_tree
from tests.support.waiting import eventually

FILES = {
    "include/linux/gizmo.h": "struct gizmo {\n\tint size;\n};\nint gizmo_start(struct gizmo *g);\n",
    "drivers/core.c": "#include <linux/gizmo.h>\nint gizmo_start(struct gizmo *g)\n{\n\treturn g->size;\n}\n",
    "drivers/user.c": "#include <linux/gizmo.h>\nint use(struct gizmo *g)\n{\n\treturn gizmo_start(g);\n}\n",
}
CALL = Position("drivers/user.c", 3, 9)


class Heard:
    """A listener that remembers what it heard."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def log(self, level: str, text: str) -> None:
        self.lines.append((level, text))

    def show_once(self, level: str, text: str) -> None:
        self.lines.append((level, text))

    def failure(self, what: str, problem: Exception) -> None:
        raise AssertionError(what) from problem

    def progress(self, progress: Progress) -> None:
        pass


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in home_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return write_tree(tmp_path / "linux", FILES)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def workspace(root: Path, heard: Heard) -> Iterator[Workspace]:
    made = Workspace(heard, "utf-16", lambda work: None, [("client", {"vectors.enabled": False})])
    yield made
    made.close()


def test_without_a_tree_the_open_documents_answer_alone(workspace: Workspace) -> None:
    workspace.open("/x/a.c", FILES["drivers/core.c"])
    at = Position("/x/a.c", 1, 5)
    assert workspace.snapshot().hover(at) is not None
    assert [span.path for span in workspace.snapshot().definition(at)] == ["/x/a.c"]
    assert workspace.snapshot().hover(CALL) is None


def test_a_tree_that_is_found_later_takes_in_what_is_open(workspace: Workspace, root: Path) -> None:
    path = str(root / "drivers/user.c")
    workspace.open(path, FILES["drivers/user.c"])
    assert not workspace.open_tree(root.parent)
    assert workspace.open_tree(root / "drivers", lambda known, tree: str(Path(known).relative_to(tree)))
    assert workspace.root == root
    assert list(workspace.documents) == ["drivers/user.c"]
    found = eventually(lambda: workspace.snapshot().definition(CALL))
    assert found[0].path == "drivers/core.c"


def test_a_snapshot_stays_as_it_was(workspace: Workspace) -> None:
    workspace.open("a.c", "int before;\n")
    taken = workspace.snapshot()
    workspace.edit("a.c", [Edit("int after;\n")])
    workspace.close_document("a.c")
    assert [entry.symbol.name for entry in taken.document_symbols("a.c")] == ["before"]
    assert workspace.snapshot().source("a.c") is None


def test_an_edit_counts_before_it_is_saved(workspace: Workspace, root: Path) -> None:
    workspace.open_tree(root)
    eventually(lambda: workspace.snapshot().definition(CALL))
    workspace.open("drivers/core.c", FILES["drivers/core.c"])
    workspace.edit("drivers/core.c", [Edit("moved", (1, 4), (1, 15))])
    definitions = workspace.snapshot().definition(CALL)
    assert [span.path for span in definitions] == ["include/linux/gizmo.h"]


def test_settings_of_the_tree_take_effect_when_their_file_is_saved(
    workspace: Workspace, root: Path, heard: Heard
) -> None:
    workspace.open_tree(root)
    assert workspace.settings.hover_callers
    (root / "kexpert.toml").write_text("hover.callers = false\nhover.nonsense = 1\n")
    workspace.save("kexpert.toml")
    assert not workspace.settings.hover_callers
    assert any("hover.nonsense" in text for level, text in heard.lines if level == "warning")
    workspace.configure("client", {"hover": {"callers": True}, "vectors.enabled": False})
    assert workspace.settings.hover_callers


def test_an_index_setting_makes_the_index_anew(workspace: Workspace, root: Path) -> None:
    workspace.open_tree(root)
    assert eventually(lambda: workspace.snapshot().view.lookup("gizmo_start"))
    before = workspace.snapshot().index
    workspace.configure("client", {"vectors.enabled": False, "hover.layout": False})
    assert workspace.snapshot().index is before
    workspace.configure("client", {"vectors.enabled": False, "index.jobs": 1})
    assert workspace.snapshot().index is not before
    assert eventually(lambda: workspace.snapshot().view.lookup("gizmo_start"))


@pytest.mark.parametrize("path", ["absent.c", "/etc/passwd", "../outside.c", "untitled:1", ""])
def test_every_question_about_no_file_has_an_empty_answer(workspace: Workspace, root: Path, path: str) -> None:
    workspace.open_tree(root)
    snapshot, at = workspace.snapshot(), Position(path, 0, 0)
    for question in (
        snapshot.hover, snapshot.completion, snapshot.signature_help, snapshot.inline_completion,
        snapshot.inline_in_menu, snapshot.prepare_rename, snapshot.definition, snapshot.declaration,
        snapshot.type_definition, snapshot.implementation, snapshot.references, snapshot.highlights,
        snapshot.prepare_calls, snapshot.selections,
    ):  # fmt: skip
        assert not question(at), question
    assert snapshot.rename(at, "x") == snapshot.similar(at, at) == []
    assert snapshot.document_symbols(path) == snapshot.folds(path) == []
    assert snapshot.diagnostics(path) is None
    snapshot.warm(path)


def test_a_refusal_says_why(workspace: Workspace, root: Path) -> None:
    workspace.open_tree(root)
    eventually(lambda: workspace.snapshot().definition(CALL))
    with pytest.raises(Refusal, match="gizmo_start"):
        workspace.snapshot().rename(CALL, "other")
    with pytest.raises(Refusal, match="kind"):
        workspace.snapshot().search("start kind:nonsense")
