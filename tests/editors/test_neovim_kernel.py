"""Neovim on mm/, kernel/ and include/ of a real kernel, with the model that comes with kexpert."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.get_neovim import NoNeovim, get_neovim
from tests.editors.kernel_slice import copy_slice
from tests.editors.test_neovim import FLOAT, KEXPERT, MENU
from tests.support.neovim import Neovim, options

#: Without the headers that these tests do not open: reading them would take half of the time.
PARTS = ("mm", "kernel", "include/linux", "Kconfig", "Kbuild", "Makefile", "MAINTAINERS")
#: The part of a suggestion that is shown at the cursor, all its lines.
GHOST = """
    for name, space in pairs(vim.api.nvim_get_namespaces()) do
        if name:find("inline_completion", 1, true) then
            local shown = {}
            for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })) do
                for _, piece in ipairs(mark[4].virt_text or {}) do
                    shown[#shown + 1] = piece[1]
                end
            end
            return table.concat(shown)
        end
    end
"""


@pytest.fixture(scope="module")
def tree(kernel_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_slice(tmp_path_factory.mktemp("slice"), kernel_tree, PARTS)


@pytest.fixture(scope="module")
def editor(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    """A Neovim whose server finds an index without vectors."""
    try:
        program = get_neovim()
    except NoNeovim as reason:
        pytest.skip(f"no Neovim: {reason}")
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "XDG_CACHE_HOME": str(home / "cache")}
    index = [str(KEXPERT), "index", "--no-vectors", "--tree", str(tree)]
    subprocess.run(index, env=environment, check=True, stdout=subprocess.DEVNULL)
    config = options({"init_options": {"vectors": {"enabled": False}, "diagnostics": {"checkpatch": False}}})
    with Neovim(program, home, KEXPERT, config) as editor:
        editor.lua("vim.o.swapfile = false vim.o.hidden = true")
        yield editor


def test_a_card_shows_signature_place_and_documentation(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "mm/util.c", "EXPORT_SYMBOL(kstr|dup)")
    editor.lua("vim.lsp.buf.hover()")
    card = editor.until(FLOAT)
    assert "char *kstrdup(const char *s, gfp_t gfp)" in card
    assert "allocate space for and copy an existing string" in card
    assert card.index("mm/util.c") < card.index("allocate space"), "the place comes before the documentation"


def test_a_long_struct_is_folded_to_the_members_near_the_use(editor: Neovim, tree: Path) -> None:
    editor.forget()
    editor.edit(tree / "kernel/fork.c", "struct task_|struct *")
    editor.lua("vim.lsp.buf.hover()")
    card = editor.until(FLOAT)
    assert "struct task_struct" in card
    assert " more" in card
    assert len(card.splitlines()) < 80


def test_members_are_offered_in_kernel_code(editor: Neovim, tree: Path) -> None:
    editor.forget()
    editor.edit(tree / "mm/mmap.c", "vma->|vm_start")
    editor.press("i<C-x><C-o>")
    assert {"vm_start", "vm_end", "vm_flags"} <= set(editor.until(MENU))


def test_ghost_text_is_taken_by_the_word_and_then_whole(editor: Neovim, tree: Path) -> None:
    editor.forget()
    editor.lua("if not vim.lsp.inline_completion then error('Neovim 0.12 is needed') end")
    editor.edit(tree / "mm/util.c", "EXPORT_SYMBOL(kstrdup|);")
    signature = "static char *again(const char *s, gfp_t gfp)"
    editor.press(f"A<CR><CR>{signature}<CR>{{<CR>size_t len;<CR>char *buf;<CR><CR>if (!s)<CR>")
    offered = editor.until(GHOST)
    line = "return vim.api.nvim_get_current_line()"
    before = editor.lua(line)
    assert editor.lua("return require('kexpert').accept('word')")
    editor.until(f"return (function() {line} end)() ~= before", before=before)
    taken = editor.lua(line)[len(before) :]
    assert taken and offered.startswith(taken) and len(taken) <= len(offered)
    editor.press("<Esc>")


def test_an_edit_saved_in_one_file_is_completed_in_another(editor: Neovim, tree: Path) -> None:
    editor.forget()
    editor.edit(tree / "mm/util.c", "EXPORT_SYMBOL(kstrdup|);")
    editor.press("A<CR><CR>char *kstr_painted(const char *s)<CR>{<CR>return NULL;<CR>}<Esc>")
    editor.until("return vim.bo.modified and vim.fn.mode() == 'n'")
    editor.lua("vim.cmd('write | bwipeout')")
    editor.edit(tree / "kernel/panic.c", "EXPORT_SYMBOL(panic|);")
    editor.press("A<CR><CR>void paint(void)<CR>{<CR>kstr_pai<C-x><C-o>")
    editor.until("return vim.api.nvim_get_current_line():find('kstr_painted', 1, true)")
    editor.press("<C-e><Esc>")
