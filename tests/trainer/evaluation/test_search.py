"""Evaluation of search: its questions, its pool, its metrics, and a complete run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kexpert.core.retrieval.words import query_stems
from kexpert_trainer.cli import main
from kexpert_trainer.data.search_situations import Situation, reworded
from kexpert_trainer.evaluation.metrics import rank_of, retrieval_metrics
from kexpert_trainer.evaluation.new_functions import is_for_evaluation
from kexpert_trainer.evaluation.search import (
    FileSurvey,
    SearchQuestion,
    choose,
    copy_pool,
    path_digest,
    survey,
    without_comments_of,
    without_name,
)


def surveyed(path: str, functions: int, *names: str) -> FileSurvey:
    return FileSurvey(path, functions, tuple(SearchQuestion("does it well", name, path) for name in names))


def test_questions_are_about_functions_that_the_older_tree_lacks() -> None:
    questions, pool = choose([surveyed("a.c", 3, "old", "new")], {"old"}, 1)
    assert [question.name for question in questions] == ["new"] and pool == {"a.c"}


def test_the_pool_holds_the_questions_files_and_others_in_a_fixed_order_until_it_is_full() -> None:
    files = [surveyed("asked.c", 10, "new"), *(surveyed(f"{letter}.c", 10) for letter in "abcdefgh")]
    _, pool = choose(files, set(), 35)
    others = sorted((file.path for file in files[1:]), key=path_digest)
    assert pool == {"asked.c", *others[:3]}
    assert choose(files[::-1], set(), 35)[1] == pool
    assert len(choose(files, set(), 0)[1]) == len(files)


def test_a_summary_of_little_more_than_the_name_is_no_question() -> None:
    file = FileSurvey("a.c", 1, (SearchQuestion("frob_it() helper", "frob_it", "a.c"),))
    assert choose([file], set(), 1)[0] == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("frob_it() resets frob_it_all", "resets frob_it_all"),
        ("call frob_it before", "call before"),
        ("my_frob_it stays", "my_frob_it stays"),
    ],
)
def test_the_functions_own_name_is_removed_from_its_question(text: str, left: str) -> None:
    assert without_name(SearchQuestion(text, "frob_it", "a.c")).split() == left.split()


def test_metrics_count_the_first_ten_answers() -> None:
    answers = [["right", "x"], ["x", "right"], ["x"] * 10 + ["right"], []]
    found = retrieval_metrics([rank_of(each, "right") for each in answers])
    assert found.mrr == pytest.approx((1 + 0.5) / 4)
    assert (found.recall, found.first, found.questions) == (0.5, 0.25, 4)


def source(name: str, brief: str, call: str) -> str:
    return f"""\
/**
 * {name} - {brief}
 * @w: it
 */
int {name}(struct widget *w)
{{
	return {call}(w, w->state); /* {brief} */
}}
"""


FUNCTIONS = {
    "widget_alloc_ring": ("allocate the ring buffer", "dma_alloc_ring"),
    "widget_stop_queue": ("stop the transmit queue", "netif_stop_queue"),
    "widget_load_firmware": ("load the firmware of the device", "request_firmware"),
}


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """(newer, older): the newer tree has three more functions, in files for evaluation."""
    newer, older = tmp_path / "newer", tmp_path / "older"
    paths = [path for path in (f"drivers/w{number}.c" for number in range(40)) if is_for_evaluation(path)]
    for tree in (newer, older):
        (tree / "drivers").mkdir(parents=True)
        for mark in ("Kconfig", "Makefile", "MAINTAINERS"):
            (tree / mark).touch()
        (tree / "drivers" / "old.c").write_text(source("old_one", "do what was always done", "old_helper"))
    for path, (name, (brief, call)) in zip(paths, FUNCTIONS.items(), strict=False):
        (newer / path).write_text(source(name, brief, call))
    return newer, older


def copied(tree: Path, target: Path, situation: Situation) -> list[tuple[FileSurvey, str, str]]:
    """(survey, text of the copy, text) of every file; the first file's function is asked for."""
    files = survey(tree, is_for_evaluation)
    copy_pool(tree, target, [file.path for file in files], files[0].questions, situation)
    return [(file, (target / file.path).read_text(), (tree / file.path).read_text()) for file in files]


def test_the_blanked_copy_has_no_comments(trees: tuple[Path, Path], tmp_path: Path) -> None:
    for file, copy, full in copied(trees[0], tmp_path, Situation.BLANKED):
        assert len(copy) == len(full) and "@w" not in copy and "return" in copy
        assert file.questions[0].text not in copy


def test_only_the_asked_functions_lose_their_comments_above_and_inside(
    trees: tuple[Path, Path], tmp_path: Path
) -> None:
    (first, copy, full), *others = copied(trees[0], tmp_path, Situation.UNDOCUMENTED)
    assert len(copy) == len(full) and first.questions[0].text not in copy and "return" in copy
    assert others and all(copy == full for _, copy, full in others)
    code = b"/* Above. */\nint frob(void)\n{\n\treturn 1; /* inside */\n}\n/* Other. */\nint other(void)\n{\n}\n"
    left = without_comments_of("a.c", code, {"frob"})
    assert b"Above" not in left and b"inside" not in left and b"Other" in left and len(left) == len(code)


def test_a_reworded_question_shares_few_words_with_the_comment_and_always_is_the_same() -> None:
    text = "get the number of free entries of a ring buffer"
    other = reworded(text, "ring_free_entries")
    assert other == reworded(text, "ring_free_entries")
    assert "fetch" in other.split() and "count" in other.split()
    shared = set(query_stems(text)) & set(query_stems(other))
    assert len(shared) <= len(query_stems(text)) / 2


def test_one_command_evaluates_the_served_search(
    trees: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer, older = trees
    trees_given = ["--tree612", str(newer), "--tree61", str(older), "--work", str(tmp_path / "work")]
    assert main(["evaluate", "search", *trees_given, "--functions", "0", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["functions"] == len(FUNCTIONS)
    rows = {(row["situation"], row["method"]): row for row in report["rows"]}
    situations = ("blanked", "undocumented", "reworded")
    assert set(rows) == {(s, m) for s in situations for m in ("bm25", "vectors", "fused", "reranked")}
    for row in rows.values():
        assert row["questions"] == len(FUNCTIONS)
        assert row["recall"] == 1 and row["mrr"] > 0.8
