-- How Neovim starts kexpert: one server for each kernel tree, and none elsewhere.

local program = require("kexpert.program")
local server = require("kexpert.server")

---@type vim.lsp.Config
return {
  cmd = function(dispatchers, config)
    return vim.lsp.rpc.start({ program.find(config.root_dir), "serve" }, dispatchers, { cwd = config.root_dir })
  end,
  -- Headers are "cpp" unless g:c_syntax_for_h is set.
  filetypes = { "c", "cpp", "kconfig", "make", "maintainers", "kernel-config" },
  root_dir = function(bufnr, on_dir)
    local path = vim.api.nvim_buf_get_name(bufnr)
    local name = vim.fs.basename(path)
    if vim.bo[bufnr].filetype == "make" and not (name == "Kbuild" or name:match("^Makefile")) then
      return -- *.mk and the like are no files of the kernel's build
    end
    local root = program.tree(path)
    if root and program.is_there(root) then
      on_dir(root)
    end
  end,
  -- What the protocol has no words for. No links in cards: Neovim wraps lines as if it showed the addresses.
  capabilities = {
    experimental = { kexpertExplain = true, serverStatusNotification = true },
    textDocument = { inactiveRegionsCapabilities = { inactiveRegions = true } },
  },
  handlers = server.handlers,
  on_exit = server.on_exit,
}
