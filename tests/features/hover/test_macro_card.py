"""Cards of macros: value and expansion."""

from __future__ import annotations

import pytest

from kexpert.features.hover.card import PlainText
from tests.support.hover_cards import FOO, card, in_function


def test_function_like_macro_is_expanded_at_its_use() -> None:
    found = card(in_function("return B/*|*/IT(n + 1);"))
    assert (found.expansion, found.value) == ("(UL(1) << (n + 1))", None)
    assert found.code == "#define BIT(nr) (UL(1) << (nr))"
    assert card(in_function("return B/*|*/IT(3);")).value == 8


def test_object_like_macro_has_its_value() -> None:
    found = card(in_function("return FOO_/*|*/READY;"))
    assert found.value == 8
    assert found.code == "#define FOO_READY BIT(3)"


def test_macro_at_its_definition_is_not_expanded() -> None:
    found = card(FOO.replace("#define BIT(nr)", "#define B/*|*/IT(nr)"))
    assert (found.expansion, found.value) == ("", None)


def test_macro_that_differs_by_condition_has_no_value() -> None:
    fixture = (
        "//- include/linux/p.h\n#ifdef BIG\n#define SHIFT 16\n#else\n#define SHIFT 12\n#endif\n"
        "#define SIZE (1 << SHIFT)\n"
        "//- mm/x.c\n#include <linux/p.h>\nint f(void)\n{\n\treturn SI/*|*/ZE;\n}\n"
    )
    assert card(fixture).value is None
    shift = card(fixture.replace("SI/*|*/ZE", "SHI/*|*/FT"))
    assert shift.value is None
    assert len(shift.variants) == 1


FLAGS = """\
//- include/linux/box.h
/**
 * DOC: Box flags
 *
 * %BOX_ATOMIC users cannot sleep.
 *
 * %BOX_NOIO: no disk is touched.
 */
#define BOX_ATOMIC 1
#define BOX_NOIO 2
/* Says something else. */
#define BOX_OWN 4
enum box_state {
\t/*
\t * BOX_OPEN - anybody may look
\t * BOX_SHUT - nobody may
\t */
\tBOX_OPEN,
\tBOX_SHUT,
\tBOX_LOST, /* where is it? */
};
/* BOX_OWN: is not read, and BOX_LOST neither */
"""


@pytest.mark.parametrize(("name", "text"), [
    ("BOX_ATOMIC", "BOX_ATOMIC users cannot sleep."),  # not the whole comment above
    ("BOX_NOIO", "no disk is touched."),
    ("BOX_OWN", "Says something else."),
    ("BOX_OPEN", "anybody may look"),
    ("BOX_SHUT", "nobody may"),
    ("BOX_LOST", "where is it?"),
])  # fmt: skip
def test_a_comment_about_many_constants_says_what_one_of_them_is(name: str, text: str) -> None:
    use = f"//- mm/x.c\n#include <linux/box.h>\nint f(void)\n{{\n\treturn {name[:4]}/*|*/{name[4:]};\n}}\n"
    assert card(FLAGS + use).documentation == (PlainText(text),)
