"""Cards of macros: value and expansion."""

from __future__ import annotations

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
