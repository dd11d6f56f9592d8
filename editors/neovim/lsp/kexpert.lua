-- How Neovim starts kexpert: one server for each kernel tree, and none elsewhere.

-- The marks by which the server knows the top of a tree.
local function is_tree(folder)
  local function has(name)
    return vim.uv.fs_stat(vim.fs.joinpath(folder, name)) ~= nil
  end
  return has("Kconfig") and has("Makefile") and (has("MAINTAINERS") or has("include/linux"))
end

---@type vim.lsp.Config
return {
  cmd = { "kexpert", "serve" },
  filetypes = { "c", "cpp" }, -- headers are "cpp" unless g:c_syntax_for_h is set
  root_dir = function(bufnr, on_dir)
    for folder in vim.fs.parents(vim.api.nvim_buf_get_name(bufnr)) do
      if is_tree(folder) then
        return on_dir(folder)
      end
    end
  end,
}
