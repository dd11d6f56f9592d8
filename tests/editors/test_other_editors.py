"""Emacs (eglot) and Helix, configured by the lines of editors/README.md, with the real server."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

from tests.editors.get_neovim import NoNeovim
from tests.editors.get_others import get_emacs, get_helix
from tests.support.neovim import PATIENCE
from tests.support.toy_tree import make_toy_tree
from tests.support.waiting import eventually

KEXPERT = Path(sys.executable).with_name("kexpert")
README = Path(__file__).resolve().parents[2] / "editors" / "README.md"
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;:?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9])")
SECONDS = 3 * PATIENCE / 1000
#: What Emacs is asked, after the configuration.
QUESTIONS = """
(setq eglot-sync-connect {seconds} eglot-connect-timeout {seconds} eglot-events-buffer-config nil)
(find-file "{file}")
(apply #'eglot--connect (eglot--guess-contact))
(goto-char (point-min))
(search-forward "return toy_wi")
(defun ask (method) (ignore-errors
  (jsonrpc-request (eglot-current-server) method (eglot--TextDocumentPositionParams) :timeout {seconds})))
(let ((until (+ (float-time) {seconds})) (jump nil))
  (while (and (< (float-time) until) (not (seq-find (lambda (x) (string-match-p "core" (plist-get x :uri))) jump)))
    (setq jump (append (ask :textDocument/definition) nil))
    (accept-process-output nil 0.2))
  (princ (format "\\nSERVER %s\\n" (plist-get (eglot--server-info (eglot-current-server)) :name)))
  (princ (format "JUMP %s\\n" (mapcar (lambda (x) (plist-get x :uri)) jump)))
  (princ (format "HOVER %s\\n" (plist-get (plist-get (ask :textDocument/hover) :contents) :value))))
(eglot-shutdown (eglot-current-server))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("others") / "linux")


def block(heading: str, language: str) -> str:
    """The first code block of a language below a heading of the README."""
    _, _, below = README.read_text().partition(f"## {heading}")
    match = re.search(rf"```{language}\n(.*?)```", below, re.S)
    assert match
    return match[1]


def environment(home: Path) -> dict[str, str]:
    kinds = {f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("config", "data", "state", "cache")}
    return {**os.environ, **kinds, "HOME": str(home), "PATH": f"{KEXPERT.parent}{os.pathsep}{os.environ['PATH']}"}


def test_emacs_jumps_and_shows_cards(tree: Path, tmp_path: Path) -> None:
    try:
        command, variables = get_emacs(may_fetch=os.environ.get("KEXPERT_FETCH_EMACS") == "1")
    except NoNeovim as reason:
        pytest.skip(f"no Emacs: {reason}")
    script = tmp_path / "test.el"
    root = "(setq project-vc-extra-root-markers '(\"MAINTAINERS\"))"
    configuration = f"{block('Emacs', 'elisp')}{root}\n(require 'eglot)\n"
    questions = QUESTIONS.format(file=tree / "drivers/toy/user.c", seconds=int(SECONDS))
    script.write_text(configuration + questions)
    done = subprocess.run(
        [*command, "-Q", "--batch", "-l", script], env={**environment(tmp_path), **variables}, cwd=tree,
        capture_output=True, text=True, timeout=4 * SECONDS, check=False,
    )  # fmt: skip
    said = done.stdout
    assert "SERVER kexpert" in said, done.stderr[-2000:] + said
    assert (tree / "drivers/toy/core.c").as_uri() in said.partition("JUMP")[2]
    assert "wind a toy up" in said.partition("HOVER")[2]


def test_helix_starts_the_server_and_shows_a_card(tree: Path, tmp_path: Path) -> None:
    try:
        program, variables = get_helix()
    except NoNeovim as reason:
        pytest.skip(f"no Helix: {reason}")
    settings = tmp_path / "config" / "helix"
    settings.mkdir(parents=True)
    (settings / "languages.toml").write_text(block("Helix", "toml"))
    log = tmp_path / "helix.log"
    text = (tree / "drivers/toy/user.c").read_text()
    line = text[: text.index("return toy_wind(car")].count("\n") + 1
    command = [str(program), "-v", "--log", str(log), f"drivers/toy/user.c:{line}:11"]
    with Terminal(command, tree, {**environment(tmp_path), **variables, "TERM": "xterm-256color"}) as terminal:
        eventually(lambda: b'"name":"kexpert"' in (log.read_bytes() if log.exists() else b""), seconds=SECONDS)

        def is_shown() -> bool:
            terminal.type(" k")  # hover; not after Escape, which would make it Alt and a space
            threading.Event().wait(1)
            return "wind" in terminal.text() and "exported with" in terminal.text()

        try:
            eventually(is_shown, seconds=SECONDS)
        except AssertionError:
            pytest.fail(f"no card; on the screen:\n{terminal.text()[-4000:]}\n{log.read_text()[-2000:]}")
        answered = [json.loads(found) for found in re.findall(r'<- (\{"jsonrpc".*\})', log.read_text())]
        assert any("wind a toy up" in json.dumps(answer.get("result")) for answer in answered)


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, command: list[str], folder: Path, variables: dict[str, str]) -> None:
        self._seen = bytearray()
        self._pid, self._file = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, variables)
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        os.kill(self._pid, signal.SIGWINCH)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self._file, 65536):
                self._seen += data
        except OSError:
            pass  # the program ended

    def text(self) -> str:
        """What was written so far, without the marks that move the cursor and set colours."""
        return _ESCAPES.sub(" ", self._seen.decode("utf-8", "replace"))

    def type(self, keys: str) -> None:
        os.write(self._file, keys.encode())

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *problem: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._file)
