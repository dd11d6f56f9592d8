"""Where a suggestion ends: tokens in, the text to keep out."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from kexpert.features.inline.hole_shape import hole_shape
from kexpert.features.inline.stopping_rule import MAX_TEXT, StoppingRule, end_of, without_repeated_end
from tests.support.complexity import assert_linear

STATEMENTS = hole_shape("\t", "\n}\n", 5)


def read(tokens: Iterable[tuple[str, float]], rule: StoppingRule) -> int:
    """The number of tokens that the rule takes before it stops."""
    taken = 0
    for text, logprob in tokens:
        taken += 1
        if rule.feed(text, logprob):
            return taken
    rule.run_out()
    return taken


@pytest.mark.parametrize(
    ("before", "answer", "after", "expected"),
    [
        ("\tret = ", "helper(1);\n\treturn ret;\n", "\n}\n", "helper(1);"),
        ("\t", "int a = 1;\n\treturn a;\n}\n\nint g(void)\n", "\n}\n", "int a = 1;\n\treturn a;"),
        ("\tif (a) {\n\t\t", "a = 1;\n\t}\n\treturn a;\n", "\n\t}\n}\n", "a = 1;"),
        ("\tif (a", ") {\n\t\treturn 1;\n\t}\n\treturn 0;\n", "\n}\n", ") {\n\t\treturn 1;\n\t}"),
        ("\tif (a", " && b", ")\n\t\treturn;\n", " && b"),
        ("\thelper(", "1, 2);\n\thelper(3);\n", ");\n", "1, 2"),
        ("\thelper(", "\n\t\t1,\n\t\t2);\n\tother();\n", "\n}\n", "\n\t\t1,\n\t\t2);"),
        ("\t", "a();\n\n\tb();\n", "\n}\n", "a();"),
        ("", "a();\nb();\nc();\nd();\ne();\nf();\ng();\n", "\n}\n", "a();\nb();\nc();\nd();\ne();"),
        ("\t", "a();\n\tb(x,\n\t  y,\n\t  z,\n\t  u,\n\t  v,\n\t  w);\n", "\n}\n", "a();"),
        ("\tx = ", "'{' + \"}\"; /* } */\n\ty = 2;\n", "\n}\n", "'{' + \"}\"; /* } */"),
        ("\t", "return a;\n", "\n\treturn a;\n}\n", "return a;"),
        ("\t", "a();\n\treturn a;\n", "\n\treturn a;\n}\n", "a();"),
        ("\ta();", "\n\tb();\n\tc();\n\n", "\n}\n", "\n\tb();\n\tc();"),
        ("\tif (a)", "\n\t\tb();\n\tc();\n", "\n}\n", "\n\t\tb();"),
        ("\t\tgo = ", "f(1);", "f(1);\n", ""),
        ("\t", "a();\n\tb();\n\tc();\n", "\n\tb();\n}\n", "a();"),
        ("\t", "if (a) {\n\t\tc();\n\t}\n", "\n\t\tb();\n\t}\n}\n", "if (a) {"),
        ("\thelper(", "1,\n\t\t7,\n\t\t8);\n", "\n\t\t2);\n}\n", "1,"),
        ("\tif (", "a)\n\t\tc();\n", "\n\t\tb();\n}\n", "a)"),
        ("\tx = a +", " b +\n\t\td;\n", "\n\t\tc;\n}\n", " b +"),
    ],
)
def test_suggestion_ends_with_its_statement_or_block(before: str, answer: str, after: str, expected: str) -> None:
    shape = hole_shape(before, after, 5)
    rule = StoppingRule(shape)
    for letter in answer:
        if rule.feed(letter, 0.0):
            break
    assert without_repeated_end(rule.suggestion, shape) == expected


def test_no_token_is_read_after_the_end() -> None:
    rule = StoppingRule(hole_shape("\ta = ", "\n}\n", 5))
    tokens = [("helper", -0.1), ("(1);", -0.1), ("\n", -0.1), ("\treturn", -0.1), (" a;", -0.1)]
    assert read(tokens, rule) == 3
    assert rule.suggestion == "helper(1);"


def test_last_token_of_the_model_ends_the_suggestion() -> None:
    rule = StoppingRule(STATEMENTS)
    assert not rule.feed("helper(", -0.1)
    assert rule.feed("1)", -0.1, last=True)
    assert rule.suggestion == "helper(1)"


@pytest.mark.parametrize(
    ("logprob", "taken", "suggestion"),
    [(-0.2, 5, "a = 1;\n\tb = 2;"), (-0.6, 3, "a = 1;"), (-3.0, 2, "a = 1;"), (math.nan, 5, "a = 1;\n\tb = 2;")],
)
def test_further_statements_are_kept_while_they_are_likely(logprob: float, taken: int, suggestion: str) -> None:
    rule = StoppingRule(STATEMENTS)
    tokens = [("a = 1;\n\t", -5.0), ("b", logprob), (" =", logprob), (" 2;", -0.1), ("\n}", -0.1)]
    assert read(tokens, rule) == taken
    assert rule.suggestion == suggestion


def test_every_complete_statement_starts_the_probability_anew() -> None:
    rule = StoppingRule(STATEMENTS)
    tokens = [("a = 1;\n\t", 0.0), ("b = 2;", -0.8), ("\n\t", 0.0), ("c = 3;", -0.8), ("\n}", 0.0)]
    assert read(tokens, rule) == 5
    assert rule.suggestion == "a = 1;\n\tb = 2;\n\tc = 3;"


def test_unlikely_first_statement_is_read_to_its_end() -> None:
    rule = StoppingRule(STATEMENTS)
    assert read([("a", -9.0), (" = 1;", -9.0), ("\n}", -9.0)], rule) == 3
    assert rule.suggestion == "a = 1;"


def test_unfinished_line_is_dropped_when_the_tokens_run_out() -> None:
    rule = StoppingRule(STATEMENTS)
    read([("a = helper(1);\n\ta = helper(", -0.1)], rule)
    assert rule.suggestion == "a = helper(1);"


def test_nothing_is_kept_of_an_unfinished_single_line() -> None:
    rule = StoppingRule(hole_shape("\thelper(", ");\n", 5))
    read([("1, hel", -0.1)], rule)
    assert rule.suggestion == ""


def test_answer_without_an_end_is_cut() -> None:
    rule = StoppingRule(hole_shape("\tcall(", "\n}\n", 10**6))
    assert read((("first,\n\t\tsecond,\n" if at % 9 else "a,", -0.0) for at in range(10**6)), rule) < MAX_TEXT
    assert MAX_TEXT - 20 < len(rule.suggestion) <= MAX_TEXT + 20


@pytest.mark.parametrize("piece", ["(", "{\n", '"', "/*", "\\", "'\\"])
def test_end_of_nonsense_takes_linear_time(piece: str) -> None:
    assert_linear(lambda size: end_of(piece * size, STATEMENTS))


@pytest.mark.parametrize("piece", ["(", "{\n", '"', "/*", "\n", "a;"])
def test_shape_of_nonsense_takes_linear_time(piece: str) -> None:
    assert_linear(lambda size: hole_shape(piece * size, piece * size, 5))
