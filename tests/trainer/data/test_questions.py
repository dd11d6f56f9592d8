"""Questions made from the facts of a small tree: what is asked, the true answer, and the sources beside it."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from kexpert.prompt.sources import NO_ANSWER
from kexpert_trainer.cli import main
from kexpert_trainer.data.question_forms import phrase, spoken
from kexpert_trainer.data.questions import facts_of_file, is_right, question_rows, without_answer
from kexpert_trainer.data.rows import Row, read_rows
from kexpert_trainer.data.subsystems import is_held_out_subsystem, subsystem_of
from kexpert_trainer.data.tree_facts import Asked, Form, TreeFact

DRIVER = """\
// SPDX-License-Identifier: GPL-2.0
struct foo { struct mutex lock; int users; void *buf; };

static int foo_reset(struct foo *foo)
{
	lockdep_assert_held(&foo->lock);
	foo->users = 0;
	return 0;
}

static int foo_open(struct inode *inode, struct file *file)
{
	struct foo *foo = file->private_data;

	if (!foo)
		return -ENODEV;
	if (foo->users > 3)
		return -EBUSY;
	mutex_lock(&foo->lock);
	foo_reset(foo);
	mutex_unlock(&foo->lock);
	return 0;
}

static int foo_release(struct inode *inode, struct file *file)
{
	if (inode)
		return -EIO;
	return 0;
}

static const struct file_operations foo_fops = {
	.open = foo_open,
	.release = foo_release,
	.owner = THIS_MODULE,
};
"""
KCONFIG = """\
config FOO
	tristate "Foo support"
	depends on PCI && NET
	select CRC32

config FOO_DEBUG
	bool "Debug foo"
	depends on FOO
"""
PATH = "drivers/foo/foo.c"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path, text in {
        PATH: DRIVER,
        "drivers/foo/Kconfig": KCONFIG,
        "drivers/foo/Makefile": "obj-$(CONFIG_FOO) += foo.o\n",
        "Makefile": "VERSION = 6\nPATCHLEVEL = 1\nobj-y += drivers/\n",
        "drivers/Makefile": "obj-y += foo/\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def rows_of(tree: Path, **options: float) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in question_rows(tree, 400, is_wanted=lambda path: True, **options):  # type: ignore[arg-type]
        found.setdefault(row.notes["form"], []).append(row)
    return found


def asked(rows: dict[str, list[Row]], form: Form) -> set[tuple[str, str]]:
    return {(row.name, re.sub(r" \[\d\]$", "", row.output)) for row in rows[form]}


def test_each_form_has_the_answer_of_the_code(tree: Path) -> None:
    rows = rows_of(tree)
    assert asked(rows, Form.LOCK) == {("foo_open", "&foo->lock (mutex)")}
    assert asked(rows, Form.HELD) == {("foo_reset", "&foo->lock")}
    assert asked(rows, Form.CALLER) == {("foo_reset", "foo_open()")}
    assert asked(rows, Form.VALUE) >= {("foo_open", "-ENODEV"), ("foo_open", "-EBUSY"), ("foo_release", "-EIO")}
    assert ("foo_open", "foo->users > 3") in asked(rows, Form.CONDITION)
    assert asked(rows, Form.MEMBER) == {("foo_open", "foo_open()"), ("foo_release", "foo_release()")}
    assert asked(rows, Form.TABLE) == {("foo_open", "foo_fops"), ("foo_release", "foo_fops")}
    assert asked(rows, Form.DEPENDS) == {("CONFIG_FOO", "PCI && NET"), ("CONFIG_FOO_DEBUG", "FOO")}
    assert asked(rows, Form.SELECTS) == {("CONFIG_FOO", "CRC32")}
    assert asked(rows, Form.BUILDS) == {(PATH, "CONFIG_FOO")}


def test_the_answer_cites_the_source_that_holds_it(tree: Path) -> None:
    for rows in rows_of(tree).values():
        for row in rows:
            number = int(re.findall(r"\[(\d)\]$", row.output)[0])
            where, text = row.sources[number - 1]
            assert is_right(text, row.notes["keys"], row.notes["wrong"]), row
            path, line = where.rsplit(":", 1)
            assert 1 <= int(line) <= (tree / path).read_text().count("\n")
            assert len(row.sources) == len(set(row.sources)) > 1


def test_a_source_is_a_sentence_at_its_line(tree: Path) -> None:
    sources = {text: line for row in rows_of(tree)["value"] for (line, text) in row.sources}
    line = DRIVER[: DRIVER.index("return -EBUSY")].count("\n") + 1
    assert sources["foo_open() returns -EBUSY if foo->users > 3"] == f"{PATH}:{line}"


def test_the_same_tree_and_seed_give_the_same_rows(tree: Path) -> None:
    assert rows_of(tree) == rows_of(tree)


def test_a_question_without_its_source_is_answered_by_saying_so(tree: Path) -> None:
    rows = [row for rows in rows_of(tree, unanswered=1.0).values() for row in rows]
    unanswered = [row for row in rows if row.output == NO_ANSWER]
    assert unanswered
    before = {row.id: row for rows in rows_of(tree).values() for row in rows}
    for row in unanswered:
        assert not any(is_right(text, before[row.id].notes["keys"]) for _, text in row.sources)
        assert is_right(NO_ANSWER, row.notes["keys"])
        assert not is_right(before[row.id].output, row.notes["keys"])


def test_a_question_that_another_source_answers_keeps_its_answer() -> None:
    row = next(iter(_row(["foo_open() takes &foo->lock (mutex)", "foo_open() releases &foo->lock"])))
    assert without_answer(row) is row


def _row(texts: list[str]) -> list[Row]:
    from kexpert.prompt.chat import Task

    sources = tuple((f"a.c:{number}", text) for number, text in enumerate(texts, 1))
    notes = {"keys": ["foo->lock"], "wrong": [], "source": 1}
    return [Row("1", Task.ANSWER, "&foo->lock [1]", "a.c", 1, question="Which lock?", sources=sources, notes=notes)]


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("&foo->lock (mutex) [2]", True),
        ("It takes `foo -> lock` [1].", True),
        ("&foo->lock2 [2]", False),
        ("&other->lock [2]", False),
        ("&foo->lock or &bar->lock [1][2]", False),
        ("", False),
    ],
)
def test_an_answer_is_right_if_it_names_the_true_value_and_no_other(answer: str, right: bool) -> None:
    assert is_right(answer, ["foo->lock"], ["bar->lock"]) is right


def test_numbers_of_citations_are_no_answers() -> None:
    assert not is_right("see [0]", ["0"])
    assert is_right("returns 0 [1]", ["0"])
    assert is_right("-EINVAL", ["EINVAL"])


def test_an_answer_must_name_all_options(tree: Path) -> None:
    row = next(row for row in rows_of(tree)["depends"] if row.name == "CONFIG_FOO")
    assert is_right("PCI and NET", row.notes["keys"])
    assert is_right("CONFIG_PCI && CONFIG_NET", ["CONFIG_PCI", "CONFIG_NET"])
    assert not is_right("PCI", row.notes["keys"])


def test_a_simple_condition_is_asked_in_words() -> None:
    rng = random.Random(1)
    assert spoken("ret < 0", rng) in ("ret is negative", "ret is below 0")
    assert "foo" in spoken("!foo", rng) and "!" not in spoken("!foo", rng)
    assert spoken("a && b", rng) == "a && b"


def test_a_question_names_its_function_and_varies() -> None:
    asked = Asked(Form.VALUE, "!buf", "-ENOMEM", ("ENOMEM",))
    fact = TreeFact(("foo_open",), "a.c", 1, "foo_open() returns -ENOMEM if !buf", (asked,))
    questions = {phrase(fact, asked, random.Random(seed)) for seed in range(60)}
    assert len(questions) > 20
    assert all("foo_open" in question and "buf" in question for question in questions)


def test_the_facts_of_a_table_are_functions_only(tree: Path) -> None:
    facts = facts_of_file(tree, PATH)
    assert not any("THIS_MODULE" in fact.text for fact in facts)
    assert any(fact.text == "foo_open() is .open of struct file_operations in foo_fops" for fact in facts)


def test_whole_subsystems_are_held_out() -> None:
    assert subsystem_of("drivers/net/ethernet/intel/ice/ice.h") == "drivers/net/ethernet"
    assert subsystem_of("fs/ext4/inode.c") == "fs/ext4"
    assert is_held_out_subsystem("net/netfilter/core.c")
    assert is_held_out_subsystem("net/netfilter/ipset/ip_set_core.c")
    names = {f"drivers/a{number}/b" for number in range(2000)}
    assert 40 < sum(is_held_out_subsystem(f"{name}/c.c") for name in names) < 130


def test_the_command_writes_rows_for_training(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tree / "questions.jsonl"
    assert main(["questions", "--tree", str(tree), "--count", "20", "--out", str(out)]) == 0
    rows = list(read_rows(out))
    assert f"{len(rows)} questions in {out}" in capsys.readouterr().out
    assert rows and all(row.messages()[-1].text.startswith("Answer from the sources") for row in rows)
