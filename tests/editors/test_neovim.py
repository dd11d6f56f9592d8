"""The server and its plugin in a real Neovim."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.neovim import PATIENCE, Neovim, options
from tests.support.tiny_models import speaking_model
from tests.support.toy_tree import make_toy_tree
from tests.support.waiting import eventually

KEXPERT = Path(sys.executable).with_name("kexpert")

FLOAT = """
    for _, window in ipairs(vim.api.nvim_list_wins()) do
        if vim.api.nvim_win_get_config(window).relative ~= "" then
            return table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false), "\\n")
        end
    end
"""
MENU = "return vim.tbl_map(function(item) return item.word end, vim.fn.complete_info({ 'items' }).items)"
FINDINGS = "return vim.tbl_map(function(found) return found.message end, vim.diagnostic.get(0))"
#: Parameters of requests.
DOCUMENT = "{ textDocument = vim.lsp.util.make_text_document_params() }"
PLACE = "vim.lsp.util.make_position_params(0, 'utf-8')"


def asked(method: str, parameters: str) -> str:
    """Lua: the result of a request, nil if there is none within some seconds."""
    wait = f"vim.lsp.buf_request_sync(0, '{method}', {parameters}, {PATIENCE})"
    return f"local _, answer = next({wait} or {{}}) return answer and answer.result"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("neovim") / "linux")


@pytest.fixture(scope="module")
def running(program: Path, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    """A Neovim whose server has read the tree."""
    with Neovim(program, tmp_path_factory.mktemp("home"), KEXPERT) as editor:
        editor.edit(tree / "drivers/toy/user.c")
        editor.until(asked("workspace/symbol", "{ query = 'car_play' }"))
        yield editor


@pytest.fixture
def editor(running: Neovim) -> Iterator[Neovim]:
    running.forget()
    yield running
    running.keep_screen()


def test_hover_shows_the_card(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c", "? toy_|wind(car")
    editor.lua("vim.lsp.buf.hover()")
    card = editor.until(FLOAT)
    assert "int toy_wind(struct toy *toy, unsigned int turns)" in card
    assert "wind a toy up" in card
    assert "Terry Toy" in card


def test_a_place_on_a_card_is_followed(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c", "? toy_|wind(car")
    editor.lua("vim.lsp.buf.hover()")
    assert "](" not in editor.until(FLOAT), "addresses would break the lines"
    assert "Defined in drivers/toy/core.c:14 when CONFIG_TOY" in editor.screen()
    editor.lua("vim.lsp.buf.hover()")  # K again enters the window
    editor.until("return vim.fn.search('core.c:14') > 0")
    editor.press("gf")
    editor.until("return vim.api.nvim_buf_get_name(0):match('core.c$')")
    assert editor.place()[1] == "int toy_wind(struct toy *toy, unsigned int turns)"
    assert editor.lua("return #vim.api.nvim_list_wins()") == 1


def test_members_are_offered_after_an_arrow(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/core.c", "\tif (toy->|broken)")
    editor.press("i<C-x><C-o>")
    assert editor.until(MENU) == ["ops", "turns", "broken"]


def test_the_tag_key_jumps_to_the_definition(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c", "return toy_|wind(toy")
    eventually(lambda: pressed_tag_key_jumps_to(editor, "core.c$"))
    assert editor.place() == (
        str(tree / "drivers/toy/core.c"),
        "int toy_wind(struct toy *toy, unsigned int turns)",
    )


def pressed_tag_key_jumps_to(editor: Neovim, pattern: str) -> bool:
    """Neovim waits one second for the answer to this key, which a busy machine may exceed."""
    editor.press("<C-]>")
    arrived = "vim.api.nvim_buf_get_name(0):match(pattern) ~= nil"
    found: bool = editor.lua(f"return (vim.wait(2000, function() return {arrived} end, 20))", pattern=pattern)
    return found


def test_references_are_listed(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/core.c", "int toy_|wind(")
    editor.press("grr")
    listed = editor.until(
        """
        return vim.tbl_map(function(item)
            return vim.fs.basename(vim.api.nvim_buf_get_name(item.bufnr)) .. ": " .. vim.trim(item.text)
        end, vim.fn.getqflist())
        """
    )
    assert "user.c: return toy_wind(toy, turns * 2);" in listed
    assert listed.count("user.c: return toy_wind(car, 3) ? toy_wind(car, 1) : 0;") == 2
    assert "core.c: EXPORT_SYMBOL_GPL(toy_wind);" in listed


def test_an_operation_jumps_to_its_implementation(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "include/linux/toy.h", "(*wi|nd)")
    editor.press("gri")
    editor.until("return vim.api.nvim_buf_get_name(0):match('user.c$')")
    assert editor.place()[1] == "static int car_wind(struct toy *toy, unsigned int turns)"


def test_a_local_is_renamed(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/core.c", "int to|tal = ")
    editor.lua("vim.lsp.buf.rename('sum')")
    editor.until("return vim.bo.modified")
    text = editor.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, false)")
    assert "\tunsigned int sum = toy->turns + turns;" in text
    assert "\ttoy->turns = sum;" in text
    assert "\treturn sum > 100;" in text
    assert not any("total" in line for line in text)


def test_unsaved_text_is_completed_and_hovered(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/core.c")
    editor.press("Go/* Paint a toy. */<CR>int toy_paint(struct toy *toy)<CR>{<CR>return 0;<CR>}<Esc>")
    editor.until("return vim.bo.modified and vim.fn.mode() == 'n'")
    editor.lua("vim.o.hidden = true")
    editor.edit(tree / "drivers/toy/user.c", "return |toy_wind(car")
    editor.press("cwtoy_pai<C-x><C-o>")
    editor.until("return vim.api.nvim_get_current_line():find('toy_paint', 1, true)")
    editor.press("<Esc>")
    editor.lua("vim.lsp.buf.hover()")
    assert "int toy_paint(struct toy *toy)" in editor.until(FLOAT)


def test_checkpatch_reports_findings_only_where_there_are_some(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/ugly.c")
    assert editor.until(FINDINGS) == ["do not say xyzzy"]
    editor.edit(tree / "drivers/toy/core.c")
    assert editor.ask("diagnostic", DOCUMENT)["items"] == []
    assert editor.lua(FINDINGS) == []


def test_a_suggestion_is_shown_while_typing_and_accepted(program: Path, tree: Path, tmp_path: Path) -> None:
    sentence = ("{\n", "\treturn", " toy", "_wind", "(to", "y", ",", " ", "1", ");")
    model = speaking_model(tmp_path / "model", sentence)
    config = options({"init_options": {"model": {"path": str(model), "threads": 1}}})
    with Neovim(program, tmp_path / "home", KEXPERT, config) as editor:
        if not editor.lua("return vim.lsp.inline_completion ~= nil"):
            pytest.skip("this Neovim has no inline completion")
        editor.edit(tree / "drivers/toy/user.c", "unsigned int turns)\n|{")
        editor.press("A<CR>")
        editor.until("return vim.lsp.inline_completion.get()")
        editor.until("return vim.api.nvim_get_current_line():find('return toy_wind(toy, 1);', 1, true)")


def test_the_next_and_the_previous_suggestion_are_shown(program: Path, tree: Path, tmp_path: Path) -> None:
    """Of a suggestion of several lines the next one is its first line."""
    model = speaking_model(tmp_path / "model", ("{\n", "\tif", " (toy", ") {\n", "\t\treturn", " 1", ";\n", "\t}\n"))
    keys = """
        vim.keymap.set("i", "<M-]>", function() vim.lsp.inline_completion.select() end)
        vim.keymap.set("i", "<M-[>", function() vim.lsp.inline_completion.select({ count = -1 }) end)
    """
    config = options({"init_options": {"model": {"path": str(model), "threads": 1}}}) + keys
    with Neovim(program, tmp_path / "home", KEXPERT, config) as editor:
        if not editor.lua("return vim.lsp.inline_completion ~= nil"):
            pytest.skip("this Neovim has no inline completion")
        editor.edit(tree / "drivers/toy/user.c", "unsigned int turns)\n|{")
        editor.press("A<CR>")
        eventually(editor.screen, lambda rows: "if (toy) {" in rows and "return 1;" in rows, seconds=PATIENCE / 1000)
        editor.press("<M-]>")
        eventually(editor.screen, lambda rows: "if (toy) { (2/2)" in rows and "return 1;" not in rows)
        editor.press("<M-[>")
        eventually(editor.screen, lambda rows: "return 1;" in rows)


@pytest.mark.parametrize("place", ["settings", "init_options"])
def test_settings_reach_the_server(program: Path, tree: Path, tmp_path: Path, place: str) -> None:
    quiet = {"diagnostics": {"checkpatch": False}, "hover": {"colour": "red"}}
    config = options({place: {"kexpert": quiet} if place == "settings" else quiet})
    with Neovim(program, tmp_path, KEXPERT, config) as editor:
        editor.edit(tree / "drivers/toy/ugly.c")
        said = editor.until("return vim.fn.execute('messages'):match('[^\\n]*colour[^\\n]*')")
        assert "hover.colour" in said
        assert editor.ask("diagnostic", DOCUMENT)["items"] == []


def test_no_server_starts_outside_a_kernel_tree(program: Path, tmp_path: Path) -> None:
    (tmp_path / "project/.git").mkdir(parents=True)
    source = tmp_path / "project/main.c"
    source.write_text("int main(void) { return 0; }\n")
    with Neovim(program, tmp_path / "home", KEXPERT) as editor:
        editor.lua("vim.cmd.edit(path) vim.wait(300)", path=str(source))
        assert editor.lua("return vim.bo.filetype") == "c"
        assert editor.lua("return #vim.lsp.get_clients()") == 0


def test_search_and_similar_code_fill_the_quickfix_list(editor: Neovim, tree: Path) -> None:
    quickfix = "return vim.tbl_map(function(one) return one.text end, vim.fn.getqflist())"
    query = "{ command = 'kexpert.search', arguments = { 'wind a toy up' } }"
    editor.edit(tree / "drivers/toy/core.c", "int toy_|wind(struct")
    editor.until(asked("workspace/executeCommand", query))
    editor.lua("vim.cmd('KexpertSearch wind a toy up')")
    assert any("function toy_wind" in text for text in editor.until(quickfix))
    editor.lua("vim.cmd('wincmd p | KexpertSimilar')")
    editor.until("return vim.fn.getqflist({ title = 1 }).title == 'similar code'")


def test_writes_of_a_member_fill_the_quickfix_list(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/core.c", "= toy->tu|rns + turns")
    editor.lua("vim.cmd('KexpertWrites')")
    editor.until("return vim.fn.getqflist({ title = 1 }).title == 'writes'")
    assert editor.lua("return vim.fn.getqflist()[1].text") == "\ttoy->turns = total;"


def test_kernel_doc_is_written_and_questions_open_a_page(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c", "static int car_|wind(struct")
    editor.lua(
        """
        vim.lsp.buf.code_action({ apply = true, filter = function(one) return one.title == 'Write kernel-doc' end })
        """
    )
    editor.until("return vim.bo.modified")
    text = editor.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, false)")
    assert " * car_wind() - the .wind operation of struct toy_ops car_ops" in text
    assert text[text.index(" */") + 1] == "static int car_wind(struct toy *toy, unsigned int turns)"
    editor.lua("vim.o.hidden = true vim.cmd('KexpertAsk who calls toy_wind()?')")
    editor.until("return vim.api.nvim_buf_get_name(0):match('^kexpert://')")
    page = editor.until("return vim.api.nvim_buf_get_lines(0, 0, -1, false)")
    assert any("is called by car_wind() [1]" in line for line in page)
    editor.lua("vim.fn.search('[2]', 'wc')")
    editor.press("<CR>")
    editor.until("return vim.api.nvim_buf_get_name(0):match('user.c$') and vim.fn.line('.') > 10")


def test_an_explanation_opens_beside_the_code_and_its_links_jump(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/core.c", "unsigned int to|tal = ")
    editor.lua("vim.o.hidden = true vim.cmd('KexpertExplain')")
    editor.until("return vim.api.nvim_buf_get_name(0):match('^kexpert://')")
    assert "toy_wind" in editor.screen()
    editor.until("return vim.fn.search('drivers/toy/') > 0")
    assert not editor.lua("return vim.bo.modifiable or vim.fn.search('file:', 'w') > 0"), "addresses break lines"
    editor.press("<CR>")
    editor.until("return vim.api.nvim_buf_get_name(0):match('%.[ch]$')")
    assert editor.lua("return #vim.api.nvim_tabpage_list_wins(0)") == 2
    editor.lua("vim.cmd('wincmd l')")
    editor.press("q")
    editor.until("return #vim.api.nvim_tabpage_list_wins(0) == 1")


def test_a_call_chain_is_a_page_whose_links_jump(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/core.c", "int toy_|wind(")
    editor.lua("vim.o.hidden = true vim.cmd('KexpertCallChain')")
    editor.until("return vim.api.nvim_buf_get_name(0):match('^kexpert://') and vim.fn.search('car_wind') > 0")
    editor.press("<CR>")
    editor.until("return vim.api.nvim_buf_get_name(0):match('user.c$')")
    assert "return toy_wind(toy" in editor.lua("return vim.api.nvim_get_current_line()")
    editor.lua("vim.cmd('wincmd l')")
    editor.press("q")
    editor.until("return #vim.api.nvim_tabpage_list_wins(0) == 1")


SERVER_SAYS = """
    require("kexpert.server").handlers["experimental/serverStatus"](nil,
        { health = "ok", quiescent = message == "", message = message })
"""


def test_a_search_while_the_tree_is_read_says_so_and_is_completed(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c")
    editor.until(asked("workspace/executeCommand", "{ command = 'kexpert.search', arguments = { 'wind a toy up' } }"))
    editor.until("return require('kexpert.server').quiescent")
    found = "return #vim.fn.getqflist() > 0 and vim.fn.getqflist({ title = 1 }).title == 'wind a toy up'"
    editor.lua(SERVER_SAYS, message="Indexing for search: 40 %")
    editor.lua("vim.cmd('KexpertSearch wind a toy up')")
    editor.until(found)
    editor.until("return vim.fn.execute('messages'):find('not all is known yet (Indexing for search: 40 %)', 1, true)")
    editor.lua("vim.fn.setqflist({}, 'r', { title = 'wind a toy up', items = {} })")
    editor.lua(SERVER_SAYS, message="")
    editor.until(found)
    editor.lua("vim.cmd('cclose')")


def test_names_are_coloured_by_meaning(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c", "= car_|wind,")
    kinds = """
        local found = {}
        for _, token in ipairs(vim.lsp.semantic_tokens.get_at_pos() or {}) do
            found[#found + 1] = token.type
            for modifier in pairs(token.modifiers) do found[#found + 1] = modifier end
        end
        table.sort(found)
        return found
    """
    assert editor.until(kinds) == ["function", "static"]


def test_branches_that_are_not_compiled_are_dimmed(editor: Neovim, tree: Path) -> None:
    (tree / ".config").write_text("# CONFIG_TOY_OLD is not set\n")
    (tree / "drivers/toy/variants.c").write_text("#ifdef CONFIG_TOY_OLD\nint old;\n#else\nint new;\n#endif\n")
    editor.edit(tree / "drivers/toy/variants.c")
    dimmed = """
        local found, space = {}, vim.api.nvim_get_namespaces()["kexpert.inactive"]
        for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })) do
            found[#found + 1] = { mark[2], mark[4].end_row }
        end
        return found
    """
    assert editor.until(dimmed) == [[1, 2]]


def test_the_menu_says_how_things_are(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c")
    editor.lua(
        """
        vim.ui.select = function(items, options)
            vim.g.shown = vim.tbl_map(options.format_item, items)
            vim.g.prompt = options.prompt
        end
        vim.cmd("Kexpert")
        """
    )
    prompt = editor.until("return vim.g.prompt")
    assert str(tree) in prompt and "kexpert-2m" in prompt
    assert {"Choose model…", "Re-index", "Doctor", "Log"} <= set(editor.lua("return vim.g.shown"))
    assert editor.lua("return require('kexpert').status()") == "kexpert"


def test_ghost_text_is_turned_off_and_on(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c")
    state = asked("workspace/executeCommand", "{ command = 'kexpert.status' }")

    def server_says(inline: bool, exclude: list[str]) -> None:
        """The server asks for the settings first, so its answer may come before theirs."""
        eventually(lambda: editor.lua(state), lambda said: (said["inline"], said["inlineExclude"]) == (inline, exclude))

    editor.lua("vim.cmd('KexpertGhostText off')")
    server_says(False, [])
    assert "no ghost text" in editor.lua("return require('kexpert').status()")
    editor.lua("vim.cmd('KexpertGhostText on') vim.cmd('KexpertGhostText off here')")
    server_says(True, ["drivers/toy"])
    editor.lua("vim.cmd('KexpertGhostText on here')")
    server_says(True, [])


def test_indexing_is_shown_with_its_time_left_and_ends(editor: Neovim, tree: Path) -> None:
    """What the server sends while it reads a tree; a toy is read too quickly to be seen."""
    editor.edit(tree / "drivers/toy/user.c")
    if editor.lua("return vim.fn.has('nvim-0.12')") == 0:
        pytest.skip("Neovim 0.12 is needed for progress messages")
    told = """
        local client = vim.lsp.get_clients({ name = "kexpert", bufnr = 0 })[1]
        client.handlers["$/progress"](nil, { token = "t", value = value }, { client_id = client.id })
    """
    editor.lua(told, value={"kind": "begin", "title": "Indexing", "percentage": 0})
    editor.lua(told, value={"kind": "report", "percentage": 56, "message": "3,840 of 6,784 files, 23 s left"})
    assert "kexpert: Indexing:  56% 3,840 of 6,784 files, 23 s left" in editor.screen()
    editor.lua(told, value={"kind": "report", "percentage": 57, "message": "many files, " * 20})
    assert "Press ENTER" not in editor.screen()
    editor.lua(told, value={"kind": "end", "message": "6,784 files"})
    assert "Indexing: 100% 6,784 files" in editor.screen()
    assert editor.lua("return vim.ui.progress_status()") == ""


def test_grep_fills_the_quickfix_list(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c")
    editor.lua(r"vim.cmd([[KexpertGrep toy_wind\(car, \d]])")
    (found,) = editor.until("return vim.tbl_map(function(one) return one.text end, vim.fn.getqflist())")
    assert "function car_play" in found


def test_neovims_own_switch_turns_inline_completion_off(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c")
    if not editor.lua("return vim.lsp.inline_completion ~= nil"):
        pytest.skip("Neovim 0.12 is needed for inline completion")
    is_on = "return vim.lsp.inline_completion.is_enabled({ bufnr = 0 })"
    editor.until(is_on)
    editor.lua("vim.lsp.inline_completion.enable(false, { bufnr = 0 })")
    assert editor.lua(is_on) is False
    editor.lua("vim.lsp.inline_completion.enable(true, { bufnr = 0 })")


def test_of_two_trees_the_one_of_the_buffer_is_searched(editor: Neovim, tree: Path, tmp_path: Path) -> None:
    other = make_toy_tree(tmp_path / "other")
    editor.edit(tree / "drivers/toy/user.c")
    editor.edit(other / "drivers/toy/user.c")
    grep = "{ command = 'kexpert.grep', arguments = { 'car_play' } }"
    editor.until(asked("workspace/executeCommand", grep))
    editor.lua("vim.cmd('KexpertGrep car_play')")
    found = "return vim.tbl_map(function(one) return vim.api.nvim_buf_get_name(one.bufnr) end, vim.fn.getqflist())"
    assert editor.until(found) == [str(other / "drivers/toy/user.c")]
    editor.lua(
        """
        for _, client in ipairs(vim.lsp.get_clients({ name = "kexpert" })) do
            if client.root_dir == root then
                client:stop()
            end
        end
        """,
        root=str(other),
    )


def test_results_of_a_search_that_asks_go_to_a_picker(editor: Neovim, tree: Path) -> None:
    """A stand-in for fzf-lua, which Debian has not: it documents that ``quickfix()`` shows the quickfix list."""
    editor.edit(tree / "drivers/toy/user.c")
    editor.lua(
        """
        vim.g.picked = nil
        package.loaded["fzf-lua"] = {
            quickfix = function()
                local list = vim.fn.getqflist()
                vim.g.picked = vim.tbl_map(function(entry) return entry.valid .. " " .. entry.text end, list)
            end,
        }
        vim.ui.input = function(_, done) done([[toy_wind\\(car, \\d]]) end
        vim.cmd("KexpertGrep")
        """
    )
    (picked,) = editor.until("return vim.g.picked")
    editor.lua("package.loaded['fzf-lua'] = nil")
    assert picked.startswith("1 function car_play")
    assert editor.lua("return vim.fn.getqflist({ winid = 0 }).winid") == 0, "no quickfix window beside the picker"


def test_the_health_check_names_program_and_tree(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/user.c")
    editor.lua("vim.cmd('checkhealth kexpert')")
    report = "\n".join(editor.until("return vim.api.nvim_buf_get_lines(0, 0, -1, false)"))
    found = re.search(r"program: (\S+)", report)
    assert found and Path(found[1]).resolve() == KEXPERT.resolve(), report
    assert f"a server runs for {tree}" in report
    assert "sqlite" in report.lower()


def test_the_command_that_installs_is_shown_before_it_runs(editor: Neovim) -> None:
    editor.lua(
        """
        vim.ui.input = function(options, done)
            if options.default then
                vim.g.shown = options.default
                done(nil)
            else
                done("/src/my kexpert")
            end
        end
        vim.cmd("KexpertInstall")
        """
    )
    assert editor.until("return vim.g.shown") == "pipx install '/src/my kexpert'"
    assert editor.lua("return #vim.api.nvim_tabpage_list_wins(0)") == 1, "nothing ran"


def test_what_is_saved_in_one_file_is_completed_in_another(editor: Neovim, tree: Path) -> None:
    editor.edit(tree / "drivers/toy/ugly.c")
    editor.press("Goint toy_shine(struct toy *toy)<CR>{<CR>return 0;<CR>}<Esc>")
    editor.until("return vim.bo.modified and vim.fn.mode() == 'n'")
    editor.lua("vim.cmd('write | bwipeout')")
    editor.edit(tree / "drivers/toy/user.c", "return |toy_wind(car")
    editor.press("cwtoy_shi<C-x><C-o>")
    editor.until("return vim.api.nvim_get_current_line():find('toy_shine', 1, true)")


def test_hints_are_shown_when_the_settings_ask_for_them(program: Path, tree: Path, tmp_path: Path) -> None:
    config = options({"settings": {"kexpert": {"hints": {"parameters": True}}}})
    with Neovim(program, tmp_path, KEXPERT, config) as editor:
        editor.edit(tree / "drivers/toy/user.c")
        editor.lua("vim.lsp.inlay_hint.enable(true)")
        label = "function(hint) return hint.inlay_hint.label end"
        assert "turns:" in editor.until(f"return vim.tbl_map({label}, vim.lsp.inlay_hint.get({{ bufnr = 0 }}))")
