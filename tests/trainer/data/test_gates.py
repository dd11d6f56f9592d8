"""Each gate drops the rows that it is for, says why, and keeps a good row."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.prompt.chat import Task
from kexpert_trainer.data.gates import facts_of, first_failure
from kexpert_trainer.data.licences import is_compatible, licence_of
from kexpert_trainer.data.near_duplicates import duplicates, signature
from kexpert_trainer.data.quality import quality
from kexpert_trainer.data.rows import Row
from tests.support.chat_corpus import function, row

GOOD = row()
TABLE = "int table(void)\n{\n" + "".join(f"\twritel({at}, base + {at * 4});\n" for at in range(20)) + "\treturn 0;\n}"


def failure(candidate: Row) -> tuple[str, str]:
    return first_failure(candidate)


@pytest.mark.parametrize("task", [Task.SUMMARY, Task.KERNEL_DOC, Task.EXPLANATION])
def test_a_good_row_passes_all_gates(task: Task) -> None:
    assert failure(row(task)) == ("", "")


@pytest.mark.parametrize(
    ("candidate", "gate", "reason"),
    [
        pytest.param(row(code="int f(int a)\n{\n\treturn a;\n}"), "length", "at most 10 lines", id="short function"),
        pytest.param(row(output="Drain it"), "length", "too short", id="short answer"),
        pytest.param(row(output="drain " * 400), "length", "too long", id="long answer"),
        pytest.param(row(code=GOOD.code + " " * 6000), "length", "longer than a row", id="code that is cut"),
        pytest.param(row(code=GOOD.code.replace("if (count", "if count")), "parse", "syntax", id="broken code"),
        pytest.param(row(code="int a;\n" * 12), "parse", "no function", id="no function"),
        pytest.param(row(output="Drain the fifo of Andr\udce9 at once"), "parse", "UTF-8", id="Latin-1"),
        pytest.param(
            row(Task.KERNEL_DOC, "fifo: the state of it\nlimit: tries"), "parse", "another form", id="other form"
        ),
        pytest.param(row(notes={"generated": True}), "boilerplate", "generated", id="generated file"),
        pytest.param(row(output="TODO: describe what is drained"), "boilerplate", "unfinished", id="note to self"),
        pytest.param(row(output="Brief description."), "boilerplate", "template", id="template"),
        pytest.param(row(code=TABLE), "boilerplate", "one form of line", id="table written as code"),
        pytest.param(row(output="This function drains the dock"), "repeats-name", "repeats the name", id="name again"),
        pytest.param(
            row(Task.KERNEL_DOC, "@fifo: the fifo pointer\n@limit: the limit value"), "repeats-name", "parameters'",
            id="parameters again",
        ),
        pytest.param(
            row(Task.KERNEL_DOC, "@fifo: state of channel 4\n@tries: highest number\nReturn: 0 on success"),
            "parameters", "does not have", id="unknown parameter",
        ),
        pytest.param(
            row(Task.KERNEL_DOC, "@fifo: state of channel 4\nReturn: 0 on success"), "parameters", "leaves out",
            id="missing parameter",
        ),
        pytest.param(row(output="Drain @ring until it is empty"), "parameters", "marks a name", id="marked name"),
        pytest.param(row(licence=""), "licence", "no licence", id="no licence"),
        pytest.param(row(licence="Apache-2.0"), "licence", "Apache-2.0", id="other licence"),
    ],
)  # fmt: skip
def test_a_gate_drops_its_row_with_the_reason(candidate: Row, gate: str, reason: str) -> None:
    found = failure(candidate)
    assert found[0] == gate
    assert reason in found[1]


@pytest.mark.parametrize(
    ("expression", "compatible"),
    [
        ("GPL-2.0-only", True), ("GPL-2.0 WITH Linux-syscall-note", True), ("MIT", True),
        ("(GPL-2.0 OR CDDL-1.0)", True), ("((GPL-2.0 WITH Linux-syscall-note) AND MIT)", True),
        ("CDDL-1.0", False), ("GPL-2.0 AND CDDL-1.0", False), ("CDDL-1.0 OR (MIT AND Apache-2.0)", False),
        ("", False), (")(", False), ("(((", False), ("OR", False), ("GPL-3.0-only", False),
    ],
)  # fmt: skip
def test_a_licence_is_compatible_if_one_choice_is(expression: str, compatible: bool) -> None:
    assert is_compatible(expression) is compatible


@settings(deadline=None)
@given(st.lists(st.sampled_from(["(", ")", "OR", "AND", "WITH", "MIT", "GPL-2.0", "X"]), max_size=30))
def test_any_licence_expression_has_an_answer(words: list[str]) -> None:
    assert is_compatible(" ".join(words)) in (True, False)


def test_the_text_of_a_licence_counts_where_no_spdx_line_stands() -> None:
    assert licence_of(b"// SPDX-License-Identifier: ISC\nint x;\n") == "ISC"
    mit = b"/*\n * Permission is hereby granted, free of\n * charge, to any person obtaining a copy\n */\n"
    assert licence_of(mit) == "MIT"
    assert licence_of(b"/* under the terms of the GNU General Public\n * License */") == "GPL-2.0"
    assert licence_of(b"int x;\n") == ""


def body(name: str, deed: int, number: int) -> str:
    text = function(name, deed, number)
    return text[text.index("*/") + 3 :]


def test_a_copy_with_another_prefix_is_a_near_duplicate() -> None:
    original = body("ixa_drain", 0, 3).replace("step(", "ixa_step(").replace("readl", "ixa_readl")
    copies = [
        ("a", signature(original, "ixa_drain")),
        ("b", signature(original.replace("ixa_", "ixb_"), "ixb_drain")),
        ("c", signature(body("ixa_wake", 7, 3), "ixa_wake")),
    ]
    assert list(duplicates(copies)) == [("a", ""), ("b", "a"), ("c", "")]


def test_comments_make_no_difference_to_near_duplicates() -> None:
    code = body("f_drain", 0, 3)
    assert signature(code, "f_drain") == signature(code.replace("{\n", "{ /* begins here */\n"), "f_drain")


def test_quality_is_higher_where_a_row_says_more() -> None:
    said = row(output="Drain the fifo until the hardware reports that it is empty")
    little = row(output="Drain the hardware fifo")
    assert 0 <= quality(little, facts_of(little)) < quality(said, facts_of(said)) <= 1


def test_quality_is_lower_for_names_that_the_input_does_not_have() -> None:
    called = next(name for name in facts_of(row()).calls if "_" in name)
    known = row(output=f"Drain the fifo by calling {called}() until empty hardware")
    unknown = row(output="Drain the fifo by calling purge_all_slots() until empty hardware")
    assert quality(unknown, facts_of(unknown)) < quality(known, facts_of(known))


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80), st.sampled_from(list(Task)[:3]), st.text(alphabet="ab(){};,*= \n\t", max_size=120))
def test_no_text_breaks_a_gate(output: str, task: Task, code: str) -> None:
    candidate = row(task, output or "-", code=code)
    gate, reason = failure(candidate)
    assert bool(gate) == bool(reason)
    assert 0 <= quality(candidate, facts_of(candidate)) <= 1
