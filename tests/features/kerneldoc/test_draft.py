"""The comment: complete, from facts and from what people wrote nearby, and of the kernel's form."""

from __future__ import annotations

import pytest

from tests.features.kerneldoc.drafts import draft_of, edited

TOY = """\
int toy_wind(struct toy *toy, unsigned int turns)
{
	if (toy->broken)
		return -EINVAL;
	mutex_lock(&toy->lock);
	toy->turns = turns;
	mutex_unlock(&toy->lock);
	return 0;
}
"""


def test_a_comment_from_facts() -> None:
    made = draft_of(TOY, "toy_wind")
    assert edited(made) == made.comment() + "\n" + TOY
    assert made.comment() == (
        "/**\n"
        " * toy_wind() - toy wind\n"
        " * @toy: the &struct toy\n"
        " * @turns: the turns (``unsigned int``), stored in ``toy->turns``\n"
        " *\n"
        " * Context: Process context. May sleep. Takes and releases ``&toy->lock``\n"
        " * (mutex).\n"
        " * Return: 0 on success or -EINVAL if ``toy->broken``\n"
        " */"
    )
    assert {each.origin for each in made.texts} == {"facts"}


def test_a_plain_comment_becomes_brief_and_description() -> None:
    made = draft_of("/*\n * Wind the toy up. A spring that is wound too far\n * breaks.\n */\n" + TOY, "toy_wind")
    text = edited(made)
    assert text.startswith("/**\n * toy_wind() - Wind the toy up\n * @toy: ")
    assert "\n *\n * A spring that is wound too far breaks.\n *\n * Context: " in text
    assert text.count("/*") == 1
    assert made.texts[0].origin == "documentation"


@pytest.mark.parametrize(
    "comment",
    [
        "/*\n * Wind the toy up:\n *   - first the spring\n *   - then the key\n */\n",
        "/* Wind the toy up; returns: 0 */\n",
        "/*\n * Wind the toy up.\n *\n * Note: not twice\n */\n",
    ],
)
def test_a_comment_whose_form_would_be_lost_stays(comment: str) -> None:
    text = edited(draft_of(comment + TOY, "toy_wind"))
    assert text.startswith((comment, "/**\n * toy_wind() - Wind the toy up; returns: 0\n"))


def test_the_head_of_a_part_of_the_file_is_left_alone() -> None:
    head = "/* -------- winding of toys -------- */\n"
    made = draft_of(head + TOY, "toy_wind")
    assert edited(made).startswith(head + "/**\n")
    assert made.texts[0].text == "toy wind"


def test_a_parameter_is_described_as_its_neighbours_do() -> None:
    other = "/**\n * toy_stop() - stop it\n * @toy: the toy to act on.\n */\nvoid toy_stop(struct toy *toy)\n{\n}\n\n"
    made = draft_of(other + TOY, "toy_wind")
    text = next(each for each in made.texts if each.mark == "@toy")
    assert (text.text, text.origin) == ("the toy to act on", "documentation")


def test_a_neighbour_of_another_type_says_nothing() -> None:
    other = "/**\n * car_stop() - stop it\n * @toy: the car to stop\n */\nvoid car_stop(struct car *toy)\n{\n}\n\n"
    assert "@toy: the &struct toy\n" in draft_of(other + TOY, "toy_wind").comment()


def test_what_is_said_of_another_action_is_not_taken_over() -> None:
    other = "/**\n * toy_stop() - stop it\n * @toy: the toy to stop\n */\nvoid toy_stop(struct toy *toy)\n{\n}\n\n"
    assert "@toy: the &struct toy\n" in draft_of(other + TOY, "toy_wind").comment()
    assert "@toy: the toy to stop\n" in draft_of(other + TOY.replace("wind(", "stop_all("), "toy_stop_all").comment()


def test_members_are_described_by_the_comments_beside_them() -> None:
    made = draft_of("struct f {\n\tint a; /* how many there are */\n\t/* protects a */\n\tspinlock_t lock;\n};\n")
    assert made.comment().split("\n")[2:4] == [" * @a: how many there are", " * @lock: protects a"]


def test_values_of_an_enum_are_told() -> None:
    made = draft_of("enum f { TOY_LOW, TOY_VERY_HIGH = 0x10, TOY_TOP };\n")
    assert made.comment().split("\n")[2:5] == [
        " * @TOY_LOW: low (``0``)", " * @TOY_VERY_HIGH: very high (``0x10``)", " * @TOY_TOP: top (``17``)",
    ]  # fmt: skip


def test_a_function_of_a_table_says_of_which() -> None:
    table = "static const struct toy_ops car_ops = {\n\t.wind = car_wind,\n};\n"
    code = "static int car_wind(int a)\n{\n\treturn g(a);\n}\n" + table
    assert draft_of(code, "car_wind").texts[0].text == "the .wind operation of struct toy_ops car_ops"


def test_names_in_words() -> None:
    def brief(name: str) -> str:
        return draft_of(f"void {name}(int a)\n{{\n\tg(a);\n\th(a);\n}}\n", name).texts[0].text

    assert brief("toy_spring_get_force") == "get force of toy spring"
    assert brief("toy_init") == "initialize toy"
    assert brief("toy_is_broken") == "tell whether toy is broken"
    assert brief("toy_power_down") == "power down toy"
    assert brief("toy_find_free_spring") == "toy find free spring"  # which of the two is the verb?


def test_no_line_is_wider_than_80_columns_and_none_begins_a_section() -> None:
    code = (
        "/* Wind every toy of a very long list of toys that nobody wound for a long time in this context: now */\n"
        "int f(struct a_very_long_name_of_a_struct_indeed *first_of_the_toys_that_are_to_be_wound_up_now)\n"
        "{\n\treturn another_function_with_a_long_name(x) ?: another_function_with_a_long_name_too(y);\n}\n"
    )
    lines = draft_of(code).comment().split("\n")
    assert all(len(line) <= 80 for line in lines if " ``" not in line)
    assert [line for line in lines if line.lower().startswith((" * context:", " * return:"))] == [
        line for line in lines if line.startswith(" * Return: ")
    ]


def test_the_end_of_a_comment_in_a_text_does_not_end_it() -> None:
    code = '/* Wind it up // now * / please */\nint f(int a)\n{\n\treturn g("*/");\n}\n'
    text = draft_of(code).comment()
    assert text.count("*/") == 1
