-- What the commands do, and what a configuration may call.

local page = require("kexpert.page")
local program = require("kexpert.program")
local server = require("kexpert.server")

local M = {}

--- The server of this buffer's tree; else, with a message, nil.
local function client_here()
  local client = vim.lsp.get_clients({ name = "kexpert", bufnr = 0 })[1] or vim.lsp.get_clients({ name = "kexpert" })[1]
  if not client then
    local why = program.tree(vim.api.nvim_buf_get_name(0)) and ":checkhealth kexpert says why"
      or "open a file of a kernel tree"
    vim.notify("kexpert: no server runs; " .. why, vim.log.levels.WARN)
  end
  return client
end

local function run(command, arguments, done)
  local client = client_here()
  if client then
    client:request("workspace/executeCommand", { command = command, arguments = arguments }, function(err, found)
      if err then
        vim.notify("kexpert: " .. err.message, vim.log.levels.ERROR)
      elseif done then
        done(found ~= vim.NIL and found or nil)
      end
    end)
  end
end

local function as_items(found)
  local items = {}
  for _, one in ipairs(found or {}) do
    local line = one.lines[1] and ("  " .. vim.trim(one.lines[1].text)) or ""
    items[#items + 1] = {
      filename = vim.uri_to_fname(one.location.uri),
      lnum = one.location.range.start.line + 1,
      col = one.location.range.start.character + 1,
      text = one.kind .. " " .. one.name .. line,
    }
  end
  return items
end

-- Results go into the quickfix list, and into a picker with a preview if `in_picker` and one is installed.
local function show(title, found, in_picker)
  local items = as_items(found)
  vim.fn.setqflist({}, " ", { title = title, items = items })
  if #items == 0 then
    return vim.notify("kexpert: nothing was found for " .. title)
  end
  if in_picker then
    local has_fzf, fzf = pcall(require, "fzf-lua")
    if has_fzf then
      return fzf.quickfix()
    end
    local has_telescope, telescope = pcall(require, "telescope.builtin")
    if has_telescope then
      return telescope.quickfix()
    end
  end
  vim.cmd("botright copen")
end

-- While the tree is being read results are missing: say so, and put them into the list when they are known.
local function complete_later(command, words)
  if server.quiescent then
    return
  end
  vim.notify(("kexpert: not all is known yet (%s); the list follows when it is"):format(server.message), vim.log.levels.WARN)
  local list = vim.fn.getqflist({ id = 0 }).id
  server.when_read(function()
    if vim.fn.getqflist({ id = list, title = 0 }).title == words then
      run(command, { words, 50 }, function(found)
        vim.fn.setqflist({}, "r", { id = list, title = words, items = as_items(found) })
      end)
    end
  end)
end

--- Search by meaning or for an expression; asks if nothing is given, and then shows a picker if there is one.
function M.search(command, words, prompt)
  local function find(typed, in_picker)
    run(command, { typed, 50 }, function(found)
      show(typed, found, in_picker)
      complete_later(command, typed)
    end)
  end
  if words ~= "" then
    return find(words)
  end
  vim.ui.input({ prompt = prompt }, function(typed)
    if typed and typed ~= "" then
      find(typed, true)
    end
  end)
end

-- The lines of a command's range, or the cursor, as the server's commands take them.
local function place(given)
  if given.range == 0 then
    local at = vim.lsp.util.make_position_params(0, "utf-8").position
    local client = vim.lsp.get_clients({ name = "kexpert", bufnr = 0 })[1]
    at = client and vim.lsp.util.make_position_params(0, client.offset_encoding).position or at
    return { vim.uri_from_bufnr(0), { start = at, ["end"] = at } }
  end
  local lines = { start = { line = given.line1 - 1, character = 0 }, ["end"] = { line = given.line2, character = 0 } }
  return { vim.uri_from_bufnr(0), lines }
end

function M.similar(given)
  run("kexpert.findSimilar", given.arguments or place(given), function(found)
    show("similar code", found)
  end)
end

--- Where the name under the cursor is written, or its address taken.
function M.writes()
  local client = client_here()
  if client then
    local at = vim.lsp.util.make_position_params(0, client.offset_encoding).position
    run("kexpert.references", { vim.uri_from_bufnr(0), at, { writes = true } }, function(found)
      local items = vim.lsp.util.locations_to_items(found or {}, client.offset_encoding)
      vim.fn.setqflist({}, " ", { title = "writes", items = items })
      if #items == 0 then
        return vim.notify("kexpert: no writes are known")
      end
      vim.cmd("botright copen")
    end)
  end
end

function M.explain(given)
  local client = client_here()
  if client then
    local nothing = "there is no function or macro here to explain"
    page.follow(client, "Explanation", "kexpert.explain", given.arguments or place(given), nothing)
  end
end

function M.ask(question)
  local client = client_here()
  if client then
    page.follow(client, question, "kexpert.ask", { question }, "no answer")
  end
end

--- The functions above and below the one under the cursor, or around it.
function M.call_chain(name)
  local client = client_here()
  if client then
    local at = vim.lsp.util.make_position_params(0, client.offset_encoding).position
    local start = name ~= "" and { name } or { vim.uri_from_bufnr(0), at }
    page.follow(client, "Call chain", "kexpert.callChain", start, "there is no function or macro here")
  end
end

--- What the changes since a revision of git touch.
function M.diff(revision)
  local client = client_here()
  if client then
    page.follow(client, "Changes", "kexpert.diff", { revision ~= "" and revision or "HEAD" }, "nothing is changed")
  end
end

function M.reindex()
  run("kexpert.reindex", {}, function()
    vim.notify("kexpert: looking through the tree for changes")
  end)
end

--- A click on a lens: the callers, the implementations or the table.
function M.show_uses(command)
  local uri, at, kind = unpack(command.arguments)
  vim.lsp.util.show_document({ uri = uri, range = { start = at, ["end"] = at } }, "utf-8", { focus = true })
  if kind == "callers" then
    vim.lsp.buf.references({ includeDeclaration = false })
  elseif kind == "implementations" then
    vim.lsp.buf.implementation()
  end
end

-- A change of the server's settings, for this session.
local function set(change)
  for _, client in ipairs(vim.lsp.get_clients({ name = "kexpert" })) do
    client.settings = vim.tbl_deep_extend("force", client.settings or {}, { kexpert = {} })
    change(client.settings.kexpert)
    client:notify("workspace/didChangeConfiguration", { settings = client.settings })
  end
end

--- Ghost text on, off or (nil) the other way round; `here`: in the folder of this file alone.
function M.ghost_text(on, here)
  local client = client_here()
  if not client then
    return
  end
  local inline = vim.tbl_get(client.settings, "kexpert", "inline") or {}
  if not here then
    if on == nil then
      on = inline.enabled == false
    end
    set(function(settings)
      settings.inline = vim.tbl_extend("force", settings.inline or {}, { enabled = on })
    end)
    return vim.notify("kexpert: ghost text is " .. (on and "on" or "off"))
  end
  local folder = vim.fs.relpath(client.root_dir, vim.fs.dirname(vim.api.nvim_buf_get_name(0))) or "."
  local excluded = vim.list_slice(inline.exclude or {})
  local at = vim.iter(ipairs(excluded)):find(function(_, pattern)
    return pattern == folder
  end)
  if on == nil then
    on = at ~= nil
  end
  if at then
    table.remove(excluded, at)
  end
  if not on then
    table.insert(excluded, folder)
  end
  set(function(settings)
    settings.inline = vim.tbl_extend("force", settings.inline or {}, { exclude = excluded })
  end)
  vim.notify(("kexpert: ghost text is %s in %s"):format(on and "on" or "off", folder))
end

-- The part of a suggestion that is taken: its first word or line.
local function first(text, part)
  if part == "line" then
    return text:match("^\n*[^\n]*\n?")
  end
  return text:match("^%s*[%w_]+") or text:match("^%s*[^%w_%s]+") or text
end

--- Take the suggestion that is shown, or its first "word" or "line". False if none is shown.
function M.accept(part)
  if not vim.lsp.inline_completion then
    return false
  end
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      if part ~= "word" and part ~= "line" then
        return item
      end
      local text, range = item.insert_text, item.range
      if type(text) ~= "string" or not range then
        return item
      end
      -- What is before the cursor already is a part of the suggestion.
      local row, column, _, _ = range:to_extmark()
      local cursor = vim.api.nvim_win_get_cursor(0)
      local written = table.concat(vim.api.nvim_buf_get_text(0, row, column, cursor[1] - 1, cursor[2], {}), "\n")
      local rest = text:sub(1, #written) == written and text:sub(#written + 1) or text
      local taken = first(rest, part)
      vim.api.nvim_paste(taken, false, -1)
    end,
  })
end

--- For a statusline: "kexpert", with the progress while the tree is read; "" where no server runs.
function M.status()
  if server.health == "error" then
    return "kexpert: stopped"
  end
  if #vim.lsp.get_clients({ name = "kexpert" }) == 0 then
    return ""
  end
  local percent = server.message:match("%d+ %%") or not server.quiescent and "…"
  local off = vim.tbl_get(vim.lsp.get_clients({ name = "kexpert" })[1].settings, "kexpert", "inline", "enabled") == false
  return "kexpert" .. (percent and (" " .. percent) or "") .. (off and " (no ghost text)" or "")
end

-- A run of the command line, its output given to `done`.
local function shell(arguments, done)
  local command = { program.find(program.tree(vim.api.nvim_buf_get_name(0))), unpack(arguments) }
  vim.system(command, { text = true }, vim.schedule_wrap(done))
end

function M.choose_model()
  shell({ "models", "list", "--json" }, function(result)
    local ok, models = pcall(vim.json.decode, result.stdout)
    if not ok then
      return vim.notify("kexpert: " .. vim.trim(result.stderr), vim.log.levels.ERROR)
    end
    local function purposes(abilities)
      local words = { complete = "ghost text", chat = "explanations" }
      return table.concat(vim.tbl_map(function(ability) return words[ability] or ability end, abilities), ", ")
    end
    local function described(model)
      local used = #model.in_use_for > 0 and (", in use for " .. purposes(model.in_use_for)) or ""
      return ("%s (%s)%s"):format(model.name, purposes(model.abilities), used)
    end
    vim.ui.select(models, { prompt = "Model", format_item = described }, function(model)
      if not model then
        return
      end
      if model.source == "available" then
        return vim.notify("kexpert: it is not here; in a shell: kexpert models add " .. model.name)
      end
      shell({ "models", "use", model.name }, function(used)
        vim.notify("kexpert: " .. vim.trim(used.code == 0 and used.stdout or used.stderr))
      end)
    end)
  end)
end

function M.log()
  vim.cmd.tabnew(vim.fn.fnameescape(vim.lsp.log.get_filename()))
end

--- How things are, and what can be done about it.
function M.menu()
  local actions = {
    { "Search by meaning…", function() M.search("kexpert.search", "", "What does it do? ") end },
    { "Grep…", function() M.search("kexpert.grep", "", "Regular expression: ") end },
    { "Call chain", function() M.call_chain("") end },
    { "Choose model…", M.choose_model },
    { "Ghost text on or off", M.ghost_text },
    { "Ghost text on or off in this folder", function() M.ghost_text(nil, true) end },
    { "Re-index", M.reindex },
    { "Restart the server", server.restart },
    { "Doctor", function() vim.cmd("checkhealth kexpert") end },
    { "Log", M.log },
  }
  local function select(prompt)
    vim.ui.select(actions, { prompt = prompt, format_item = function(action) return action[1] end }, function(action)
      if action then
        action[2]()
      end
    end)
  end
  if #vim.lsp.get_clients({ name = "kexpert" }) == 0 then
    return select("kexpert: no server runs")
  end
  run("kexpert.status", {}, function(state)
    local index = server.message ~= "" and server.message or (state.isIndexed and "read" or "being read")
    select(("kexpert: %s, %s; configuration: %s; completion: %s, chat: %s"):format(
      state.tree, index, state.configuration, state.completionModel, state.chatModel))
  end)
end

return M
