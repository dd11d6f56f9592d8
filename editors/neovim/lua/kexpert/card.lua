-- Places on a card: in its window (press K twice) Enter, gf or CTRL-] goes to the `path:line` under the cursor.

local M = {}

-- The place under the cursor, else the first one in the line: path and line.
local function place()
  local line, column = vim.api.nvim_get_current_line(), vim.fn.col(".")
  local path, number
  for from, found, at, to in line:gmatch("()([%w_%-%+%./]+):(%d+)()") do
    if not path or (column >= from and column < to) then
      path, number = found, at
    end
  end
  return path, tonumber(number)
end

local function follow(client, home, card)
  local path, line = place()
  local file = path and vim.fs.joinpath(client.root_dir, path)
  if not file or not vim.uv.fs_stat(file) then
    return
  end
  vim.api.nvim_set_current_win(home)
  pcall(vim.api.nvim_win_close, card, true)
  vim.cmd("normal! m'")
  vim.cmd.edit(vim.fn.fnameescape(file))
  vim.api.nvim_win_set_cursor(0, { math.min(line, vim.api.nvim_buf_line_count(0)), 0 })
end

--- Called when a window is entered: map the keys if it is a card.
function M.entered()
  local card, home = vim.api.nvim_get_current_win(), vim.fn.win_getid(vim.fn.winnr("#"))
  if not vim.w[card]["textDocument/hover"] or home == 0 then
    return
  end
  local client = vim.lsp.get_clients({ name = "kexpert", bufnr = vim.api.nvim_win_get_buf(home) })[1]
  for _, key in ipairs(client and { "<CR>", "gf", "<C-]>" } or {}) do
    vim.keymap.set("n", key, function()
      follow(client, home, card)
    end, { buffer = 0, nowait = true, desc = "Go to the place" })
  end
end

return M
