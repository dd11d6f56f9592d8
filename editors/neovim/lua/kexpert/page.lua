-- Pages that the server writes, in a split beside the code; links jump, `q` closes.

local server = require("kexpert.server")

local M = {}
local count = 0

local linked = vim.api.nvim_create_namespace("kexpert.links")
local targets = {} -- by buffer, then by the number of a link's mark

-- Lines whose links are their text alone, and the links: row and columns from 0, target. An address that is concealed
-- would still break its line.
local function without_addresses(markdown)
  local lines, links, fenced = vim.split(markdown, "\n"), {}, false
  for number, line in ipairs(lines) do
    fenced = fenced ~= vim.startswith(line, "```")
    local pieces, at, length = {}, 1, 0
    for from, text, target, to in (fenced and "" or line):gmatch("()(%b[])%(<?(file://[^)%s>]+)>?%)()") do
      local before = line:sub(at, from - 1)
      text = text:sub(2, -2)
      links[#links + 1] = { number - 1, length + #before, length + #before + #text, target }
      vim.list_extend(pieces, { before, text })
      at, length = to, length + #before + #text
    end
    lines[number] = table.concat(pieces) .. line:sub(at)
  end
  return lines, links
end

-- The target of the link under the cursor, else of the first one in the line.
local function link()
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local marks = vim.api.nvim_buf_get_extmarks(0, linked, { row - 1, 0 }, { row - 1, -1 }, { details = true })
  local chosen = marks[1]
  for _, mark in ipairs(marks) do
    if column >= mark[3] and column < mark[4].end_col then
      chosen = mark
    end
  end
  return chosen and targets[vim.api.nvim_get_current_buf()][chosen[1]]
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
    local lines, links = without_addresses(markdown)
    vim.bo[buffer].modifiable = true
    vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
    vim.bo[buffer].modifiable = false
    vim.bo[buffer].modified = false
    vim.api.nvim_buf_clear_namespace(buffer, linked, 0, -1)
    targets[buffer] = {}
    for _, each in ipairs(links) do
      local row, from, to, target = unpack(each)
      local mark = vim.api.nvim_buf_set_extmark(buffer, linked, row, from, { end_col = to, hl_group = "Underlined" })
      targets[buffer][mark] = target
    end
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
  vim.api.nvim_create_autocmd("BufWipeout", { buffer = buffer, callback = function() targets[buffer] = nil end })
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
