"""Waits in a real Neovim, for ``keystrokes``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.editors.get_neovim import get_neovim
from tests.support.neovim import Neovim

if TYPE_CHECKING:
    from benchmarks.keystrokes import Place

_MAX_MS = 3000
#: Completion while typing, as the README of the plugin says.
_CONFIG = """
vim.o.completeopt = "menuone,noselect,popup"
vim.o.swapfile = false
vim.api.nvim_create_autocmd("LspAttach", { callback = function(event)
  vim.lsp.completion.enable(true, event.data.client_id, event.buf, { autotrigger = true })
end })
"""
#: ``kx.arm`` waits for a key and then for what it shows; ``kx.wait()`` is the milliseconds between.
_CLOCK = """
kx = { timer = vim.uv.new_timer() }
vim.on_key(function(_, typed)
  if kx.armed and typed and typed ~= "" then kx.key = vim.uv.hrtime() end -- the last key, where there are two
end)
local function ghost(row)
  for name, space in pairs(vim.api.nvim_get_namespaces()) do
    if name:find("inline_completion", 1, true)
      and #vim.api.nvim_buf_get_extmarks(0, space, { row, 0 }, { row, -1 }, {}) > 0 then
      return true
    end
  end
end
function kx.arm(row)
  kx.key, kx.shown, kx.armed = nil, nil, true
  kx.timer:start(1, 1, vim.schedule_wrap(function()
    if kx.armed and kx.key and (row and ghost(row) or not row and vim.fn.pumvisible() == 1) then
      kx.shown, kx.armed = vim.uv.hrtime(), false
    end
  end))
end
function kx.wait()
  kx.timer:stop()
  kx.armed = false
  return kx.shown and (kx.shown - kx.key) / 1e6
end
return true
"""
_PREPARE = """
vim.cmd.edit({ path, bang = true })
vim.api.nvim_buf_set_lines(0, line, line + (ghost and 2 or 1), false, { text })
vim.api.nvim_win_set_cursor(0, { line + 1, #text })
"""


def neovim_waits(kexpert: Path, tree: Path, cache: Path, places: list[Place]) -> list[float | None]:
    """Milliseconds of each place; None where nothing came. Raises NoNeovim."""
    program = get_neovim()
    with (
        tempfile.TemporaryDirectory(prefix="kx") as home,
        Neovim(program, Path(home), kexpert, _CONFIG, cache) as editor,
    ):
        editor.lua(_CLOCK)
        _press(editor, tree, places[0])  # the server starts, the model is loaded
        return [_press(editor, tree, place) for place in places]


def _press(editor: Neovim, tree: Path, place: Place) -> float | None:
    text = (tree / place.path).read_bytes().split(b"\n")[place.line][: place.column].decode("ascii")
    editor.press("<Esc>")
    editor.edit(tree / place.path)
    editor.lua(_PREPARE, path=str(tree / place.path), line=place.line, text=text, ghost=place.is_ghost)
    editor.press("A")
    editor.until("return vim.fn.mode() == 'i'")
    editor.lua("kx.arm(row)", row=place.line + 1) if place.is_ghost else editor.lua("kx.arm()")
    editor.press({"member": ">", "name": f"{place.key}<C-x><C-o>", "ghost": "<CR>"}[place.kind])
    editor.lua(f"vim.wait({_MAX_MS}, function() return kx.shown end, 5)")
    wait: float | None = editor.lua("return kx.wait() or vim.NIL")
    editor.press("<C-e><Esc>")
    editor.lua("vim.cmd('silent edit!')")
    return wait
