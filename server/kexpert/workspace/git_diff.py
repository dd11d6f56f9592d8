"""A diff from git: of the working tree against a revision, or between two. Nothing of the repository is run."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from kexpert.core.unified_diff import MAX_DIFF_BYTES, parse_unified_diff
from kexpert.workspace.refusal import Refusal

_SECONDS = 60.0
_POLL_SECONDS = 0.05
_MAX_REVISION_CHARS = 256
_REVISION = re.compile(r"[A-Za-z0-9_@^~.{}/:+-]+", re.A)
_READ_BYTES = 1 << 16
#: Settings of a repository that would start programs or write into it.
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "diff.external=", "-c", "core.pager=cat",
         "-c", "core.quotePath=true", "-c", "diff.submodule=short")  # fmt: skip
#: A diff that is made by git alone.
_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color")


def git_diff(root: Path, revision: str = "HEAD", cancelled: Callable[[], bool] = lambda: False) -> bytes:
    """The unified diff of a tree against ``REV``, or of ``REV..REV``. Raises Refusal."""
    if not revision or len(revision) > _MAX_REVISION_CHARS or not _REVISION.fullmatch(revision):
        raise Refusal(f"{revision[:80]!r} is no revision of git such as HEAD~1, v6.1 or v6.1..HEAD")
    if revision.startswith("-"):
        raise Refusal(f"{revision[:80]!r} is no revision of git: it begins with a dash")
    arguments = ["diff", *_PLAIN, "--relative", "--ignore-submodules=all", "--find-renames", "--src-prefix=a/",
                 "--dst-prefix=b/", "--end-of-options", revision, "--"]  # fmt: skip
    return _git(root, arguments, cancelled)


def changed_lines(
    root: Path, path: str, cancelled: Callable[[], bool] = lambda: False
) -> Container[int] | None:
    """The lines of a saved file (from 0) that are not as in git's HEAD, all of a file that git does not track.

    None where git cannot tell: it is not installed, or the tree is in none of its repositories.
    """
    name = f":(literal){path}"
    try:
        asked = ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignored", "--", name]
        status = _git(root, asked, cancelled)
        if status[:2] in (b"??", b"!!"):
            return range(sys.maxsize)
        if not status:
            return ()
        diff = _git(root, ["diff", *_PLAIN, "--unified=0", "--end-of-options", "HEAD", "--", name], cancelled)
    except Refusal:
        return None
    hunks = (hunk for file in parse_unified_diff(diff).files for hunk in file.hunks)
    return {hunk.new_start + at for hunk in hunks for at in range(len(hunk.side("+")))}


def _git(root: Path, arguments: Sequence[str], cancelled: Callable[[], bool]) -> bytes:
    """The output of one command of git. Raises Refusal."""
    program = shutil.which("git")
    if program is None:
        raise Refusal("git is not installed; give a diff by - or as a file")
    filters = _filter_settings(program, root, cancelled)
    return _run([program, *_SAFE, *filters, "-C", str(root), *arguments], root, cancelled, MAX_DIFF_BYTES + 1)


def _filter_settings(program: str, root: Path, cancelled: Callable[[], bool]) -> list[str]:
    """Settings that switch off the filters of a repository: git would run them on changed files."""
    listing = [program, *_SAFE, "-C", str(root), "config", "--null", "--name-only", "--get-regexp", r"^filter\."]
    try:
        found = _run(listing, root, cancelled, 1 << 20)
    except _Failed:
        return []  # no filter, or no repository, which the diff itself will say
    settings: list[str] = []
    names = {key.rpartition(b".")[0] for key in found.split(b"\0") if key.count(b".") >= 2}
    for name in sorted(names):
        section = os.fsdecode(name)
        if "=" in section:
            raise Refusal(f"{root}: git's setting {section} cannot be switched off; give the diff by -")
        for key, value in (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")):
            settings += ["-c", f"{section}.{key}={value}"]
    return settings


class _Failed(Refusal):
    """git ended with an error."""


def _run(command: Sequence[str], root: Path, cancelled: Callable[[], bool], max_bytes: int) -> bytes:
    """The output of a command without a shell. Raises Refusal."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
                    "GIT_NO_LAZY_FETCH": "1"}  # fmt: skip
    try:
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Refusal(f"git: {error.strerror or error}") from None
    try:
        output, errors = _collect(process, root, cancelled, max_bytes)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    if process.returncode not in (0, -signal.SIGKILL) or (process.returncode and len(output) < max_bytes):
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        raise _Failed(f"{root}: git: {lines[0][:300] if lines else f'ended with {process.returncode}'}")
    return output


def _collect(
    process: subprocess.Popen[bytes], root: Path, cancelled: Callable[[], bool], max_bytes: int
) -> tuple[bytes, bytes]:
    """Output and error output, until both end, the output is too long, or the time is over."""
    assert process.stdout is not None and process.stderr is not None
    end = time.monotonic() + _SECONDS
    kept: dict[int, bytearray] = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    output, errors = kept[process.stdout.fileno()], kept[process.stderr.fileno()]
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            if cancelled():
                raise Refusal("cancelled")
            if time.monotonic() > end:
                raise Refusal(f"{root}: git took longer than {_SECONDS:.0f} s; make the diff by hand and give it by -")
            for key, _ in selector.select(_POLL_SECONDS):
                piece = os.read(key.fd, _READ_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                kept[key.fd] += piece
            if len(output) >= max_bytes:
                return bytes(output[:max_bytes]), bytes(errors)
    process.wait(timeout=_SECONDS)
    return bytes(output), bytes(errors)
