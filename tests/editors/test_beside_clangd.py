"""The plugin beside a real clangd, to which it leaves navigation: nothing is answered twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.get_neovim import NoNeovim, get_neovim
from tests.editors.get_others import get_clangd
from tests.editors.test_neovim import FLOAT, KEXPERT, MENU, pressed_tag_key_jumps_to
from tests.support.neovim import Neovim, options
from tests.support.toy_tree import make_toy_tree
from tests.support.waiting import eventually

CLANGD = """
vim.lsp.config("clangd", {
  cmd = { "%s", "--log=error" }, filetypes = { "c" }, root_markers = { "compile_commands.json" },
})
vim.lsp.enable("clangd")
"""
BOTH_RUN = """
    local clients = vim.lsp.get_clients({ bufnr = 0 })
    return #clients == 2 and clients[1].initialized and clients[2].initialized
"""
WHO_ANSWERS = """
    return vim.tbl_map(function(client) return client.name end, vim.lsp.get_clients({ bufnr = 0, method = method }))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = make_toy_tree(tmp_path_factory.mktemp("clangd") / "linux")
    flags = ["cc", "-nostdinc", "-Iinclude", "-DEXPORT_SYMBOL_GPL(x)=", "-c"]
    files = [f"drivers/toy/{name}.c" for name in ("core", "user")]
    commands = [{"directory": str(tree), "file": file, "arguments": [*flags, file]} for file in files]
    (tree / "compile_commands.json").write_text(json.dumps(commands))
    return tree


@pytest.fixture(scope="module")
def editor(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    """A Neovim with both servers, whose clangd has read the tree."""
    try:
        program, clangd = get_neovim(), get_clangd()
    except NoNeovim as reason:
        pytest.skip(str(reason))
    config = options({"init_options": {"navigation": {"enabled": False}}}) + CLANGD % clangd
    with Neovim(program, tmp_path_factory.mktemp("home"), KEXPERT, config) as editor:
        editor.edit(tree / "drivers/toy/user.c", "return toy_|wind(toy")
        editor.until(BOTH_RUN)
        eventually(lambda: pressed_tag_key_jumps_to(editor, "core.c$"))
        yield editor


LEFT = ["definition", "references", "completion", "documentSymbol", "prepareCallHierarchy", "rename"]


@pytest.mark.parametrize("method", [*LEFT, "semanticTokens/full"])
def test_what_clangd_answers_is_not_answered_twice(editor: Neovim, tree: Path, method: str) -> None:
    editor.edit(tree / "drivers/toy/user.c")
    assert editor.lua(WHO_ANSWERS, method=f"textDocument/{method}") == ["clangd"]


def test_references_and_members_are_listed_once(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/core.c", "int toy_|wind(")
    editor.press("grr")
    listed = editor.until(
        """
        return vim.tbl_map(function(one)
            return { vim.fs.basename(vim.api.nvim_buf_get_name(one.bufnr)), one.lnum, one.col }
        end, vim.fn.getqflist())
        """
    )
    assert {"core.c", "user.c"} <= {name for name, _, _ in listed}
    assert len(listed) == len({tuple(place) for place in listed})
    editor.edit(tree / "drivers/toy/core.c", "\tif (toy->|broken)")
    editor.press("i<C-x><C-o>")
    assert sorted(word.strip() for word in editor.until(MENU)) == ["broken", "ops", "turns"]
    editor.press("<C-e><Esc>")


def test_cards_search_and_explanations_are_kexperts(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c", "? toy_|wind(car")
    editor.lua("vim.lsp.buf.hover()")
    card = editor.until(f"local text = (function() {FLOAT} end)() return text and text:find('Terry Toy') and text")
    assert "wind a toy up" in card
    assert "exported with" in card

    def toy_wind_is_found() -> bool:
        """False while the tree is being read for search."""
        editor.lua("vim.fn.setqflist({}, 'r', { title = '', items = {} }) vim.cmd('KexpertSearch wind a toy up')")
        editor.until("return vim.fn.getqflist({ title = 1 }).title == 'wind a toy up'")
        found = editor.lua("return vim.tbl_map(function(one) return one.text end, vim.fn.getqflist())")
        return any("function toy_wind" in text for text in found)

    eventually(toy_wind_is_found)
