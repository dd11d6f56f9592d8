"""The diff of a tree by git: nothing of a hostile repository runs, and nothing in it is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kexpert.workspace.git_diff import git_diff
from kexpert.workspace.refusal import Refusal
from tests.support.toy_tree import make_toy_tree

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

CORE = "drivers/toy/core.c"


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Terry", "-c", "user.email=terry@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = make_toy_tree(tmp_path / "work" / "linux")
    git(tree, "init")
    git(tree, "add", ".")
    git(tree, "commit", "-m", "one")
    (tree / CORE).write_text((tree / CORE).read_text() + "int more;\n")
    return tree


def test_the_files_are_compared_with_a_revision(root: Path) -> None:
    assert b"+int more;" in git_diff(root)
    git(root, "commit", "-am", "two")
    assert git_diff(root) == b""
    assert b"+int more;" in git_diff(root, "HEAD~1") and b"+int more;" in git_diff(root, "HEAD~1..HEAD")


def test_a_tree_in_a_folder_of_a_repository_has_its_own_paths(tmp_path: Path) -> None:
    tree = make_toy_tree(tmp_path / "linux")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    (tree / CORE).write_text("int all;\n")
    assert f"+++ b/{CORE}\n".encode() in git_diff(tree)


def test_programs_that_a_repository_names_do_not_run(root: Path, tmp_path: Path) -> None:
    (root / ".gitattributes").write_text("*.c filter=evil diff=evil\n")
    for key, value in {
        "filter.evil.clean": "touch ../ran-clean; cat", "filter.evil.process": "touch ../ran-process",
        "filter.evil.required": "true", "diff.evil.textconv": "touch ../ran-textconv; cat",
        "diff.evil.command": "touch ../ran-command", "diff.external": "touch ../ran-external",
        "core.fsmonitor": "touch ../ran-fsmonitor", "core.pager": "touch ../ran-pager",
    }.items():  # fmt: skip
        git(root, "config", key, value)
    index = (root / ".git/index").read_bytes()
    os.utime(root / CORE)
    assert b"+int more;" in git_diff(root)
    assert sorted(root.parent.glob("ran-*")) == []
    assert (root / ".git/index").read_bytes() == index


@pytest.mark.parametrize(
    "revision",
    ["", "--output=/tmp/x", "-O/etc/passwd", "no-such-revision", "HEAD; true", "a b", "$(true)", "x" * 300, "é"],
)
def test_what_is_no_revision_is_refused_in_one_line(root: Path, revision: str) -> None:
    with pytest.raises(Refusal) as refused:
        git_diff(root, revision)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="git"):
        git_diff(make_toy_tree(tmp_path / "linux"))


def test_a_diff_can_be_cancelled(root: Path) -> None:
    with pytest.raises(Refusal, match="cancelled"):
        git_diff(root, "HEAD", lambda: True)
