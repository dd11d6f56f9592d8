"""Each tool, its answer and its failure, asked by the SDK's client over a real process."""

from __future__ import annotations

import re

import pytest

from tests.support.mcp_client import Agent

CORE, USER, HEADER = "drivers/gate/core.c", "drivers/gate/user.c", "include/linux/gate.h"

DIFF = """\
diff --git a/drivers/gate/core.c b/drivers/gate/core.c
--- a/drivers/gate/core.c
+++ b/drivers/gate/core.c
@@ -15,5 +15,6 @@ int gate_swing(struct gate *gate, int angle)
 \tif (angle < 0)
 \t\treturn -EINVAL;
+\tgate->kind = 0;
 \tspin_lock(&gate->lock);
 \tgate->count++;
 \tspin_unlock(&gate->lock);
"""


def test_find_function_gives_signature_place_summary_and_facts(agent: Agent) -> None:
    lines = agent.ask("find_function", name="gate_swing").splitlines()
    assert lines[0] == f"gate_swing: function, {CORE}:13 when CONFIG_GATE, definition 1 of 2 (exact)"
    assert lines[1] == "int gate_swing(struct gate *gate, int angle)"
    assert "swing a gate" in lines
    for part in ("Exported with EXPORT_SYMBOL_GPL", f"Declared in {HEADER}:28", "3 callers"):
        assert part in "\n".join(lines)
    assert "- drivers/other/own.c:1 function: static int gate_swing(int own)" in lines


def test_find_function_gives_the_text_if_asked(agent: Agent) -> None:
    answer = agent.ask("find_function", name="wing_all()", body=True)
    assert f"{USER}:12-19:\nint wing_all(struct gate *gate)\n{{\n\tint i;\n" in answer
    assert "return gate->ops->swing" in answer


def test_each_variant_has_its_condition(agent: Agent) -> None:
    answer = agent.ask("find_function", name="gate_speed")
    assert f"{CORE}:25 when CONFIG_GATE, CONFIG_GATE_FAST" in answer
    assert f"- {CORE}:30 function when CONFIG_GATE, !CONFIG_GATE_FAST: int gate_speed(void)" in answer


def test_path_narrows_to_a_folder(agent: Agent) -> None:
    answer = agent.ask("find_function", name="gate_swing", path="drivers/other")
    assert answer.startswith("gate_swing: function, drivers/other/own.c:1 (exact)")
    assert "drivers/gate" not in answer


def test_find_type_gives_the_text(agent: Agent) -> None:
    answer = agent.ask("find_type", name="struct gate")
    assert answer.startswith(f"struct gate: struct, {HEADER}:21 (exact)\na gate\n")
    assert f"{HEADER}:21-26:\nstruct gate {{\n\tconst struct gate_ops *ops;" in answer


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gate_debug", f"gate_debug: variable, {CORE}:3 when CONFIG_GATE (exact)"),
        ("gate_ops.swing", f"gate_ops.swing: member, {HEADER}:11 (exact)"),
        ("GATE_OPEN", f"GATE_OPEN: enumerator, {HEADER}:5 (exact)\nGATE_OPEN = 4\nValue 4\n"),
        ("GATE_LIMIT", f"GATE_LIMIT: macro, {HEADER}:1 (exact)\n#define GATE_LIMIT 64"),
        ("CONFIG_GATE", "CONFIG_GATE: configuration option, Kconfig:1 (exact)"),
    ],
)
def test_find_symbol_knows_any_kind(agent: Agent, name: str, expected: str) -> None:
    assert agent.ask("find_symbol", name=name).startswith(expected)


def test_find_callers_gives_the_lines_of_calls_and_no_callers_of_a_namesake(agent: Agent) -> None:
    answer = agent.ask("find_callers", name="gate_swing")
    assert answer.splitlines()[:3] == [
        f"2 callers of gate_swing, {CORE}:13 (by name only)",
        f"{USER}:5 wing_swing()",
        f"{USER}:17 wing_all()",
    ]
    assert "own_user" not in answer


def test_find_callers_names_the_operations_of_a_static(agent: Agent) -> None:
    answer = agent.ask("find_callers", name="wing_swing")
    assert answer.startswith(f"0 callers of wing_swing, {USER}:3 (by syntax)")
    assert f"{USER}:9 wing_swing() is .swing of struct gate_ops in wing_ops" in answer


def test_a_limit_says_how_many_more_there_are(agent: Agent) -> None:
    answer = agent.ask("find_callers", name="gate_swing", limit=1)
    assert "first 1 shown" in answer
    assert "1 more; path= or limit= shows others" in answer


def test_find_calls_goes_through_operations(agent: Agent) -> None:
    lines = agent.ask("find_calls", name="wing_all").splitlines()
    assert lines[0] == f"3 calls in wing_all, {USER}:12 (by syntax)"
    assert f"{CORE}:13 gate_swing() [line 17]" in lines
    assert f"{USER}:3 wing_swing() through gate_ops.swing [line 18]" in lines


def test_find_callchain_goes_up_and_down_through_operations(agent: Agent) -> None:
    answer = agent.ask("find_callchain", name="gate_swing")
    assert answer.startswith(f"call chain of gate_swing (exact where not marked)\ngate_swing  {CORE}:13")
    assert "wing_swing" in answer
    assert "own_user" not in answer
    assert f"{USER}:17" in agent.ask("find_callchain", name="wing_all", to="gate_swing")


def test_grep_functions_gives_the_functions_that_hold_a_match(agent: Agent) -> None:
    answer = agent.ask("grep_functions", pattern=r"spin_(un)?lock\(")
    assert f"{CORE}:13: function gate_swing" in answer
    assert "17: spin_lock(&gate->lock);" in answer
    assert "gate->count++;" in agent.ask("grep_functions", pattern="spin_lock", verbose=True)


def test_diff_functions_gives_what_is_touched_and_who_calls_it(agent: Agent) -> None:
    answer = agent.ask("diff_functions", diff_content=DIFF)
    assert answer.startswith("1 definitions touched in 1 files")
    assert f"{CORE}:13: function gate_swing" in answer
    assert "called by wing_all" in answer
    assert "GATE DRIVER" in answer


def test_find_references_gives_lines_of_code(agent: Agent) -> None:
    lines = agent.ask("find_references", name="gate_debug").splitlines()
    assert lines[0] == "3 uses of gate_debug in 3 files (by name only)"
    assert f"{USER}:18: return gate->ops->swing(gate, gate_speed()) + gate_debug;" in lines


def test_find_references_of_an_option_finds_kconfig_files(agent: Agent) -> None:
    assert "Kconfig:10: depends on GATE" in agent.ask("find_references", name="CONFIG_GATE")


@pytest.mark.parametrize("name", ["gate_ops.swing", "swing", "wing_swing"])
def test_find_implementations_goes_both_ways(agent: Agent, name: str) -> None:
    answer = agent.ask("find_implementations", name=name)
    assert answer.endswith(f"{USER}:9 wing_swing() is .swing of struct gate_ops in wing_ops")


def test_find_config_gives_the_entry_and_what_it_builds(agent: Agent) -> None:
    answer = agent.ask("find_config", name="GATE")
    for part in ("Gate support", "depends on SMP", "selects CRC16", "Say Y to open gates.", CORE):
        assert part in answer


def test_struct_layout_gives_offsets_and_holes(agent: Agent) -> None:
    answer = agent.ask("struct_layout", name="gate")
    assert re.search(r"^ +0 +8  .*\*ops;$", answer, re.M)
    assert re.search(r"bytes hole.*\n +~16 +8  long count;$", answer, re.M)


def test_lock_rules_give_the_lines(agent: Agent) -> None:
    answer = agent.ask("lock_rules", name="gate_swing")
    assert f"- Takes &gate->lock (spinlock), released before it returns ({CORE}:17, {CORE}:19)" in answer


def test_maintainers_of_a_file_a_folder_and_a_name(agent: Agent) -> None:
    for name in (CORE, "drivers/gate", "gate_swing"):
        answer = agent.ask("maintainers", name=name)
        assert "GATE DRIVER (MAINTAINERS:1)\n  maintainer: Grace Gate <grace@example.org>\n" in answer
        assert "  reviewer: Ruth Reviewer" in answer


def test_kernel_doc_gives_all_of_it(agent: Agent) -> None:
    answer = agent.ask("kernel_doc", name="gate_swing")
    for part in ("swing a gate", "- angle: in degrees", "Return: 0, or -EINVAL for a negative angle."):
        assert part in answer


def test_explain_function_gives_return_values_and_steps(agent: Agent) -> None:
    answer = agent.ask("explain_function", name="gate_swing")
    assert "- Returns -EINVAL if angle < 0 (line 16)" in answer
    assert "How it works" in answer


def test_vgrep_functions_finds_by_words(agent: Agent) -> None:
    answer = agent.ask("vgrep_functions", query_text="swing a gate")
    assert f"{CORE}:13 function gate_swing" in answer


def test_ask_gives_places(agent: Agent) -> None:
    answer = agent.ask("ask", question="When does gate_swing return -EINVAL?")
    assert f"{CORE}:16 " in answer


def test_indexing_status_says_what_is_there(agent: Agent, tree: object) -> None:
    lines = agent.ask("indexing_status").splitlines()
    assert lines[0] == f"Tree: {tree}, Linux 6.1.7-rc1"
    assert lines[1] == "Index: 7 files, complete"


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("find_function", {"name": "gate_swnig"}, "no function or macro named gate_swnig; nearest names: gate_swing ("),
        ("find_type", {"name": "gats"}, "no struct, union, enum or typedef named gats; nearest names: gate (struct"),
        ("find_symbol", {"name": "gate_debgu"}, "nearest names: gate_debug (variable"),
        ("find_callers", {"name": "gate_swnig"}, "nearest names: gate_swing"),
        ("find_calls", {"name": "nothing_at_all"}, "no function or macro named nothing_at_all"),
        ("find_callchain", {"name": "gate_swnig"}, "nearest names: gate_swing"),
        ("find_callchain", {"name": "gate_swing", "to": "gate_swnig"}, "nearest names: gate_swing"),
        ("grep_functions", {"pattern": "zebra"}, "no function, macro or type holds a match of 'zebra'"),
        ("grep_functions", {"pattern": "(a"}, "missing ): (a"),
        ("diff_functions", {"diff_content": "no diff"}, "no file is changed by this text"),
        ("find_references", {"name": "GATE_LIMITS"}, "nearest names: GATE_LIMIT (macro"),
        ("find_implementations", {"name": "gate_debug"}, "nothing is assigned to an operation gate_debug"),
        ("find_config", {"name": "GATES"}, "no configuration option named CONFIG_GATES; nearest names: CONFIG_GATE ("),
        ("struct_layout", {"name": "gate_state"}, "no struct or union named gate_state"),
        ("lock_rules", {"name": "gate_swing", "path": "fs"}, "only fs was looked at"),
        ("kernel_doc", {"name": "gate swing"}, "'gate swing' is no C name"),
        ("explain_function", {"name": "gate_debug"}, "no function or macro with a body named gate_debug"),
        ("maintainers", {"name": "drivers/nowhere.c"}, "'drivers/nowhere.c' is no file or folder of the tree"),
        ("vgrep_functions", {"query_text": "zebra"}, "nothing is found for 'zebra'"),
        ("ask", {"question": "zebra?"}, "nothing is found"),
        ("list_branches", {}, "is not under git"),
    ],
)
def test_a_failure_is_one_line_that_helps(agent: Agent, tool: str, arguments: dict[str, str], expected: str) -> None:
    said = agent.refused(tool, **arguments)
    assert expected in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("find_function", {}, "find_function needs name; it takes name, path?, body?"),
        ("find_function", {"name": 7}, "name must be a text, not 7"),
        ("find_function", {"name": "x" * 5000}, "name has 5,000 characters; at most 200 are read"),
        ("find_function", {"name": "gate_swing", "body": "maybe"}, "body must be true or false, not 'maybe'"),
        ("find_callers", {"name": "gate_swing", "limit": -1}, "limit must be a number from 0 to 200, not -1"),
        ("find_callers", {"name": "gate_swing", "path": "*a*a*a*a*a*a*b"}, "has too many wildcards"),
        ("find_callers", {"name": "gate_swing", "path": "drivers/[z-a]"}, "path 'drivers/[z-a]' is no pattern"),
        ("grep_functions", {"pattern": "gate", "path": "[[:alpha:]"}, "path '[[:alpha:]' is no pattern"),
        ("find_functions", {"name": "gate_swing"}, "no tool 'find_functions'; there are diff_functions, find_function"),
        ("vgrep_functions", {"query_text": "gate", "path": "../../etc"}, "nothing is found"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(
    agent: Agent, tool: str, arguments: dict[str, object], expected: str
) -> None:
    said = agent.refused(tool, **arguments)
    assert expected in said
    assert "\n" not in said


def test_arguments_of_other_servers_are_understood_or_named(agent: Agent) -> None:
    answer = agent.ask("find_function", name="gate_swing", verbose=True, git_sha="HEAD", path_pattern="drivers/gate")
    assert "spin_lock(&gate->lock);" in answer
    assert answer.endswith("(not known here and ignored: git_sha; answers are of the working tree)")
