if vim.fn.has("nvim-0.11") == 0 then
  vim.notify_once("kexpert: this plugin needs Neovim 0.11 or newer", vim.log.levels.WARN)
  return
end

local function kexpert()
  return require("kexpert") -- loaded when first used
end

vim.filetype.add({
  filename = { MAINTAINERS = "maintainers", [".config"] = "kernel-config" },
  pattern = { [".*_defconfig"] = "kernel-config" },
})
vim.api.nvim_set_hl(0, "KexpertInactive", { link = "DiagnosticUnnecessary", default = true })
vim.api.nvim_set_hl(0, "@lsp.mod.config", { link = "Constant", default = true })
vim.api.nvim_set_hl(0, "@lsp.mod.perCpu", { link = "Special", default = true })

vim.lsp.enable("kexpert")

local group = vim.api.nvim_create_augroup("kexpert", {})
-- Suggestions as you type, in the colour of a comment; keys to take them are in `:help kexpert-keys`.
if vim.lsp.inline_completion then
  vim.api.nvim_create_autocmd("LspAttach", {
    group = group,
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == "kexpert" then
        vim.lsp.inline_completion.enable(true, { bufnr = event.buf })
      end
    end,
  })
end
vim.api.nvim_create_autocmd("WinEnter", {
  group = group,
  callback = function()
    if vim.api.nvim_win_get_config(0).relative ~= "" then
      require("kexpert.card").entered()
    end
  end,
})
vim.api.nvim_create_autocmd("LspProgress", {
  group = group,
  callback = function(event)
    require("kexpert.progress").show(event)
  end,
})

local function command(name, action, options)
  vim.api.nvim_create_user_command(name, action, options)
end

command("Kexpert", function() kexpert().menu() end, { desc = "What kexpert can do, and how things are" })
command("KexpertSearch", function(given)
  kexpert().search("kexpert.search", given.args, "What does it do? ")
end, { nargs = "*", desc = "Search the kernel tree by meaning" })
command("KexpertGrep", function(given)
  kexpert().search("kexpert.grep", given.args, "Regular expression: ")
end, { nargs = "*", desc = "Functions, macros and types whose text matches" })
command("KexpertSimilar", function(given)
  kexpert().similar(given)
end, { range = true, desc = "Find code like the selection, or like the function around the cursor" })
command("KexpertWrites", function() kexpert().writes() end, { desc = "Find where the name under the cursor is written" })
command("KexpertExplain", function(given)
  kexpert().explain(given)
end, { range = true, desc = "Explain the function around the cursor, or the lines" })
command("KexpertAsk", function(given) kexpert().ask(given.args) end, { nargs = "+", desc = "Ask about the kernel" })
command("KexpertDiff", function(given)
  kexpert().diff(given.args)
end, { nargs = "?", desc = "What the changes since a revision touch (HEAD)" })
command("KexpertCallChain", function(given)
  kexpert().call_chain(given.args)
end, { nargs = "?", desc = "The functions above and below the one under the cursor, or of a name" })
command("KexpertModel", function() kexpert().choose_model() end, { desc = "Choose a language model" })
command("KexpertGhostText", function(given)
  local on = vim.list_contains(given.fargs, "on")
  local off = vim.list_contains(given.fargs, "off")
  local wanted
  if on or off then
    wanted = on
  end
  kexpert().ghost_text(wanted, vim.list_contains(given.fargs, "here"))
end, {
  nargs = "*",
  complete = function() return { "on", "off", "here" } end,
  desc = "Suggestions as you type: on, off, or the other way round",
})
command("KexpertReindex", function() kexpert().reindex() end, { desc = "Look through the tree for changes" })
command("KexpertRestart", function() require("kexpert.server").restart() end, { desc = "Start the server again" })
command("KexpertLog", function() kexpert().log() end, { desc = "Open the log of language servers" })
command("KexpertInstall", function() require("kexpert.program").install() end, { desc = "Install the server with pipx" })

for _, part in ipairs({ "", "word", "line" }) do
  local name = part == "" and "<Plug>(kexpert-accept)" or ("<Plug>(kexpert-accept-%s)"):format(part)
  vim.keymap.set("i", name, function()
    kexpert().accept(part)
  end, { desc = "Take the suggestion" })
end

-- The server's code actions and lenses.
vim.lsp.commands["kexpert.findSimilar"] = function(action) kexpert().similar(action) end
vim.lsp.commands["kexpert.explain"] = function(action) kexpert().explain(action) end
vim.lsp.commands["kexpert.showUses"] = function(action) kexpert().show_uses(action) end
