"""Rows from a tree's git history: a hunk of a change is the input, what its author wrote about it is the answer."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from kexpert.core.text import decode
from kexpert.prompt.chat import Task
from kexpert_trainer.data.licences import licence_of
from kexpert_trainer.data.rows import Row, row_id
from kexpert_trainer.errors import UserError

_FORMAT = "%x1e%H%x1f%s%x1f%b%x1f"
#: The repository is not trusted: nothing that its configuration names may run.
_GIT = (
    "git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
    "-c", "log.showSignature=false",
)  # fmt: skip
_TIMEOUT_SECONDS = 600
_MAX_HUNK_CHARS = 4_000
_MIN_CHARS, _MAX_CHARS = 30, 420
_SPACE = re.compile(r"\s+")
_PREFIX = re.compile(r"(?:\[[^\]]*\]\s*)?(?:[\w./,+ -]{1,40}:\s*)+")
_TRAILER = re.compile(r"[A-Z][\w-]+(?:-by| by)?: |\(cherry picked|\[ ?Upstream|commit [0-9a-f]{8,}", re.I)
_FILE = re.compile(r"^\+\+\+ b/(.+)$", re.M)
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@(.*)$", re.M)
_SENTENCE = re.compile(r"(?<=[a-z0-9)]\.)\s+(?=[A-Z])")


def head_of(tree: Path) -> str:
    """The commit that is checked out; "" if the tree is no git work tree of its own, or git is missing."""
    if not (tree / ".git").exists():
        return ""
    try:
        return _git(tree, "rev-parse", "--verify", "HEAD").strip()
    except (OSError, UserError):
        return ""


def mine_history(tree: Path, head: str, skip: int, count: int, tree_name: str) -> Iterator[Row]:
    """Yield the rows of ``count`` commits before ``head``, after the first ``skip``. Raises OSError, UserError."""
    log = _git(
        tree, "log", "--no-merges", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "-p", "-U3",
        f"--format={_FORMAT}", f"--skip={skip}", f"--max-count={count}", head, "--", "*.c", "*.h",
    )  # fmt: skip
    for entry in log.split("\x1e")[1:]:
        commit, title, body, patch = (*entry.split("\x1f"), "", "", "")[:4]
        yield from _rows(tree, commit.strip(), title, body, patch, tree_name)


def _rows(tree: Path, commit: str, title: str, body: str, patch: str, tree_name: str) -> Iterator[Row]:
    """A change of one place in one file: a message about more says too little about each."""
    files, hunks = _FILE.findall(patch), list(_HUNK.finditer(patch))
    if len(files) != 1 or len(hunks) != 1 or "\n--- /dev/null\n" in patch:
        return
    (path,), (hunk,) = files, hunks
    text = f"{hunk[3].strip()}\n{patch[hunk.end():].strip(chr(10))}".strip()
    if len(text) > _MAX_HUNK_CHARS:
        return
    line, lines = int(hunk[1]), int(hunk[2] or 1)

    def row(task: Task, output: str) -> Row:
        identity = row_id(tree_name, path, commit, line, task)
        return Row(
            identity, task, output, path, line, line + max(lines, 1) - 1, tree_name, _licence(tree, path),
            _PREFIX.sub("", hunk[3]).strip(), "commit", text, notes={"commit": commit},
        )  # fmt: skip

    if summary := _PREFIX.sub("", title, count=1).strip().rstrip("."):
        yield row(Task.SUMMARY, summary[:1].upper() + summary[1:])
    if explanation := _explanation(body):
        yield row(Task.EXPLANATION, explanation)


def _explanation(body: str) -> str:
    """The first paragraph of a message, at most three sentences; "" for lists, quotes and trailers."""
    paragraph = body.strip().split("\n\n")[0]
    if _TRAILER.match(paragraph) or re.search(r"^\s*[-*>|#]|:\s*$", paragraph, re.M):
        return ""
    text = " ".join(_SENTENCE.split(_SPACE.sub(" ", paragraph).strip())[:3])
    return text if _MIN_CHARS <= len(text) <= _MAX_CHARS else ""


def _licence(tree: Path, path: str) -> str:
    try:
        file = (tree / path).resolve(strict=True)
        return licence_of(file.read_bytes()) if file.is_relative_to(tree.resolve()) else ""
    except OSError:
        return ""


def _git(tree: Path, *words: str) -> str:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
    command = [*_GIT, "-C", str(tree), *words]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
    if done.returncode:
        said = decode(done.stderr).strip().splitlines()
        raise UserError(f"{tree}: git {words[0]} failed ({said[-1] if said else done.returncode})")
    return decode(done.stdout)
