"""Texts that may be copied from."""

from __future__ import annotations

import pytest

from kexpert.abilities import Neighbours, Proximity
from kexpert.features.inline.neighbours import NeighbourCache, find_neighbours
from kexpert.features.inline.prompt_context import RecentEdits
from kexpert.features.semantics.cursor import CursorContext
from tests.support.memory_view import CURSOR, at_cursor
from tests.support.scripted_completer import TREE, typed

FUNCTION = f"int f(struct toy *toy)\n{{\n\ttoy_wind(toy, 1);\n\t{CURSOR}\n\treturn 0;\n}}\n"
FILES = """\
//- drivers/toy/here.c
int before_it;
{}int behind_it;
//- drivers/toy/here_too.c
int beside_it;
//- drivers/car/car.c
int winds_too(struct toy *toy)
{{
	toy_wind(toy, 2);
	return somewhere_else;
}}

int does_not(void)
{{
	return unlike;
}}
"""


def neighbours_of(code: str) -> Neighbours:
    return find_neighbours(CursorContext(*at_cursor(code)), NeighbourCache(), RecentEdits())


def test_file_folder_and_functions_that_call_the_same_are_neighbours() -> None:
    found = neighbours_of(TREE + FILES.format(FUNCTION))
    assert found.before == "int f(struct toy *toy)\n{\n\ttoy_wind(toy, 1);\n\t"
    assert found.after == "\n\treturn 0;\n}"
    texts = {near: "".join(text.text for text in found.texts if text.proximity is near) for near in Proximity}
    assert texts[Proximity.FUNCTION] == ""
    assert texts[Proximity.FILE].split() == ["int", "before_it;", "int", "behind_it;"]
    assert "beside_it" in texts[Proximity.FOLDER]
    assert "somewhere_else" in texts[Proximity.TREE]
    assert "unlike" not in texts[Proximity.TREE]


def test_typing_does_not_change_the_blocks() -> None:
    """Otherwise the model would read them again with each letter."""
    view, source, offset = at_cursor(TREE + FILES.format(FUNCTION))
    cache, keys = NeighbourCache(), set()
    for size in range(12):
        cursor = CursorContext(view, *typed(source, offset, b"toy_wind(toy, 3);\n"[:size]))
        keys.add(tuple(text.key for text in find_neighbours(cursor, cache, RecentEdits()).texts))
    assert len(keys) == 1


def test_edit_changes_only_the_block_that_holds_it() -> None:
    long = "".join(f"int f{at}(void)\n{{\n\treturn {at};\n}}\n\n" for at in range(2000))
    keys = []
    for code in (long, long.replace("return 7;", "return 1000;")):
        found = neighbours_of(TREE + "//- drivers/toy/long.c\n" + code + FUNCTION)
        keys.append({text.key for text in found.texts})
    assert len(keys[0] - keys[1]) == 1
    assert len(keys[0]) > 5


@pytest.mark.parametrize(
    "code", [CURSOR, "x" * 100_000 + CURSOR, "}\n" * 30_000 + CURSOR + "{\n" * 30_000, "\xff" + CURSOR]
)
def test_neighbours_of_nonsense_are_bounded(code: str) -> None:
    found = neighbours_of(code)
    assert len(found.before) + len(found.after) + sum(len(text.text) for text in found.texts) < 400_000
