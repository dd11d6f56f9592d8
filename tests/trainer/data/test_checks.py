"""Each check refuses what contradicts the code, accepts what agrees, and says nothing about the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.prompt.chat import Task, kernel_doc_answer
from kexpert_trainer.data.checks import CHECKS, Evidence
from kexpert_trainer.data.claims import errnos, lock_claims, parse_kernel_doc
from kexpert_trainer.data.corpus_checks import MAX_FILE_ROWS, MAX_SAME_ANSWERS, excess_rows, leaking_rows
from kexpert_trainer.data.corruptions import CORRUPTIONS, broken
from kexpert_trainer.data.gates import facts_of
from kexpert_trainer.data.origins import Origin
from kexpert_trainer.data.rows import Row
from kexpert_trainer.data.stated_facts import read_function
from tests.support.chat_corpus import function, row

COMMENT = function("dock_drain", 0, 4).partition("*/")[0]
VOID = row().code.replace("int dock", "void dock").replace("return -EINVAL", "return").replace("return 0", "return")
PASSES_ON = row().code.replace("return 0;", "return fifo_state(fifo);")


def outcome(check: str, candidate: Row, comment: str = COMMENT, code: str = "") -> str | None:
    origin = Origin(candidate.name, comment, code or candidate.code)
    return CHECKS[check](candidate, Evidence(facts_of(candidate), origin))


@pytest.mark.parametrize("task", [Task.SUMMARY, Task.KERNEL_DOC, Task.EXPLANATION])
@pytest.mark.parametrize("check", list(CHECKS))
def test_a_good_row_fails_no_check(check: str, task: Task) -> None:
    assert not outcome(check, row(task))


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (replace(row(), id="0" * 16), "id does not follow"),
        (row(tree=""), "provenance is incomplete"),
        (row(licence=""), "provenance is incomplete"),
        (row(end_line=1), "provenance is incomplete"),
        (row(output="Drain the fifo\x1b[31m"), "characters that are no text"),
        (row(quality=1.5), "quality"),
    ],
)
def test_integrity_refuses(candidate: Row, said: str) -> None:
    assert said in (outcome("integrity", candidate) or "")


def test_integrity_refuses_code_that_the_tree_does_not_have() -> None:
    assert "other code" in (outcome("integrity", row(), code=row().code.replace("limit", "bound")) or "")
    assert "no such symbol" in (CHECKS["integrity"](row(), Evidence(facts_of(row()), None)) or "")


@pytest.mark.parametrize(
    "candidate",
    [
        row(code=row().code.replace("if (count", "if count")),
        row(output="Drain the fifo\nint dock_drain(void)"),
        row(Task.KERNEL_DOC, "fifo: the state"),
        row(Task.ANSWER, "It drains the fifo.", sources=(("a.c:1", "It drains the fifo."),)),
        row(Task.ANSWER, "It drains the fifo [2].", sources=(("a.c:1", "It drains the fifo."),)),
    ],
)
def test_syntax_refuses(candidate: Row) -> None:
    assert outcome("syntax", candidate)


def test_parameters_must_exist() -> None:
    assert "no parameter tries" in (outcome("parameters", row(Task.KERNEL_DOC, "@tries: highest number")) or "")
    assert "twice" in (outcome("parameters", row(Task.KERNEL_DOC, "@fifo: one\n@fifo: two")) or "")
    assert outcome("parameters", row(output="Drain @ring until it is empty"))
    assert outcome("parameters", row(output="Drain @fifo until it is empty")) == ""
    assert outcome("parameters", row()) is None


def test_a_void_function_returns_nothing() -> None:
    answer = kernel_doc_answer([("fifo", "state"), ("limit", "tries")], "0 on success")
    assert outcome("return", row(Task.KERNEL_DOC, answer, code=VOID)) == "the function returns void"
    assert outcome("return", row(Task.KERNEL_DOC, answer)) == ""
    assert outcome("return", row(output="Returns the state of the fifo", code=VOID))
    assert outcome("return", row(output="Return early when the fifo is empty", code=VOID)) is None


def test_an_error_must_be_in_the_body_unless_it_comes_from_elsewhere() -> None:
    def claim(code: str) -> Row:
        return row(Task.KERNEL_DOC, "@fifo: state\n@limit: tries\nReturn: 0 or -EBUSY", code=code)

    assert outcome("errnos", claim(row().code)) == "cannot return EBUSY"
    assert outcome("errnos", claim(row().code.replace("EINVAL", "EBUSY"))) == ""
    assert outcome("errnos", claim(PASSES_ON)) is None
    assert outcome("errnos", claim(VOID)) == "cannot return EBUSY"


def test_a_variable_that_only_holds_constants_passes_nothing_on() -> None:
    code = "int f(int a)\n{\n\tint ret = 0;\n\n\tif (a)\n\t\tret = -EIO;\n\treturn ret;\n}"
    assert [facts.passes_values for text in (code, code.replace("-EIO", "g(a)"), code.replace("ret = -EIO", "g(&ret)"))
            if (facts := read_function(text))] == [False, True, True]  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "code", "failing"),
    [
        ("The caller must hold @fifo->state_lock.", row().code, True),
        ("Must be called with fifo->state_lock held.", row().code, True),
        ("The caller must hold the other_lock.", row().code, False),
        ("It may be called from interrupt context.", row().code, True),
        ("It may be called from interrupt context.", row().code.replace("mutex_lock", "spin_lock"), False),
        ("It can be called from atomic context.", row().code.replace("int count", "int c = in_atomic(), count"), False),
        ("The caller must not hold state_lock.", row().code.replace("mutex_lock(", "lockdep_assert_held("), True),
    ],
)
def test_claims_about_locks_agree_with_the_body(claim: str, code: str, failing: bool) -> None:
    said = outcome("locks", row(Task.EXPLANATION, claim, code=code))
    assert said is not None and bool(said) is failing


def test_words_about_locks_that_name_none_are_no_claim() -> None:
    assert not lock_claims("The lock must be held for the whole time.")
    assert lock_claims("Caller should hold tree_lock").held == {"tree_lock"}


def test_an_answer_is_about_the_symbol_below_its_comment() -> None:
    assert "does not say" in (outcome("symbol", row(output="Wake the waiter that has slept longest")) or "")
    other = row(output="dock_wake() - Drain the fifo")
    assert "is about dock_wake" in (outcome("symbol", other, COMMENT + " dock_wake") or "")


def test_errors_have_one_name() -> None:
    assert errnos("-EWOULDBLOCK, EAGAIN or %-ENOMEM, never EXAMPLE") == {"EAGAIN", "ENOMEM"}


@given(
    st.lists(st.tuples(st.sampled_from(["a", "flags", "..."]), st.text("ab :@", min_size=1))),
    st.text("xy @", max_size=9),
)
def test_a_kernel_doc_answer_is_read_back(params: list[tuple[str, str]], returns: str) -> None:
    wanted = [(name, " ".join(text.split())) for name, text in params if text.split()]
    answer = kernel_doc_answer(wanted, " ".join(returns.split()))
    found = parse_kernel_doc(answer)
    assert list(found.params) == wanted
    assert found.returns == " ".join(returns.split())
    assert not any(found.malformed)


NEIGHBOURS = (("dock_wake", "Wake the waiter that has slept longest"),)
CLOSED = row(Task.KERNEL_DOC)


@pytest.mark.parametrize(
    ("check", "candidate"),
    [
        ("syntax", CLOSED), ("parameters", CLOSED), ("errnos", CLOSED), ("symbol", row(neighbours=NEIGHBOURS)),
        ("locks", row(Task.EXPLANATION)),
        ("locks", row(Task.EXPLANATION, code=PASSES_ON.replace("&fifo->state_lock", "&m"))),
        ("return", row(Task.KERNEL_DOC, CLOSED.output.partition("\nReturn")[0], code=VOID)),
        ("syntax", row()),
    ],
)  # fmt: skip
def test_a_corruption_is_noticed_by_its_check_alone(check: str, candidate: Row) -> None:
    evidence = Evidence(facts_of(candidate), Origin(candidate.name, COMMENT, candidate.code))
    negative, noticed = broken(candidate, evidence, check)
    assert noticed
    assert negative is not None
    assert negative.output == candidate.output != negative.rejected
    assert negative.broken == check


def test_a_row_that_cannot_be_broken_gives_no_negative() -> None:
    evidence = Evidence(facts_of(row()), Origin("dock_drain", COMMENT, row().code))
    for check in ("parameters", "return", "errnos", "locks", "symbol"):
        assert broken(row(), evidence, check) == (None, True)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=60), st.sampled_from(list(Task)), st.text(alphabet="ab(){};,*= \n", max_size=80))
def test_no_row_breaks_a_check_or_a_corruption(output: str, task: Task, code: str) -> None:
    candidate = row(task, output, code=code)
    evidence = Evidence(facts_of(candidate), None)
    assert all(isinstance(check(candidate, evidence), (str, type(None))) for check in CHECKS.values())
    for corruption in CORRUPTIONS.values():
        wrong = corruption(candidate, evidence)
        assert wrong is None or isinstance(wrong, str)


def numbered(count: int, **entries: object) -> list[Row]:
    common = {"output": "Drain fifo {} at once", **entries}
    text = str(common.pop("output"))
    return [row(line=at + 1, end_line=at + 40, output=text.format(at), **common) for at in range(count)]


def test_rows_beyond_a_fair_share_are_too_many() -> None:
    same = numbered(MAX_SAME_ANSWERS + 3, output="Get the state of the device")
    rows = same + [replace(each, path=f"fs/x{at}/a.c") for at, each in enumerate(numbered(200))]
    found = excess_rows(rows)
    assert len(found) == 3 and set(found.values()) == {"its answer is repeated too often"}
    large = numbered(MAX_FILE_ROWS + 2, path="fs/large/a.c")
    others = [replace(each, path=f"net/x{at}/a.c", id=f"{at:016}") for at, each in enumerate(large * 6)]
    found = excess_rows(large + others)
    assert len([why for why in found.values() if "file" in why]) == 2


def test_a_copy_on_both_sides_of_a_split_leaks() -> None:
    train, other = row(), row(path="fs/other/a.c", name="f_wake", code=function("f_wake", 7, 90).partition("*/\n")[2])
    copy = row(path="fs/copy/a.c", name="car_drain", code=row().code.replace("dock_", "car_"))
    splits = {train.id: "train", copy.id: "test", other.id: "validation"}
    assert list(leaking_rows([train, copy, other], splits)) == [copy.id]
