"""Questions that the definition of a name answers: where, what for, how large, who."""

from __future__ import annotations

import pytest

from kexpert.features.ask.ask import ask
from tests.support.memory_view import MemoryView, files_of

VIEW = MemoryView(files_of("""\
//- include/linux/toy.h
/**
 * struct toy - A toy that can be wound up. It is red.
 * @turns: how often, e.g. twice
 */
struct toy {
	int turns;
	void *owner;
	long plain;
};
struct toy_ops {
	int (*open)(struct toy *toy);
};
/*
 * TOY_LOUD - it makes noise
 * TOY_FAST - it runs
 */
#define TOY_LOUD 1
#define TOY_FAST (1 << 1)
#define TOY_BARE 0x10
enum toy_state { TOY_NEW, TOY_OLD };
//- tools/toy.h
struct toy { int x; };
//- drivers/toy/core-car.c
static int max_toys = 3;
module_param(max_toys, int, 0444);
MODULE_PARM_DESC(max_toys, "Most toys at a time");
/**
 * toy_wind() - Wind a toy up.
 * @toy: the toy
 * @turns: how often to turn the key
 *
 * Context: Any context.
 */
int toy_wind(struct toy *toy, int turns)
{
	return 0;
}
int toy_silent(void) { return 0; }
static int car_open(struct toy *toy) { return 0; }
static const struct toy_ops car_ops = { .open = car_open };
//- drivers/other/boat.c
static int boat_open(struct toy *toy) { return 0; }
static const struct toy_ops boat_ops = { .open = boat_open };
//- drivers/toy/Kconfig
config TOY
	bool "Toys"
	depends on SPRING
	help
	  Toys that can be wound up. They are red.
//- MAINTAINERS
List of maintainers
===================

TOY DRIVERS
M:	Ada Wind <ada@example.org>
L:	toys@example.org (moderated)
S:	Maintained
F:	drivers/toy/

TOYS IN GENERAL
M:	Bob Key <bob@example.org>
F:	include/linux/toy.h

THE REST
M:	Cyr Rest <cyr@example.org>
F:	*
F:	*/
"""))


@pytest.mark.parametrize(("question", "answer"), [
    ("Where is struct toy defined?", "struct toy is defined in include/linux/toy.h [1]."),
    ("which header defines TOY_FAST", "TOY_FAST is defined in include/linux/toy.h [1]."),
    ("where is toy_wind()?", "toy_wind() is defined in drivers/toy/core-car.c [1]."),
    ("What is a toy?", "struct toy: A toy that can be wound up [1]."),
    ("what does toy_wind do?", "toy_wind(): Wind a toy up [1]."),
    ("What does TOY_FAST mean?", "TOY_FAST: it runs [1]."),
    ("what is TOY_BARE", "#define TOY_BARE 0x10 [1]."),
    ("what is TOY_OLD?", "TOY_OLD is an enumerator of enum toy_state with the value 1 [1]."),
    ("What is the meaning of turns in struct toy?", "toy.turns: how often, e.g. twice [1]."),
    ("what is the difference between TOY_LOUD and TOY_FAST?", "TOY_LOUD: it makes noise [1]. TOY_FAST: it runs [2]."),
    ("What is CONFIG_TOY for?", "CONFIG_TOY: Toys. Toys that can be wound up [1]."),
    ("what is the size of struct toy?", "struct toy has 24 bytes [1]."),
    ("At which offset is owner in struct toy?", "owner is at offset 8 of struct toy [1]. struct toy has 24 bytes [2]."),
    ("What does the turns argument of toy_wind mean?", "toy_wind(), turns: how often to turn the key [1]."),
    ("May I call toy_wind() in an interrupt?", "toy_wind(): context, by its documentation: Any context [1]."),
    ("What does the module parameter core_car.max_toys do?", "core_car.max_toys: Most toys at a time [1]."),
    ("who implements .open of struct toy_ops in drivers/toy?", "car_open() is .open of struct toy_ops in car_ops [1]."),
    ("Who maintains drivers/toy/core-car.c?",
     "drivers/toy/core-car.c is maintained by Ada Wind <ada@example.org> (TOY DRIVERS); "
     "patches go to toys@example.org [1]."),
    ("who maintains drivers/other", "drivers/other is maintained by Cyr Rest <cyr@example.org> (THE REST) [1]."),
    ("to whom do I send a patch for struct toy?",
     "include/linux/toy.h is maintained by Bob Key <bob@example.org> (TOYS IN GENERAL) [1]."),
    ("who maintains toys in general?", "TOYS IN GENERAL is maintained by Bob Key <bob@example.org> [1]."),
])  # fmt: skip
def test_definitions_answer(question: str, answer: str) -> None:
    found = ask(VIEW, question)
    assert (found.text, found.origin) == (answer, "facts")


@pytest.mark.parametrize("question", [
    "what does toy_silent do?",  # nobody wrote it down
    "What does CONFIG_TOY depend on?",
    "what does toy_wind return?",
    "who maintains nothing at all like this?",
])  # fmt: skip
def test_other_questions_are_not_answered_by_definitions(question: str) -> None:
    text = ask(VIEW, question).text
    assert "defined in" not in text and "maintained by" not in text and "can be wound" not in text
