"""What the model reads: the text around the cursor and excerpts of other files."""

from __future__ import annotations

import pytest

from kexpert.features.inline.prompt_context import ExcerptCache, RecentEdits, build_context
from kexpert.features.semantics.cursor import CursorContext
from kexpert.prompt.fim import Context
from tests.support.memory_view import CURSOR, MemoryView, at_cursor
from tests.support.scripted_completer import TREE, typed


def context_of(code: str, max_tokens: int = 1000, edits: RecentEdits | None = None) -> Context:
    return build_context(CursorContext(*at_cursor(TREE + code)), max_tokens, edits=edits)


def test_types_in_scope_and_called_functions_are_declared() -> None:
    context = context_of(f"int f(struct toy *toy)\n{{\n\ttoy_wind(toy, 1);\n\thelper(2);\n\t{CURSOR}\n}}\n")
    [excerpt] = context.excerpts
    assert excerpt.path == "include/linux/toy.h"
    assert excerpt.text == (
        "struct toy {\n\tint turns;\n\tstruct spring *spring;\n};\nint toy_wind(struct toy *toy, int turns);"
    )
    assert context.prefix.endswith("\thelper(2);\n\t")
    assert context.suffix == "\n}\n"


def test_typing_changes_nothing_before_the_cursor() -> None:
    """Otherwise the model would read everything again with each letter."""
    view, source, offset = at_cursor(
        TREE + "int a;\n" * 3000 + f"int f(struct toy *toy)\n{{\n\t{CURSOR}\n}}\n" + "int b;\n" * 3000
    )
    cache = ExcerptCache()
    first = build_context(CursorContext(view, source, offset), 300, cache)
    letters = b"toy_wind(toy, 1);\n\tif (toy->turns)"
    for size in range(1, len(letters)):
        context = build_context(CursorContext(view, *typed(source, offset, letters[:size])), 300, cache)
        assert context.excerpts == first.excerpts
        assert context.suffix == first.suffix
        assert context.prefix == first.prefix + letters[:size].decode()


@pytest.mark.parametrize("max_tokens", [16, 64, 256, 1024])
def test_context_keeps_to_its_size(max_tokens: int) -> None:
    big = "int some_name(struct toy *toy);\n" * 500
    context = context_of(big + f"int f(struct toy *toy)\n{{\n\ttoy_wind(toy, 1);\n\t{CURSOR}\n}}\n" + big, max_tokens)
    size = len(context.prefix) + len(context.suffix) + sum(len(e.path) + len(e.text) for e in context.excerpts)
    assert size <= max_tokens * 3


def test_new_type_is_declared_as_soon_as_it_is_in_scope() -> None:
    view, source, offset = at_cursor(TREE + f"int f(struct toy *toy)\n{{\n\t{CURSOR}\n}}\n")
    cache = ExcerptCache()
    build_context(CursorContext(view, source, offset), 1000, cache)
    declared = typed(source, offset, b"struct spring *spring = toy->spring;\n\n\t")
    context = build_context(CursorContext(view, *declared), 1000, cache)
    assert "int force;" in context.excerpts[0].text


def test_last_edit_elsewhere_is_shown() -> None:
    edits = RecentEdits()
    edits.add("include/linux/toy.h", 6)
    context = context_of(f"int f(void)\n{{\n\t{CURSOR}\n}}\n", edits=edits)
    assert any("int force;" in excerpt.text for excerpt in context.excerpts)


def test_only_an_edit_elsewhere_changes_the_excerpts() -> None:
    cursor = CursorContext(*at_cursor(TREE + f"int f(struct toy *toy)\n{{\n\t{CURSOR}\n}}\n"))
    cache, edits = ExcerptCache(), RecentEdits()
    edits.add(cursor.source.path, 3)
    first = build_context(cursor, 1000, cache, edits)
    edits.add("include/linux/toy.h", 1)
    second = build_context(cursor, 1000, cache, edits)
    assert len(second.excerpts) > len(first.excerpts)
    edits.add(cursor.source.path, 4)
    assert build_context(cursor, 1000, cache, edits).excerpts == second.excerpts


@pytest.mark.parametrize(
    ("edits", "wanted"),
    [(RecentEdits([("drivers/car/car.c", 40)]), "int edited_here;"), (None, "static int car_probe(")],
)
def test_declarations_leave_room_for_edits_and_a_similar_function(edits: RecentEdits | None, wanted: str) -> None:
    many = "".join(f"int toy_step_{at}(struct toy *toy, int how_far_it_goes);\n" for at in range(12))
    calls = "".join(f"\ttoy_step_{at}(toy, {at});\n" for at in range(12))
    other = f"//- drivers/toy/other.c\nstatic int car_probe(struct toy *toy)\n{{\n{calls}\treturn 0;\n}}\n"
    edited = "//- drivers/car/car.c\n" + "int nothing;\n" * 40 + "int edited_here;\n" + "int nothing;\n" * 40
    steps = f"//- include/linux/steps.h\n{many}"
    here = f"//- drivers/toy/here.c\nstatic int ball_probe(struct toy *toy)\n{{\n{calls}\t{CURSOR}\n}}\n"
    excerpts = context_of(steps + edited + other + here, 928, edits).excerpts
    assert any(wanted in excerpt.text for excerpt in excerpts)
    assert any("int toy_step_" in excerpt.text for excerpt in excerpts)


def test_struct_of_the_initialiser_is_declared() -> None:
    context = context_of(f"static struct toy a_toy = {{\n\t.turns = 1,\n\t{CURSOR}\n}};\n")
    assert context.excerpts[0].text == "struct toy {\n\tint turns;\n\tstruct spring *spring;\n};"


def test_similar_function_is_shown() -> None:
    other = "//- drivers/toy/other.c\nstatic int car_probe(struct toy *toy)\n{\n\tint force;\n\n"
    other += "\ttoy_wind(toy, 7);\n\treturn 0;\n}\n"
    here = f"//- drivers/toy/here.c\nstatic int ball_probe(struct toy *toy)\n{{\n\tint force;\n\n\t{CURSOR}\n}}\n"
    context = context_of(other + here, 2000)
    assert any("toy_wind(toy, 7);" in e.text for e in context.excerpts if e.path == "drivers/toy/other.c")


def test_edits_close_to_one_another_are_one_place() -> None:
    edits = RecentEdits()
    for line in (100, 101, 105, 300, 102):
        edits.add("a.c", line)
    assert edits.places == [("a.c", 102), ("a.c", 300)]


def test_bytes_that_are_no_text_are_replaced() -> None:
    view = MemoryView({"a.c": b"\xff\xfe int a;\n"})
    source = view.source("a.c")
    assert source
    context = build_context(CursorContext(view, source, len(source.data)), 100)
    assert context.prefix.endswith(" int a;\n")
