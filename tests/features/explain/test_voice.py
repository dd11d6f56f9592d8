"""What a chat model is asked about a piece of code, and what its answer may speak of."""

from __future__ import annotations

import pytest

from kexpert.features.explain.explain import explain
from kexpert.features.explain.voice import (
    can_be_summarised,
    explanation_question,
    may_explain,
    may_summarise,
    summary_question,
    undocumented_functions,
)
from kexpert.prompt.chat import LARGE, SMALL, Task
from tests.support.memory_view import MemoryView, files_of

TREE = """\
//- drivers/toy/core.c
/**
 * toy_stop_motor - stop the motor of a toy
 * @toy: the toy
 */
int toy_stop_motor(struct toy *toy)
{
	return 0;
}

/**
 * toy_name - the name of a toy
 */
char *toy_name(struct toy *toy)
{
	return toy->name;
}

/**
 * toy_stop_lamp() - stop the lamp.
 */
int toy_stop_lamp(struct toy *toy)
{
	return 0;
}

int toy_start_motor(struct toy *toy)
{
	spin_lock(&toy->lock);
	motor_run(toy->motor);
	spin_unlock(&toy->lock);
	if (!toy->ops)
		return -EINVAL;
	return 0;
}

#define TOY_MAX 100
#define TOY_HALF(x) \\
	((x) / 2)

struct toy_box {
	int count;
};
struct toy_box;

// Runs a toy.
static void toy_run(struct toy *toy)
{
	toy_start_motor(toy);
}
//- drivers/toy/lamp.c
/**
 * lamp_start - let a lamp shine
 */
int lamp_start(int lamp)
{
	return lamp;
}

static int lamp_dim(int lamp)
{
	return lamp_start(lamp) - 1;
}
"""
VIEW = MemoryView(files_of(TREE))
CORE = "drivers/toy/core.c"


def question(name: str, path: str = CORE):
    source = VIEW.source(path)
    assert source is not None
    symbol = next(each for each in VIEW.symbols_in(path) if each.name == name)
    return summary_question(VIEW, source, symbol, SMALL)


def test_the_line_is_asked_with_the_two_most_alike_documented_functions_of_the_file() -> None:
    asked = question("toy_start_motor")
    lines = asked.messages[-1].text.split("\n")
    assert lines[:4] == [
        "Summarize in one line.", "File: drivers/toy/core.c", "Like: toy_stop_motor() - stop the motor of a toy",
        "Like: toy_name() - the name of a toy",
    ]  # fmt: skip
    assert lines[4:6] == ["Code:", "int toy_start_motor(struct toy *toy)"]
    assert [(place.path, place.line) for place in asked.sources] == [(CORE, 25)]


def test_the_folder_fills_in_where_the_file_documents_too_little() -> None:
    lines = question("lamp_dim", "drivers/toy/lamp.c").messages[-1].text.split("\n")
    assert lines[2] == "Like: lamp_start() - let a lamp shine"
    assert lines[3].startswith("Like: toy_")


def test_an_answer_may_speak_of_the_code_and_of_the_neighbours_alone() -> None:
    asked = question("toy_start_motor")
    assert asked.checked("Run the motor by motor_run()", ended=True) == "Run the motor by motor_run()"
    assert asked.checked("Run the motor by motor_go()", ended=True) == ""
    assert asked.checked("Stop the motor of a toy", ended=True) == ""
    assert asked.checked("Run the motor of a", ended=False) == ""


def test_functions_records_and_macros_that_are_no_constants_get_a_line() -> None:
    source = VIEW.source(CORE)
    assert source is not None
    found = {s.name for s in VIEW.symbols_in(CORE) if can_be_summarised(source, s)}
    assert {"toy_start_motor", "toy_run", "TOY_HALF", "toy_box"} <= found
    assert "TOY_MAX" not in found
    assert sum(s.name == "toy_box" and can_be_summarised(source, s) for s in VIEW.symbols_in(CORE)) == 1


def test_ahead_the_functions_without_a_comment_are_summarised() -> None:
    source = VIEW.source(CORE)
    assert source is not None
    assert [symbol.name for symbol in undocumented_functions(VIEW, source)] == ["toy_start_motor"]


def page(start: str, end: str = ""):
    source = VIEW.source(CORE)
    assert source is not None
    first = source.data.index(start.encode())
    last = source.data.index(end.encode()) + len(end) if end else first
    found = explain(VIEW, source, first, last)
    assert found is not None
    return source, found


def test_sentences_are_asked_with_facts_and_may_speak_of_all_facts() -> None:
    asked = explanation_question(*page("motor_run"), SMALL)
    assert asked is not None
    assert asked.task is Task.EXPLANATION
    lines = asked.messages[-1].text.split("\n")
    assert lines[:3] == [
        "Explain in two or three sentences.", "File: drivers/toy/core.c", "Fact: takes &toy->lock (spinlock)"
    ]  # fmt: skip
    assert any(line.startswith("Fact: ") and "-EINVAL" in line for line in lines)
    assert (CORE, 27) in [(place.path, place.line) for place in asked.sources]
    text = asked.checked("It is called by toy_run(). It calls zap(). It is", ended=False)
    assert text == "It is called by toy_run()."


def test_a_selection_in_a_function_is_asked_about_alone() -> None:
    asked = explanation_question(*page("motor_run", "toy->motor);"), SMALL)
    assert asked is not None
    assert asked.code.strip() == "motor_run(toy->motor);"


def test_a_selection_over_two_functions_is_not_asked_about() -> None:
    assert explanation_question(*page("motor_run", "toy_start_motor(toy)"), SMALL) is None


@pytest.mark.parametrize(
    ("tasks", "budget", "explains", "summarises"),
    [
        ((), LARGE, True, True), ((), SMALL, False, True), (("summary",), SMALL, False, True),
        (("summary", "explanation"), SMALL, True, True), (("answer",), SMALL, False, False),
        (("summary",), LARGE, False, True),
    ],
)  # fmt: skip
def test_a_model_is_asked_for_what_it_can_do(tasks, budget, explains, summarises) -> None:
    assert (may_explain(tasks, budget), may_summarise(tasks)) == (explains, summarises)


def test_a_function_of_three_thousand_lines_makes_a_short_question() -> None:
    body = "\n".join(f"\tx[{at}] = fill({at});" for at in range(3000))
    view = MemoryView({"a.c": f"int long_one(int *x)\n{{\n{body}\n\treturn 0;\n}}\n".encode()})
    source = view.source("a.c")
    assert source is not None
    (symbol,) = view.symbols_in("a.c")
    assert sum(len(each.text) for each in summary_question(view, source, symbol, SMALL).messages) < 800
    found = explain(view, source, 40, 40)
    assert found is not None
    asked = explanation_question(source, found, LARGE)
    assert asked is not None
    assert sum(len(each.text) for each in asked.messages) < 16_000


BROKEN = ["int f(", "}}}} ((", "int f(void) { if (", "\x00\xff{", "static int broken(int a {\n}"]


@pytest.mark.parametrize("code", BROKEN)
def test_broken_code_is_asked_about_or_not_but_never_fails(code: str) -> None:
    view = MemoryView({"a.c": code.encode("utf-8", "surrogateescape")})
    source = view.source("a.c")
    assert source is not None
    found = explain(view, source, 0, len(source.data))
    if found is not None:
        explanation_question(source, found, SMALL)
    for symbol in view.symbols_in("a.c"):
        if can_be_summarised(source, symbol):
            summary_question(view, source, symbol, SMALL)
