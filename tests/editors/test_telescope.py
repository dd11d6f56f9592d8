"""Results in a real Telescope, Debian's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.editors.get_neovim import NoNeovim, get_neovim
from tests.editors.get_others import get_telescope
from tests.editors.test_neovim import KEXPERT, asked
from tests.support.neovim import PATIENCE, Neovim
from tests.support.toy_tree import make_toy_tree
from tests.support.waiting import eventually


def test_results_of_a_grep_are_previewed_in_telescope_and_one_is_opened(tmp_path: Path) -> None:
    try:
        program, folders = get_neovim(), get_telescope()
    except NoNeovim as reason:
        pytest.skip(str(reason))
    tree = make_toy_tree(tmp_path / "linux")
    config = "".join(f"vim.opt.runtimepath:append('{folder}')\n" for folder in folders)
    with Neovim(program, tmp_path / "home", KEXPERT, config) as editor:
        editor.lua("vim.o.columns, vim.o.lines = 160, 40 vim.cmd.cd(path)", path=str(tree))
        editor.edit(tree / "drivers/toy/core.c")
        editor.until(asked("workspace/executeCommand", "{ command = 'kexpert.grep', arguments = { 'car_play' } }"))
        editor.lua(r"""
            vim.ui.input = function(_, done) done([[toy_wind\(car, \d]]) end
            vim.cmd("KexpertGrep")
        """)
        shown = eventually(
            editor.screen,
            lambda rows: "function car_play" in rows and "Grep Preview" in rows and "toy_wind(car, 3)" in rows,
            seconds=PATIENCE / 1000,
        )
        assert "Quickfix" in shown
        editor.press("<CR>")
        editor.until("return vim.api.nvim_buf_get_name(0):match('user.c$')")
        assert editor.place()[1] == "\treturn toy_wind(car, 3) ? toy_wind(car, 1) : 0;"
