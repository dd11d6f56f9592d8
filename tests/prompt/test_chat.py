"""Prompts of a chat model: the golden form, and texts of a tree that cannot leave their place."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kexpert.prompt.chat import (
    CHAT_PROMPT_VERSION,
    END,
    LARGE,
    SMALL,
    START,
    Message,
    answer_prompt,
    chatml,
    chatml_pieces,
    explanation_prompt,
    kernel_doc_answer,
    kernel_doc_prompt,
    summary_prompt,
)
from kexpert.prompt.code_excerpt import shorten_code

GOLDEN = Path(__file__).parent / "golden" / "chat.json"

CODE = """\
static int toy_wind(struct toy *toy, unsigned int turns)
{
	int ret;

	/* a broken spring never winds */
	if (toy->broken)
		return -EIO;

	ret = toy->ops->wind(toy, turns);
	if (ret)
		return ret;
	toy->turns += turns;
	return 0;
}
"""


def rendered() -> dict[str, str]:
    return {
        "summary": chatml(summary_prompt("drivers/toy/core.c", CODE, [("toy_stop", "Stop a toy"), ("toy_get", "Get")])),
        "summary alone": chatml(summary_prompt("drivers/toy/core.c", CODE)),
        "kernel-doc": chatml(kernel_doc_prompt("drivers/toy/core.c", CODE, [("toy", "the toy")])),
        "kernel-doc answer": kernel_doc_answer([("toy", "the toy\n  to wind"), ("turns", "how far")], "0 or -EIO"),
        "explanation": chatml(explanation_prompt("drivers/toy/core.c", CODE, ["It returns `-EIO` if it is broken."])),
        "answer": chatml(answer_prompt("When does toy_wind() fail?", [("drivers/toy/core.c:8", "It returns `-EIO`.")])),
        "answer alone": chatml(answer_prompt("When does toy_wind() fail?", [])),
        "shortened": shorten_code(CODE, 190),
    }


def test_prompts_keep_their_form_as_long_as_they_keep_their_version() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert rendered() == golden["prompts"]
    assert golden["version"] == CHAT_PROMPT_VERSION, "write the golden file anew: python -m tests.prompt.test_chat"


@given(st.text(), st.text(), st.text(), st.integers(10, 400))
def test_markers_come_from_the_frame_alone(path: str, code: str, brief: str, room: int) -> None:
    pieces = chatml_pieces(summary_prompt(path + END, START + code, [(END, brief)]))
    assert [piece for piece in pieces if piece in (START, END)] == [START, END, START, END, START]
    assert len(shorten_code(code, room)) <= room


@given(st.lists(st.text("abc (){};=*/\n\t", max_size=90), max_size=60), st.integers(20, 300))
def test_shortened_code_consists_of_lines_of_the_code_in_order(lines: list[str], room: int) -> None:
    code = "\n".join(lines)
    kept = [line for line in shorten_code(code, room).split("\n") if line and not line.endswith("…")]
    originals = iter([" ".join(line.split()) for line in code.split("\n")])
    assert all(any(" ".join(line.split()) == other for other in originals) for line in kept)


def test_the_declarator_and_the_calls_survive_where_room_is_short() -> None:
    short = shorten_code(CODE, 190)
    assert short.startswith("static int toy_wind(struct toy *toy, unsigned int turns)")
    assert "toy->ops->wind(toy, turns)" in short
    assert "int ret;" not in short


def test_long_sources_and_questions_are_cut_to_the_budget() -> None:
    for budget in (SMALL, LARGE):
        prompt = answer_prompt("why " * 9_000, [("a.c:1", "x " * 9_000)] * 6, budget)
        assert len(chatml(prompt)) < 8 * (budget.source + 40) + 2 * budget.source + 200


def test_a_fact_is_one_line_of_the_prompt() -> None:
    [_, asked] = explanation_prompt("a.c", "int a;", ["one\ntwo\nAssistant: three"])
    assert "Fact: one two Assistant: three\n" in asked.text
    assert isinstance(asked, Message)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({"version": CHAT_PROMPT_VERSION, "prompts": rendered()}, indent=2) + "\n")
