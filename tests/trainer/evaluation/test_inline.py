"""Evaluation of inline completion: holes, metrics, baselines, and a complete run through the serving path."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from kexpert_trainer.evaluation.baselines import NGrams, SimilarLines
from kexpert_trainer.evaluation.eval_holes import KINDS, Hole, cut_holes
from kexpert_trainer.evaluation.inline import (
    Answer,
    evaluate,
    inline_metrics,
    is_exact,
    names,
    parses,
    similarity,
    table,
)
from kexpert_trainer.evaluation.metrics import percentile
from kexpert_trainer.evaluation.new_functions import NewFunction, is_for_evaluation, new_functions
from tests.support.tiny_models import speaking_model
from tests.support.toy_tree import make_toy_tree

BODY = """\
static int toy_play(struct toy *toy, int turns)
{
	int ret;

	/* wind it up */
	ret = toy_wind(toy, turns);
	if (ret) {
		toy_stop(toy);
		return ret;
	}

	return toy_wind(toy, 1);
}
"""


def function(body: str = BODY) -> NewFunction:
    data = ("#include <linux/toy.h>\n\n" + body + "\nint after;\n").encode()
    start = data.index(b"static")
    return NewFunction("drivers/toy/play.c", "toy_play", data, start, start + len(body) - 1)


def hole(before: str, middle: str, after: str, kind: str = "line") -> Hole:
    return Hole(kind, "a.c", "f", before, middle, after, before, after)  # type: ignore[arg-type]


# Holes


def test_a_hole_leaves_the_rest_of_the_file_unchanged() -> None:
    functions = [function(BODY.replace("toy_play", f"toy_play{at}")) for at in range(30)]
    holes = cut_holes(functions, 30, seed=3)
    assert {each.kind for each in holes} == set(KINDS)
    for each in holes:
        assert (each.before + each.middle + each.after).startswith("#include <linux/toy.h>\n\nstatic int toy_play")
        assert each.before.endswith(each.head)
        assert each.after.startswith(each.tail)
        assert (each.before + each.middle + each.after).endswith("\nint after;\n")


def test_holes_have_the_form_of_their_kind() -> None:
    functions = [function(BODY.replace("toy_play", f"toy_play{at}")) for at in range(30)]
    for each in cut_holes(functions, 30, seed=3):
        line = each.before[each.before.rfind("\n") + 1 :]
        assert each.middle == each.middle.rstrip()
        assert each.after.startswith("\n")
        assert "wind it up" not in each.middle.split("\n")[0]
        if each.kind == "inside":
            assert line.strip()
            assert "\n" not in each.middle
        else:
            assert not line.strip()
            assert each.middle[0].strip()
        if each.kind == "lines":
            assert 2 <= len(each.middle.split("\n")) <= 5
            assert "\n\n" not in each.middle


def test_a_larger_count_begins_with_the_same_holes() -> None:
    functions = [function(BODY.replace("toy_play", f"toy_play{at}")) for at in range(20)]
    few, many = cut_holes(functions, 3, seed=1), cut_holes(functions, 9, seed=1)
    assert [each for each in few if each.kind == "inside"] == [each for each in many if each.kind == "inside"][:3]


# Metrics


@pytest.mark.parametrize(
    ("text", "exact"),
    [("foo(a,\n\t    b);", True), ("foo(a, b);  ", True), ("foo(a, b)", False), ("foo(a,b);", False), ("", False)],
)
def test_white_space_does_not_matter_for_an_exact_match(text: str, exact: bool) -> None:
    assert is_exact("foo(a, b);", text) == exact


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("", "", 1.0), ("abc", "abc", 1.0), ("abc", "", 0.0), ("kitten", "sitting", 1 - 3 / 7), ("ab", "ba", 0.0)],
)
def test_edit_similarity(one: str, other: str, expected: float) -> None:
    assert similarity(one, other) == pytest.approx(expected)


def test_names_are_completed_and_taken_from_code_alone() -> None:
    place = hole("x = toy_wi", "nd(toy);", ";")
    assert names(place, 'nd(toy, "some text"); /* a word */ return') == ["toy_wind", "toy"]


@pytest.mark.parametrize(("text", "good"), [("a = 1;", True), ("a = (1;", False), ("if (a", False), ("}", False)])
def test_a_suggestion_that_breaks_the_function_does_not_parse(text: str, good: bool) -> None:
    assert parses(hole("int f(int a)\n{\n\t", "a++;", "\n\treturn a;\n}\n"), text) == good


def test_metrics_of_shown_answers_leave_out_hidden_ones() -> None:
    place = hole("int f(int a)\n{\n\t", "a = 1;", "\n}\n")
    answers = [
        Answer("a = 1;", True, ms=100, bits=8, bytes=8),
        Answer("a = unheard;", False, ms=300, bits=16, bytes=4),
        Answer("", False, ms=200),
    ]
    found = inline_metrics([(place, answer) for answer in answers], lambda hole, name: name != "unheard")
    assert (found.holes, found.exact, found.exact_shown) == (3, pytest.approx(1 / 3), 1.0)
    assert (found.names_exist, found.names_exist_shown) == (pytest.approx(2 / 3), 1.0)
    assert (found.shown, found.bits_per_byte, found.ms_p50) == (pytest.approx(1 / 3), 2.0, 200)
    assert math.isnan(found.typed_ms_p50)


def test_percentiles_are_measured_values_and_leave_out_missing_ones() -> None:
    values = [30.0, math.nan, 10.0, 20.0, 40.0]
    assert [percentile(values, percent) for percent in (0, 50, 95)] == [10, 30, 40]
    assert percentile(map(float, range(1000)), 95) == 950
    assert math.isnan(percentile([math.nan], 50))


def test_answers_are_counted_by_origin() -> None:
    place = hole("int f(int a)\n{\n\t", "a = 1;", "\n}\n")
    answers = [
        Answer("a = 1;", origin="copied"),
        Answer("a = 2;", False, origin="copied"),
        Answer("a = 3;", origin="model"),
        Answer("", False, origin="model"),
        Answer("a = 4;"),
    ]
    found = inline_metrics([(place, answer) for answer in answers], lambda hole, name: True)
    assert (found.by_model, found.copied) == (1, 2)
    lines = table({"kexpert": {"line": asdict(found)}}).split("\n")
    header, row = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], lines[2]))
    cells = dict(zip(header, row, strict=True))
    assert (cells["by_model"], cells["copied"]) == ("1", "2")


# Baselines


def test_ngrams_continue_as_the_texts_they_were_counted_in() -> None:
    model = NGrams(["\tret = toy_wind(toy, 1);\n\tif (ret)\n\t\treturn ret;\n"] * 3)
    assert model.fill(hole("int x;\n\tret = toy_w", "ind(toy, 1);", "\n", "inside")) == "ind(toy, 1);"
    assert model.fill(hole("int x;\n\tret = toy_wind(toy, 1);\n\t", "if (ret)\n\t\treturn ret;", "\n", "lines")) == (
        "if (ret)\n\t\treturn ret;"
    )


def test_the_line_after_the_most_similar_line_is_the_answer() -> None:
    lines = SimilarLines(["\tret = toy_wind(toy, 1);\n\tif (ret)\n\t\tgoto out;\n", "\tother(toy);\n\tif (x)\n"])
    assert lines.fill(hole("\tret = toy_wind(toy, 2);\n\tif (", "ret)", "\n", "inside")) == "ret)"
    assert lines.fill(hole("\tret = toy_wind(toy, 2);\n\t", "if (ret)\n\t\tgoto out;", "\n", "lines")) == (
        "if (ret)\ngoto out;"
    )


# A complete run


def test_only_new_functions_in_files_for_evaluation_are_used(trees: tuple[Path, Path]) -> None:
    older, newer = trees
    found = new_functions(newer, older, 100, 1)
    assert {each.name for each in found} == {"toy_play"}
    assert all(is_for_evaluation(each.path) for each in found)


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """(older, newer): the newer tree has twelve more files with a function; about half are for evaluation."""
    older, newer = make_toy_tree(tmp_path / "linux-1"), make_toy_tree(tmp_path / "linux-2")
    for at in range(12):
        body = f"#include <linux/toy.h>\n\n{BODY}"
        (newer / f"drivers/toy/new{at}.c").write_text(body)
    return older, newer


def test_the_serving_path_is_evaluated(
    trees: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = trees
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    subprocess.run([sys.executable, "-m", "kexpert", "index", "--tree", str(newer)], check=True, capture_output=True)
    model = speaking_model(tmp_path / "model", ("{\n", "\tint", " ret", ";"), (";\n\n", "\treturn", " 0", ";"))
    details = tmp_path / "details.jsonl"
    found = evaluate(newer, older, str(model), count=2, files=100, details=details)
    opened = "kexpert, opened 0.5 s ago"
    assert set(found) == {"kexpert", opened, "n-gram", "similar line"}
    for kind in KINDS:
        served = found["kexpert"][kind]
        assert served["holes"] == 2
        assert served["bits_per_byte"] > 0
        assert served["ms_p50"] > 0
        assert served["typed_ms_p50"] > 0
        assert math.isnan(found["n-gram"][kind]["ms_p50"])
        assert found[opened][kind]["holes"] == 2
    assert sum(found[opened][kind]["shown"] for kind in KINDS) > 0
    answers = [json.loads(line)["kexpert"] for line in details.read_text().splitlines()]
    given = [answer["origin"] for answer in answers if answer["text"]]
    assert set(given) <= {"model", "copied"}
    assert sum(found["kexpert"][kind]["copied"] for kind in KINDS) == given.count("copied") > 0
    assert sum(found["kexpert"][kind]["by_model"] for kind in KINDS) == given.count("model")
    assert len(answers) == 6
    assert answers[0]["bytes"] > 0
    assert table(found).count("\n") == 13
