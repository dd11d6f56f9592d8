"""Questions of every kind: the sources that come first, and the answers that facts give."""

from __future__ import annotations

import pytest

from kexpert.features.ask.ask import MAX_SOURCES, ask, with_fewer_sources
from kexpert.features.ask.question import Topic, read_question
from tests.support.memory_view import MemoryView, files_of

VIEW = MemoryView(files_of("""\
//- drivers/toy/core.c
/**
 * toy_wind() - Wind a toy up.
 */
static int toy_wind(struct toy *toy, unsigned int turns)
{
	if (toy->broken)
		return -EINVAL;
	if (turns > 10)
		return -ERANGE;
	mutex_lock(&toy->lock);
	toy->turns = turns;
	mutex_unlock(&toy->lock);
	return 0;
}

static int toy_open(struct toy *toy)
{
	lockdep_assert_held(&toy->lock);
	return toy_wind(toy, 1);
}

struct toy *toy_find(int id)
{
	if (!id)
		return NULL;
	return ERR_PTR(-ENOENT);
}

static const struct toy_ops car_ops = {
	.open = toy_open,
	.wind = toy_wind,
};

SYSCALL_DEFINE1(toy, int, id)
{
	return toy_find(id) ? 0 : -ENOENT;
}
//- drivers/toy/Kconfig
config TOY
	tristate "Toys"
	depends on SPRING && KEY
	select GEARS
//- drivers/toy/Makefile
obj-$(CONFIG_TOY) += core.o
//- Documentation/toy.rst
Winding of toys
===============

A toy is wound with a key.
"""))

ANSWERED = [
    ("Which lock does toy_wind() take?", "toy_wind() takes &toy->lock (mutex) [1]."),
    ("which mutex is acquired by toy_wind", "toy_wind() takes &toy->lock (mutex) [1]."),
    ("Which lock must be held when calling toy_open()?", "toy_open(): the caller holds &toy->lock [1]."),
    ("What does toy_wind() return if toy->broken?", "toy_wind() returns -EINVAL if toy->broken [1]."),
    ("What do I get from toy_wind when turns is greater than 10?", "toy_wind() returns -ERANGE if turns > 10 [1]."),
    ("When does toy_wind() return -ERANGE?", "toy_wind() returns -ERANGE if turns > 10 [1]."),
    ("Why do I get NULL from toy_find()?", "toy_find() returns NULL if !id [1]."),
    ("Who calls toy_wind()?", "toy_wind() is called by toy_open() [1]."),
    ("In drivers/toy/core.c: who calls toy_wind?", "toy_wind() is called by toy_open() [1]."),
    ("What does CONFIG_TOY depend on?", "CONFIG_TOY depends on SPRING && KEY [1]."),
    ("Why can't I select TOY: what does it depend on?", "CONFIG_TOY depends on SPRING && KEY [1]."),
    ("Which option does TOY select?", "CONFIG_TOY selects GEARS [1]."),
    ("Which option builds drivers/toy/core.c?", "drivers/toy/core.c is built with CONFIG_TOY [1]."),
    ("Which function is the .open of car_ops?", "toy_open() is .open of struct toy_ops in car_ops [1]."),
    ("Which function does car_ops use for wind?", "toy_wind() is .wind of struct toy_ops in car_ops [1]."),
    ("Which function is car_ops.open?", "toy_open() is .open of struct toy_ops in car_ops [1]."),
    ("In which table is toy_open the .open?", "toy_open() is .open of struct toy_ops in car_ops [1]."),
    ("Does toy_wind() sleep?", "toy_wind() may sleep: mutex_lock() [1]."),
    ("What does the system call toy return?", "sys_toy() returns 0 if toy_find(id) [1]. "
                                              "sys_toy() returns -ENOENT if !toy_find(id) [2]."),
]  # fmt: skip


def test_several_callers_are_one_sentence() -> None:
    """Each with its own source."""
    view = MemoryView(files_of("""//- a.c
static int wind(void) { return 0; }
int one(void) { return wind(); }
int two(void) { return wind(); }
int three(void) { return wind(); }
"""))
    found = ask(view, "who calls wind()?")
    assert found.text == "wind() is called by one() [1], two() [2] and three() [3]."
    assert [citation.line for citation in found.citations] == [1, 2, 3]


def test_of_many_callers_or_operations_the_first_ones_are_given_and_the_others_counted() -> None:
    callers = "".join(f"int user{number}(void) {{ return wind(); }}\n" for number in range(9))
    tables = "".join(f"static const struct toy_ops ops{number} = {{ .open = user{number} }};\n" for number in range(8))
    ops = "struct toy_ops { int (*open)(void); };\n"
    view = MemoryView({"a.c": f"int wind(void) {{ return 0; }}\n{callers}{ops}{tables}".encode()})
    found = ask(view, "who calls wind()?")
    assert found.text.startswith("wind() is called by user0() [1], user1() [2]")
    assert found.text.endswith("user5() [6] and 3 more.")
    fewer = with_fewer_sources(found, 2)
    assert fewer.text == "wind() is called by user0() [1], user1() [2] and 7 more."
    found = ask(view, "who implements .open of struct toy_ops?")
    assert found.text.endswith("user5() is .open of struct toy_ops in ops5 [6]. There are 2 more.")


@pytest.mark.parametrize(("question", "answer"), ANSWERED)
def test_facts_answer(question: str, answer: str) -> None:
    found = ask(VIEW, question)
    assert (found.text, found.origin) == (answer, "facts")
    first = found.citations[0]
    source = VIEW.source(first.path)
    assert source is not None and first.line < len(source.lines.starts)


def test_a_citation_is_the_line_of_its_fact() -> None:
    (citation,) = ask(VIEW, "When does toy_wind() return -ERANGE?").citations
    source = VIEW.source(citation.path)
    assert source is not None and b"return -ERANGE" in source.lines.line_bytes(citation.line)


def test_without_a_name_search_brings_the_sources() -> None:
    found = ask(VIEW, "how is a toy wound up with a key?")
    assert (found.text, found.origin) == ("", "sources")
    assert "toy_wind(): Wind a toy up." in [each.text for each in found.citations]
    assert ("Documentation/toy.rst", 3) in [(each.path, each.line) for each in found.citations]
    assert len(found.citations) <= MAX_SOURCES


def test_a_name_without_a_topic_gives_its_facts_and_no_answer() -> None:
    found = ask(VIEW, "explain toy_wind")
    assert found.origin == "sources"
    assert found.citations[0].text == "toy_wind(): Wind a toy up."
    assert all("toy_wind" in each.text for each in found.citations[:4])


def test_a_plain_word_is_a_name_only_where_a_name_is_meant() -> None:
    view = MemoryView({"a.c": b"int winding(int a)\n{\n\treturn 0;\n}\n"})
    assert read_question(view, "what does winding do?").names == ("winding",)
    assert read_question(view, "how is the winding of a toy done?").names == ()


def test_a_member_in_a_condition_is_no_subject() -> None:
    assert read_question(VIEW, "what does toy_wind() return if x->toy_find is zero?").names == ("toy_wind",)


def test_a_question_for_a_lock_that_nobody_needs_is_not_answered_with_another() -> None:
    assert ask(VIEW, "Which lock must the caller of toy_find() hold?").origin == "sources"


@pytest.mark.parametrize("question", ["", "?", "[1] (( ** path:", "which", "toy_nothing_like_it()", "a" * 5000, "\0\n"])
def test_any_text_is_a_question(question: str) -> None:
    assert ask(VIEW, question).origin == "sources"


def test_what_a_question_names() -> None:
    question = read_question(VIEW, "In drivers/toy/core.c: which lock does `toy_wind()` take, CONFIG_TOY and EINVAL?")
    assert question.files == ("drivers/toy/core.c",)
    assert question.names == ("toy_wind",)
    assert question.options == ("TOY",)
    assert question.topics[0] is Topic.LOCK
