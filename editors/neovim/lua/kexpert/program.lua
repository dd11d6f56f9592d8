-- Which kernel tree a file is in, and which `kexpert` is started for it.

local M = {}

local told = false

-- The marks by which the server knows the top of a tree.
local function is_tree(folder)
  local function has(name)
    return vim.uv.fs_stat(vim.fs.joinpath(folder, name)) ~= nil
  end
  return has("Kconfig") and has("Makefile") and (has("MAINTAINERS") or has("include/linux"))
end

--- The kernel tree around a path; nil if it is in none.
function M.tree(path)
  for folder in vim.fs.parents(path) do
    if is_tree(folder) then
      return folder
    end
  end
end

--- The program and how it was found; nil if there is none.
function M.search(root)
  local set = vim.g.kexpert_command
  if set then
    local path = vim.fn.exepath(vim.fs.normalize(set))
    return path ~= "" and path or nil, "g:kexpert_command"
  end
  for _, folder in ipairs({ root or "", vim.fn.getcwd() }) do
    local path = vim.fs.joinpath(folder, ".venv", "bin", "kexpert")
    if folder ~= "" and vim.fn.executable(path) == 1 then
      return path, ".venv of " .. folder
    end
  end
  local path = vim.fn.exepath("kexpert")
  return path ~= "" and path or nil, "PATH"
end

function M.find(root)
  return M.search(root) or "kexpert"
end

--- True if a server can be started. If not, say once why, and how to fix it.
function M.is_there(root)
  local config = vim.lsp.config.kexpert
  if config and type(config.cmd) == "table" then
    return true -- the user's own command
  end
  if M.search(root) then
    return true
  end
  if not told then
    told = true
    local problem = vim.g.kexpert_command and ("g:kexpert_command names no program: " .. vim.g.kexpert_command)
      or "the program kexpert is not installed"
    vim.notify("kexpert: " .. problem .. "; :KexpertInstall installs it, :checkhealth kexpert says more", vim.log.levels.WARN)
  end
  return false
end

--- Show the command that installs the server; run what the user confirms.
function M.install()
  vim.ui.input({ prompt = "Checkout of kexpert, or a wheel: ", completion = "file" }, function(from)
    if not from or from == "" then
      return
    end
    local command = "pipx install " .. vim.fn.shellescape(vim.fs.normalize(from))
    vim.ui.input({ prompt = "Run: ", default = command }, function(confirmed)
      if confirmed and confirmed ~= "" then
        vim.cmd("botright new")
        vim.fn.jobstart(confirmed, { term = true })
      end
    end)
  end)
end

return M
