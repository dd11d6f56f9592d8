"""Which suggestions are hidden, and why."""

from __future__ import annotations

import pytest

from kexpert.features.inline.filter import reason_to_hide
from kexpert.features.inline.placement import misplaced
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
        ("\tif (toy->spring{}", "))", "misplaced", ")"),
        ("\tif (toy->spring){}", ")", "misplaced", ")"),
        ("\ttoy_wind({})", "toy, 1", "", ""),
        ("\t{}", "toy_wind(toy, helper(1)));", "misplaced", ")"),
        ("\tint a[2] = { {} };", "helper(1);", "misplaced", ";"),
        ("\tstruct toy t = {\n\t\t{}\n\t};", "return helper(1)", "misplaced", "return"),
        ("\t{}", "*/", "misplaced", "*/"),
        ("\thelper(1);\n\t{}", "else", "misplaced", "else"),
        ("\tif (toy)\n\t\thelper(1);\n\t{}", "else\n\t\thelper(2);", "", ""),
        ("\tif (toy) {\n\t\thelper(1);\n\t} {}", "else {\n\t\thelper(2);\n\t}", "", ""),
        ("\t{}\n}\nint g(int elsewhere)\n{", "helper(elsewhere);", "unknown name", "elsewhere"),
        ("\tDECLARE_THING(made, 1);\n\t{}", "helper(made);", "", ""),
    ],
)
def test_doubtful_suggestion_is_hidden(code: str, answer: str, reason: str, detail: str) -> None:
    found = suggested(f"int f(struct toy *toy)\n{{\n{code.replace('{}', CURSOR)}\n}}\n", answer)
    assert found
    assert (found.hidden_reason, found.hidden_detail) == (reason, detail)
    assert found.shown == (not reason)


@pytest.mark.parametrize(
    ("code", "answer", "wrong"),
    [
        ("int x[] = {\n\t{}\n};\n", "1, 2,", ""),
        ("int x[] = {\n\t{}", "};", ""),
        ("struct s x = {\n\t.a = {\n\t\t{}\n\t},\n};\n", "struct t *b;", ";"),
        ("int f(int a, {}", "int b)", ""),
        ("int f(int a, {}", "int b))", ")"),
        ("int f(void)\n{\n\tg({});\n}\n", "a)", ")"),
        ("int f(void)\n{\n\tif (a) {\n\t\t{}\n", "g();\n\t}\n}", ""),
        ("int f(void)\n{\n\tdo {\n\t\tg();\n\t} {}\n}\n", "while (0);", ""),
        ("/* {} */\n", "words */", ""),
        ("{}", "int a;", ""),
    ],
)
def test_what_cannot_stand_at_the_cursor_is_named(code: str, answer: str, wrong: str) -> None:
    view, source, offset = at_cursor(f"//- a.c\n{code.replace('{}', CURSOR, 1)}")
    assert misplaced(CursorContext(view, source, offset), answer.encode()) == wrong


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
