-- :checkhealth kexpert

local program = require("kexpert.program")

local M = {}

function M.check()
  local health = vim.health
  health.start("kexpert")
  if vim.fn.has("nvim-0.12") == 0 then
    health.warn("Neovim 0.12 shows suggestions as you type; this one is older")
  end
  -- The report has a buffer of its own by now.
  local clients = vim.lsp.get_clients({ name = "kexpert" })
  local before = vim.fn.bufname("#")
  local root = clients[1] and clients[1].root_dir
    or (before ~= "" and program.tree(vim.fn.fnamemodify(before, ":p")))
    or program.tree(vim.fs.joinpath(vim.fn.getcwd(), "x"))
  local command, origin = program.search(root)
  if not command then
    return health.error("the program kexpert was not found", {
      ":KexpertInstall installs it with pipx",
      "or set vim.g.kexpert_command to where it is",
    })
  end
  health.ok(("program: %s (%s)"):format(command, origin))
  if #clients > 0 then
    for _, client in ipairs(clients) do
      health.ok("a server runs for " .. tostring(client.root_dir))
    end
  else
    health.info("no server runs; one starts with a file of a kernel tree")
  end
  local arguments = { command, "doctor", "--json" }
  if root then
    vim.list_extend(arguments, { "--tree", root })
  end
  local result = vim.system(arguments, { text = true, timeout = 60000 }):wait()
  local ok, findings = pcall(vim.json.decode, result.stdout or "")
  if not ok then
    return health.error("kexpert doctor failed: " .. vim.trim(result.stderr or ""))
  end
  for _, finding in ipairs(findings) do
    local line = finding.what .. ": " .. finding.detail
    if finding.state == "ok" then
      health.ok(line)
    elseif finding.state == "note" then
      health.info(line .. (finding.mend ~= "" and (" (" .. finding.mend .. ")") or ""))
    else
      health.error(line, finding.mend ~= "" and { finding.mend } or nil)
    end
  end
end

return M
