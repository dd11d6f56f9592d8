if vim.fn.has("nvim-0.11") == 1 then
  vim.lsp.enable("kexpert")
else
  vim.notify_once("kexpert: this plugin needs Neovim 0.11 or newer", vim.log.levels.WARN)
end
