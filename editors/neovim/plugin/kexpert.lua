if vim.fn.has("nvim-0.11") == 1 then
  vim.lsp.enable("kexpert")
  -- Suggestions as you type, in the colour of a comment; a key to take them is in the README.
  if vim.lsp.inline_completion then
    vim.api.nvim_create_autocmd("LspAttach", {
      group = vim.api.nvim_create_augroup("kexpert", {}),
      callback = function(event)
        local client = vim.lsp.get_client_by_id(event.data.client_id)
        if client and client.name == "kexpert" then
          vim.lsp.inline_completion.enable(true, { client_id = client.id })
        end
      end,
    })
  end

  -- What a command of the server finds goes into the quickfix list.
  local function show(title, found)
    local items = {}
    for _, one in ipairs(found) do
      local line = one.lines[1] and ("  " .. one.lines[1].text) or ""
      items[#items + 1] = {
        filename = vim.uri_to_fname(one.location.uri),
        lnum = one.location.range.start.line + 1,
        col = one.location.range.start.character + 1,
        text = one.kind .. " " .. one.name .. line,
      }
    end
    vim.fn.setqflist({}, " ", { title = title, items = items })
    if #items > 0 then
      vim.cmd("botright copen")
    else
      vim.notify("kexpert: nothing was found for " .. title)
    end
  end

  -- `done` gets the answer; without it the results go into the quickfix list.
  local function run(command, arguments, title, done)
    local client = vim.lsp.get_clients({ name = "kexpert" })[1]
    if not client then
      return vim.notify("kexpert: no server runs; open a C file of a kernel tree", vim.log.levels.WARN)
    end
    client:request("workspace/executeCommand", { command = command, arguments = arguments }, function(err, found)
      if err then
        vim.notify("kexpert: " .. err.message, vim.log.levels.ERROR)
      elseif done then
        done(found)
      else
        show(title, found or {})
      end
    end)
  end

  vim.api.nvim_create_user_command("KexpertSearch", function(given)
    run("kexpert.search", { given.args, 50 }, given.args)
  end, { nargs = "+", desc = "Search the kernel tree by meaning" })

  vim.api.nvim_create_user_command("KexpertSimilar", function(given)
    local lines = { start = { line = given.line1 - 1, character = 0 }, ["end"] = { line = given.line2, character = 0 } }
    if given.range == 0 then
      lines["end"] = lines.start -- the function around the cursor
    end
    run("kexpert.findSimilar", { vim.uri_from_bufnr(0), lines }, "similar code")
  end, { range = true, desc = "Find code like the selection, or like the function around the cursor" })

  -- The server opens the page with the answer.
  vim.api.nvim_create_user_command("KexpertAsk", function(given)
    run("kexpert.ask", { given.args }, given.args, function() end)
  end, { nargs = "+", desc = "Ask about the kernel" })

  -- The code action.
  vim.lsp.commands["kexpert.findSimilar"] = function(command)
    run(command.command, command.arguments, "similar code")
  end
else
  vim.notify_once("kexpert: this plugin needs Neovim 0.11 or newer", vim.log.levels.WARN)
end
