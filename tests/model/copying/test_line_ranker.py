"""The line that is copied from neighbouring texts."""

from __future__ import annotations

import pytest

from kexpert.abilities import Neighbour, Neighbours, Proximity
from kexpert.model.copying.cache_lm import CacheLM
from kexpert.model.copying.line_features import LineFeatures, Role, name_hash
from kexpert.model.copying.line_ranker import CopiedLine
from kexpert.model.copying.neighbour_index import NeighbourIndex

CURSOR = "/*|*/"
SIBLINGS = """\
static int toy_stop(struct toy *toy)
{
	struct toy_port *port = toy->port;
	unsigned long flags;

	spin_lock_irqsave(&toy->lock, flags);
	toy_brake(toy, TOY_SLOWLY);
	spin_unlock_irqrestore(&toy->lock, flags);
	return 0;
}

static void toy_release(struct toy *toy)
{
	struct toy_gear *gear = toy->gear;

	if (!toy->held)
		return;
	gear->ratio = 1;
	kfree(gear);
}
"""


HALT = """\
static int toy_halt(struct toy *toy)
{
	unsigned long flags;

	spin_lock_irqsave(&toy->lock, flags);
"""


def copied_line(place: str, *texts: str) -> CopiedLine | None:
    """The line copied to the mark in a function, with all texts ingested."""
    before, _, after = place.partition(CURSOR)
    neighbours = Neighbours(before, after, tuple(Neighbour(text, Proximity.FOLDER, text) for text in texts))
    index = NeighbourIndex([bytes([byte]) for byte in range(256)], lambda text: list(text.encode(errors="replace")))
    index.set_neighbours(neighbours)
    index.ingest(lambda: False)
    return CacheLM(index, before).best_line()


def text_of(place: str, *texts: str) -> str:
    copied = copied_line(place, *texts)
    assert copied
    return copied.text


def test_the_line_with_the_most_similar_surroundings_is_copied() -> None:
    place = f"{HALT}\t/*|*/\n\tspin_unlock_irqrestore(&toy->lock, flags);\n}}\n"
    assert text_of(place, SIBLINGS) == "toy_brake(toy, TOY_SLOWLY);"


def test_a_copy_fits_the_text_on_both_sides_of_the_cursor() -> None:
    assert text_of(f"{HALT}\ttoy_br/*|*/);\n}}\n", SIBLINGS) == "ake(toy, TOY_SLOWLY);"


def test_the_end_of_a_line_with_another_beginning_is_copied() -> None:
    assert text_of(f"{HALT}\terr = toy_brake(toy, /*|*/\n}}\n", SIBLINGS) == "TOY_SLOWLY);"


@pytest.mark.parametrize("typed", ["toy_brake(toy, TOY_SLOWLY);", "nobody_writes_this", "toy_brake(toy, TOY_SLOWLY); "])
def test_nothing_is_copied_where_no_line_fits(typed: str) -> None:
    assert copied_line(f"int toy_halt(struct toy *toy)\n{{\n\t{typed}/*|*/\n}}\n", SIBLINGS) is None


@pytest.mark.parametrize(
    ("used", "declared"),
    [("gear", "struct toy_gear *gear = toy->gear;"), ("port", "struct toy_port *port = toy->port;")],
)
def test_a_declaration_of_a_variable_used_below_is_copied(used: str, declared: str) -> None:
    place = f"int toy_halt(struct toy *toy)\n{{\n\t/*|*/\n\n\treset_it({used});\n\treturn 0;\n}}\n"
    assert text_of(place, SIBLINGS) == declared


def test_lines_with_unknown_local_variables_are_not_copied() -> None:
    other = SIBLINGS.replace("gear->ratio", "toy->ratio").replace("kfree(gear)", "kfree(toy->gear)")
    place = "void toy_drop(struct toy *toy)\n{\n\tif (!toy->held)\n\t\treturn;\n\t/*|*/\n\ttoy_forget(toy);\n}\n"
    assert text_of(place, SIBLINGS, other).startswith("toy->ratio")


@pytest.mark.parametrize(("result", "right"), [("int", "return 0;"), ("static void", "return;")])
def test_a_return_fits_the_return_type(result: str, right: str) -> None:
    place = f"{result} toy_drop(struct toy *toy)\n{{\n\ttoy_forget(toy);\n\tret/*|*/\n}}\n"
    both = "".join(f"int toy_{how}(void)\n{{\n\ttoy_forget(toy);\n\t{how};\n}}\n" for how in ("return 0", "return"))
    assert f"ret{text_of(place, both)}" == right


def test_lines_with_the_prefix_of_another_driver_are_not_copied() -> None:
    probe = "static int {0}_probe(struct device *dev)\n{{\n\tstruct {0}_priv *priv = dev_get_drvdata(dev);\n\n\t"
    texts = [f"{probe.format(name)}return 0;\n}}\n" for name in ("abc9", "xyz7", "toy3")]
    place = "static int toy3_stop(struct device *dev)\n{\n\t/*|*/\n\n\tpriv->on = 0;\n\treturn 0;\n}\n"
    assert text_of(place, *texts) == "struct toy3_priv *priv = dev_get_drvdata(dev);"


def test_a_good_fit_has_a_higher_probability_than_a_poor_one() -> None:
    good = copied_line(f"{HALT}\ttoy_/*|*/\n}}\n", SIBLINGS)
    poor = copied_line("int other(void)\n{\n\tdo_something();\n\t/*|*/\n\tdo_more();\n}\n", SIBLINGS)
    assert good
    assert poor
    assert poor.probability < good.probability < 1


@pytest.mark.parametrize(
    "text", ["", "\n\n", "int", "\x00\udcff\n'\"\n\\", "x" * 100_000, ",*" * 50_000, "a " * 50_000, "\x0c\n\r\n \x0b"]
)
def test_any_text_can_be_a_neighbour(text: str) -> None:
    copied = copied_line(f"int f(void)\n{{\n{text}\n\t/*|*/", text, SIBLINGS)
    assert copied is None or copied.text


def test_names_have_roles() -> None:
    features = LineFeatures("\tstruct toy *toy = get_toy(dev->kit), *next;\n\n\t/* no name */\n\tgoto out_free;\n")
    names = {role: set(features.name[features.role == role].tolist()) for role in Role}
    assert names[Role.DECLARED] >= {name_hash(b"toy")}
    assert names[Role.CALLED] == {name_hash(b"get_toy")}
    assert names[Role.MEMBER] == {name_hash(b"kit")}
    assert names[Role.LABEL] == {name_hash(b"out_free")}
    assert len(features.lines) == 3
