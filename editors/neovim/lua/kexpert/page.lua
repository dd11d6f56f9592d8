-- Pages that the server writes, in a split beside the code; links jump, `q` closes.

local server = require("kexpert.server")

local M = {}
local count = 0

-- The target of the link under the cursor, else of the first one in the line.
local function link()
  local line, column = vim.api.nvim_get_current_line(), vim.fn.col(".")
  local first
  for from, target, to in line:gmatch("()%[[^%]]*%]%((file://[^)%s]+)%)()") do
    if column >= from and column < to then
      return target
    end
    first = first or target
  end
  return first
end

local function follow(home)
  local target = link()
  if not target then
    return
  end
  local uri, line = target:match("^(.-)#L(%d+)$")
  if vim.api.nvim_win_is_valid(home) then
    vim.api.nvim_set_current_win(home)
  else
    vim.cmd("leftabove vsplit")
  end
  vim.cmd.edit(vim.fn.fnameescape(vim.uri_to_fname(uri or target)))
  if line then
    vim.cmd("normal! m'")
    vim.api.nvim_win_set_cursor(0, { math.min(tonumber(line), vim.api.nvim_buf_line_count(0)), 0 })
    vim.cmd("normal! zz")
  end
end

local function write(buffer, markdown)
  if vim.api.nvim_buf_is_valid(buffer) then
    vim.bo[buffer].modifiable = true
    vim.api.nvim_buf_set_lines(buffer, 0, -1, false, vim.split(markdown, "\n"))
    vim.bo[buffer].modifiable = false
    vim.bo[buffer].modified = false
  end
end

--- Open a page; the cursor goes into it. Returns what changes its text.
function M.open(title, markdown)
  count = count + 1
  local home = vim.api.nvim_get_current_win()
  local buffer = vim.api.nvim_create_buf(false, true)
  pcall(vim.api.nvim_buf_set_name, buffer, ("kexpert://%d/%s"):format(count, title:gsub("[/\n]", " ")))
  vim.bo[buffer].bufhidden = "wipe"
  vim.bo[buffer].filetype = "markdown"
  vim.cmd("rightbelow vsplit")
  vim.api.nvim_win_set_buf(0, buffer)
  vim.wo.conceallevel, vim.wo.wrap, vim.wo.linebreak, vim.wo.number = 2, true, true, false
  local function map(key, action, what)
    vim.keymap.set("n", key, action, { buffer = buffer, nowait = true, desc = what })
  end
  map("q", "<Cmd>close<CR>", "Close the page")
  for _, key in ipairs({ "<CR>", "gf", "<C-]>" }) do
    map(key, function()
      follow(home)
    end, "Go to the link")
  end
  write(buffer, markdown)
  return function(newer)
    write(buffer, newer)
  end
end

--- Run a command of the server that writes a page, and show what it has so far until it is done.
function M.follow(client, title, command, arguments, nothing)
  local token = ("kexpert-page-%d-%d"):format(vim.uv.os_getpid(), count + 1)
  local update
  local function show(answer)
    if update then
      update(answer.markdown)
    else
      update = M.open(title, answer.markdown)
    end
  end
  server.watch(token, show)
  local params = { command = command, arguments = vim.list_extend(vim.list_slice(arguments), { token }) }
  client:request("workspace/executeCommand", params, function(err, answer)
    server.watch(token, nil)
    if err then
      vim.notify("kexpert: " .. err.message, vim.log.levels.ERROR)
    elseif answer and answer ~= vim.NIL then
      show(answer)
    else
      vim.notify("kexpert: " .. nothing)
    end
  end)
end

return M
