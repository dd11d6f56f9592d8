-- Indexing, as a line with a percentage and the time left: messages of kind "progress", which Neovim 0.12 has.

local M = {}

local titles = {} -- by token; only the first report of a work has one

local function echo(client_id, token, status, percent, text)
  local title = "kexpert: " .. (titles[token] or "")
  -- One that does not fit into its line would stop the user with "Press ENTER".
  local room = vim.v.echospace - vim.fn.strdisplaywidth(title) - #": 100% "
  pcall(vim.api.nvim_echo, { { vim.fn.strcharpart(text, 0, math.max(room, 0)) } }, false, {
    id = ("kexpert.%d.%s"):format(client_id, token),
    kind = "progress",
    source = "kexpert",
    title = title,
    status = status,
    percent = percent,
  })
end

--- Show an LspProgress event of the server.
function M.show(event)
  local client = vim.lsp.get_client_by_id(event.data.client_id)
  local token, value = event.data.params.token, event.data.params.value
  if not client or client.name ~= "kexpert" or type(value) ~= "table" then
    return
  end
  if value.kind == "begin" then
    titles[token] = value.title
  end
  if vim.fn.mode():sub(1, 1) == "c" and value.kind ~= "end" then
    return -- the command line is in use
  end
  if value.kind == "end" then
    echo(client.id, token, "success", 100, value.message or "done")
    titles[token] = nil
  elseif value.percentage then
    echo(client.id, token, "running", value.percentage, value.message or "")
  end
end

return M
