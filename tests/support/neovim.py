"""A headless Neovim under the control of a test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.waiting import eventually

PLUGIN = Path(__file__).resolve().parents[2] / "editors" / "neovim"
#: Maximum wait for anything, in milliseconds.
PATIENCE = 1000 * int(os.environ.get("PATIENCE_SECONDS", "60"))


class Neovim:
    """One Neovim with the plugin installed as its README says, in folders of its own. ``config`` is its init.lua.

    ``cache``: an XDG_CACHE_HOME whose indexes the server uses.
    """

    def __init__(self, program: Path, home: Path, kexpert: Path, config: str = "", cache: Path | None = None) -> None:
        settings = home / "config" / "nvim" / "init.lua"
        settings.parent.mkdir(parents=True)
        settings.write_text(config)
        packages = home / "data" / "nvim" / "site" / "pack" / "kexpert" / "start"
        packages.mkdir(parents=True)
        (packages / "kexpert").symlink_to(PLUGIN)
        self._program = program
        self._environment = {
            **os.environ,
            "HOME": str(home),
            "PATH": f"{kexpert.parent}{os.pathsep}{os.environ['PATH']}",
            **{f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("config", "data", "state")},
            "XDG_CACHE_HOME": str(cache or home / "cache"),
        }
        # A socket's path has room for about a hundred characters.
        self._sockets = tempfile.mkdtemp(prefix="nvim")
        self._address = os.path.join(self._sockets, "s")
        self._process = subprocess.Popen(
            [program, "--headless", "--listen", self._address],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Neovim:
        eventually(
            lambda: self._process.poll() is not None or os.path.exists(self._address), seconds=PATIENCE / 1000
        )
        assert self._process.poll() is None, "Neovim does not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.keep_screen()
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            shutil.rmtree(self._sockets, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of the process that runs the plugin."""
        return int(self.lua("return vim.uv.os_getpid()"))

    def lua(self, body: str, **values: Any) -> Any:
        """Run Lua and return its result; ``values`` are its locals."""
        names = "".join(f"local {name} = _A.{name}\n" for name in values)
        function = f"(function() {names}{body}\nend)()"
        expression = f"json_encode(luaeval({_quoted(function)}, json_decode({_quoted(json.dumps(values))})))"
        done = subprocess.run(
            [self._program, "--server", self._address, "--remote-expr", expression],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE / 1000,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def until(self, body: str, **values: Any) -> Any:
        """Run Lua until its result is neither nil, false nor empty; returns it."""
        awaited = f"""
            local found
            vim.wait({PATIENCE}, function()
                found = (function() {body} end)()
                return found and found ~= "" and not (type(found) == "table" and next(found) == nil)
            end, 20)
            return found
        """
        found = self.lua(awaited, **values)
        assert found, f"never came true: {body.strip()}\n{self.messages()}\non the screen:\n{self.screen()}"
        return found

    def screen(self) -> str:
        """What is on the screen, a line each."""
        rows: list[str] = self.lua(
            """
            vim.cmd.redraw()
            local rows = {}
            for row = 1, vim.o.lines do
                local cells = {}
                for column = 1, vim.o.columns do
                    cells[column] = vim.fn.screenstring(row, column)
                end
                rows[row] = (table.concat(cells):gsub("%s+$", ""))
            end
            return rows
            """
        )
        return "\n".join(rows)

    def keep_screen(self) -> None:
        """Write what is on the screen into SCREENSHOTS=DIR, under the name of the test that runs."""
        if folder := os.environ.get("SCREENSHOTS"):
            test = os.environ.get("PYTEST_CURRENT_TEST", "neovim").split("::")[-1].split(" ")[0]
            path = Path(folder, "neovim", f"{test.replace('/', '-')}.txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.screen() + "\n")

    def ask(self, method: str, parameters: str) -> Any:
        """The server's result of a request about the document; ``parameters`` is Lua."""
        wait = f"vim.lsp.buf_request_sync(0, 'textDocument/{method}', {parameters}, {PATIENCE})"
        (answer,) = self.lua(f"return vim.tbl_values({wait})")
        return answer["result"]

    def messages(self) -> str:
        said: str = self.lua("return vim.fn.execute('messages')")
        return said

    def edit(self, path: Path, at: str = "|") -> None:
        """Open a file with the cursor at the bar in ``at``, otherwise text of the file; wait for the server."""
        before, _, after = at.partition("|")
        offset = path.read_text().index(before + after) + len(before)
        self.lua('vim.cmd.edit(path) vim.cmd("goto " .. offset)', path=str(path), offset=offset + 1)
        self.until(
            """
            local client = vim.lsp.get_clients({ bufnr = 0, name = "kexpert" })[1]
            return client and client.initialized
            """
        )

    def press(self, keys: str) -> None:
        """Type, in the notation of mappings."""
        self.lua("vim.api.nvim_input(keys)", keys=keys)

    def forget(self) -> None:
        """Return to an empty window and discard changes."""
        self.press("<Esc>")
        self.lua("vim.cmd('silent! only! | %bwipeout! | cclose | call setqflist([])')")

    def place(self) -> tuple[str, str]:
        """The file in the window and the text of the cursor's line."""
        path, line = self.lua("return { vim.api.nvim_buf_get_name(0), vim.api.nvim_get_current_line() }")
        return path, line


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def options(lua: Mapping[str, Any]) -> str:
    """The text of an init.lua that configures kexpert."""
    return f"vim.lsp.config('kexpert', vim.json.decode([==[{json.dumps(lua)}]==]))\n"
