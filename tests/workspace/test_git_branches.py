"""Branches are read from git's files."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kexpert.workspace.git_branches import branches


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_branches_loose_and_packed_and_of_a_worktree(tmp_path: Path) -> None:
    root = tmp_path / "linux"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "commit", "-q", "--allow-empty", "-m", "first")
    git(root, "branch", "topic/one")
    git(root, "pack-refs", "--all")
    git(root, "branch", "topic/two")
    found = branches(root)
    assert found is not None
    assert found.names == ("main", "topic/one", "topic/two")
    assert found.current == "main"
    git(root, "worktree", "add", "-q", str(tmp_path / "other"), "topic/two")
    other = branches(tmp_path / "other")
    assert other is not None
    assert other.names == found.names
    assert other.current == "topic/two"
    git(root, "checkout", "-q", "--detach")
    detached = branches(root)
    assert detached is not None
    assert detached.current.startswith("commit ")


def test_without_git_there_are_none(tmp_path: Path) -> None:
    assert branches(tmp_path) is None
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    assert branches(tmp_path) is None
