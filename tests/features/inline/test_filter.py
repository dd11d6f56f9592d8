"""Which suggestions are hidden, and why."""

from __future__ import annotations

import pytest

from kexpert.features.inline.filter import reason_to_hide
from kexpert.features.inline.suggest import InlineConfig
from kexpert.features.semantics.cursor import CursorContext
from tests.support.complexity import assert_linear
from tests.support.memory_view import CURSOR, at_cursor
from tests.support.scripted_completer import TREE, ScriptedCompleter, suggested


@pytest.mark.parametrize(
    ("code", "answer", "reason", "detail"),
    [
        ("\ttoy_wind(toy, {});", "2", "", ""),
        ("\t{}", "toy_wind(toy, TOY_MAX);", "", ""),
        ("\t{}", "int fresh = helper(1);\n\n\treturn fresh;", "", ""),
        ("\t{}", "toy->spring->force = 1;", "", ""),
        ("\t{}", "toy_unwind(toy);", "unknown name", "toy_unwind"),
        ("\ttoy_w{}", "ind(toy, 1);", "", ""),
        ("\ttoy_w{}", "ound(toy, 1);", "unknown name", "toy_wound"),
        ("\t{}", "toy->force = 1;", "unknown name", "toy->force"),
        ("\t{}", "toy->spring->turns = 1;", "unknown name", "toy->spring->turns"),
        ("\t{}", 'helper("unheard_of");', "", ""),
        ("\t{}", "/* unheard of */", "", ""),
        ("\t{}", "helper(1);\n\thelper(1);\n\thelper(1);", "repetition", "helper(1);"),
        ("\thelper(2);\n\t{}", "helper(2);", "repetition", "helper(2);"),
        ("\t{}", "helper(turns, turns, turns, turns);", "repetition", "turns"),
        ("\t{}\n\tif (a)\n\t\treturn helper(1);", "if (a)\n\t\treturn helper(1);", "repetition", "if (a)"),
        ("\t{}", " ", "empty", ""),
    ],
)
def test_doubtful_suggestion_is_hidden(code: str, answer: str, reason: str, detail: str) -> None:
    found = suggested(f"int f(struct toy *toy)\n{{\n{code.replace('{}', CURSOR)}\n}}\n", answer)
    assert found
    assert (found.hidden_reason, found.hidden_detail) == (reason, detail)
    assert found.shown == (not reason)


CALL = f"int f(int a)\n{{\n\ta = {CURSOR}\n}}\n"


def test_unsure_suggestion_is_hidden() -> None:
    found = suggested(CALL, ScriptedCompleter("helper(1);", logprob=-2.0))
    assert found
    assert (found.hidden_reason, found.hidden_detail) == ("unsure", "-2.83")


def test_unsure_suggestion_is_shown_to_a_user_who_asks_for_it() -> None:
    asked_for = InlineConfig(min_logprob=float("-inf"))
    found = suggested(CALL, ScriptedCompleter("helper(1);", logprob=-2.0), asked_for)
    assert found
    assert found.shown


def test_suggestion_without_probabilities_is_shown() -> None:
    found = suggested(CALL, ScriptedCompleter("helper(1);", logprob=float("nan")))
    assert found
    assert found.shown


@pytest.mark.parametrize("piece", [b"a", b"a, ", b"\n", b"->", b"{", b"a->"])
def test_judging_an_answer_takes_linear_time(piece: bytes) -> None:
    cursor = CursorContext(*at_cursor(TREE + f"int f(struct toy *toy)\n{{\n\t{CURSOR}\n}}\n"))
    assert_linear(lambda size: reason_to_hide(cursor, piece * size, 0.0, -1.0))
