-- What the server tells on its own account, and what happens when it ends.

local M = { message = "", quiescent = true, health = "ok", crashed = false }

local MAX_CRASHES, WINDOW_MS = 4, 3 * 60 * 1000
local crashes = {}
local dimmed = vim.api.nvim_create_namespace("kexpert.inactive")
-- Above semantic tokens.
local PRIORITY = 200
local watched = {} -- by token: who wants the parts of an answer
local SETTLED_MS = 1000 -- one kind of work begins soon after another
local waiting = {} -- for the tree to be read

--- Call `done` with each part that is sent under a token; nil ends that.
function M.watch(token, done)
  watched[token] = done
end

--- Call `done` once when nothing is being read any more.
function M.when_read(done)
  waiting[#waiting + 1] = done
end

local function tell_waiting()
  if M.quiescent then
    local told = waiting
    waiting = {}
    for _, done in ipairs(told) do
      done()
    end
  end
end

M.handlers = {
  ["experimental/serverStatus"] = function(_, status)
    M.health, M.quiescent, M.message = status.health, status.quiescent, status.message or ""
    vim.cmd.redrawstatus()
    if M.quiescent then
      vim.defer_fn(tell_waiting, SETTLED_MS)
    end
  end,
  ["textDocument/inactiveRegions"] = function(_, params)
    local buffer = vim.uri_to_bufnr(params.textDocument.uri)
    if not vim.api.nvim_buf_is_loaded(buffer) then
      return
    end
    vim.api.nvim_buf_clear_namespace(buffer, dimmed, 0, -1)
    for _, region in ipairs(params.regions) do
      pcall(vim.api.nvim_buf_set_extmark, buffer, dimmed, region.start.line, 0, {
        end_row = region["end"].line + 1,
        end_col = 0,
        hl_group = "KexpertInactive",
        hl_eol = true,
        priority = PRIORITY,
        strict = false,
      })
    end
  end,
  ["$/progress"] = function(err, params, ctx)
    if watched[params.token] then
      return watched[params.token](params.value)
    end
    return vim.lsp.handlers["$/progress"](err, params, ctx)
  end,
}

--- Start the server again after a crash, but not without end.
function M.on_exit(code, signal)
  if (code == 0 and signal == 0) or vim.v.exiting ~= vim.NIL then
    return
  end
  local now = vim.uv.now()
  crashes[#crashes + 1] = now
  while crashes[1] < now - WINDOW_MS do
    table.remove(crashes, 1)
  end
  vim.schedule(function()
    if #crashes > MAX_CRASHES then
      M.crashed, M.health = true, "error"
      local times = ("the server ended %d times within 3 minutes and is not started again"):format(#crashes)
      vim.notify("kexpert: " .. times .. "; :KexpertLog says why, :KexpertRestart tries again", vim.log.levels.ERROR)
    else
      vim.notify(("kexpert: the server ended (%s %d) and is started again"):format(signal ~= 0 and "signal" or "code", signal ~= 0 and signal or code), vim.log.levels.WARN)
      vim.lsp.enable("kexpert")
    end
  end)
end

--- Stop and start the server, whatever happened before.
function M.restart()
  crashes, M.crashed, M.health = {}, false, "ok"
  local clients = vim.lsp.get_clients({ name = "kexpert" })
  for _, client in ipairs(clients) do
    client:stop()
  end
  vim.wait(3000, function()
    return #vim.lsp.get_clients({ name = "kexpert" }) == 0
  end, 20)
  vim.lsp.enable("kexpert")
end

return M
