"""What the plugin does when the server ends, and where there is none."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.editors.test_neovim import KEXPERT, PLACE, asked
from tests.support.neovim import PATIENCE, Neovim
from tests.support.toy_tree import make_toy_tree
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("neovim") / "linux")


def test_a_killed_server_is_started_again(program: Path, tree: Path, tmp_path: Path) -> None:
    with Neovim(program, tmp_path / "home", KEXPERT) as editor:
        editor.edit(tree / "drivers/toy/user.c", "? toy_|wind(car")
        (server,) = servers_of(tree, editor.pid)
        os.kill(server, signal.SIGKILL)
        editor.until("local client = vim.lsp.get_clients()[1] return client and client.id > 1 and client.initialized")
        assert "is started again" in editor.messages()
        editor.until(asked("textDocument/hover", PLACE))


def servers_of(tree: Path, editor: int) -> list[int]:
    """The processes that a Neovim started to serve a tree."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if "serve" in (folder / "cmdline").read_text().split("\0") and os.readlink(folder / "cwd") == str(tree):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                found += [int(folder.name)] if parent == editor else []
    return found


def test_after_four_crashes_the_server_stays_down_until_it_is_started_again(
    program: Path, tree: Path, tmp_path: Path
) -> None:
    with Neovim(program, tmp_path / "home", KEXPERT) as editor:
        editor.edit(tree / "drivers/toy/user.c")
        for _ in range(5):
            (server,) = eventually(lambda: servers_of(tree, editor.pid), seconds=PATIENCE / 1000)
            editor.until("local client = vim.lsp.get_clients()[1] return client and client.initialized")
            os.kill(server, signal.SIGKILL)
            eventually(lambda dead=server: dead not in servers_of(tree, editor.pid), seconds=PATIENCE / 1000)
        editor.until("return vim.fn.execute('messages'):match('5 times within 3 minutes')")
        assert ":KexpertRestart" in editor.messages()
        assert editor.lua("return require('kexpert').status()") == "kexpert: stopped"
        assert not servers_of(tree, editor.pid)
        editor.lua("vim.cmd('KexpertRestart')")
        editor.until("local client = vim.lsp.get_clients()[1] return client and client.initialized")


def test_a_missing_program_is_said_with_the_mend(program: Path, tree: Path, tmp_path: Path) -> None:
    with Neovim(program, tmp_path / "home", KEXPERT, "vim.g.kexpert_command = '/nowhere/kexpert'\n") as editor:
        editor.lua("vim.cmd.edit(path)", path=str(tree / "drivers/toy/user.c"))
        editor.until("return vim.fn.execute('messages'):match('KexpertInstall')")
        assert "names no program: /nowhere/kexpert" in editor.messages()
        assert editor.lua("return #vim.lsp.get_clients()") == 0
        editor.lua("vim.cmd('checkhealth kexpert')")
        report = "\n".join(editor.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, false)"))
        assert "the program kexpert was not found" in report
