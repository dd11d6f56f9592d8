"""Cards of structs, enums and typedefs, and of their members and enumerators."""

from __future__ import annotations

from kexpert.features.hover.card import Enumerator, Implementations, PlainText, RestructuredText
from tests.support.hover_cards import card, in_function, user


def test_member_with_kernel_doc_type_and_implementations() -> None:
    found = card(in_function("return foo->ops->op/*|*/en(foo);"))
    assert (found.what, found.owner) == ("member", "struct foo_ops")
    assert found.code == "int (*open)(struct foo *foo);"
    assert found.documentation == (RestructuredText("called on first use"),)
    assert found.implementations == Implementations(("ops_open",), 1)


def test_member_with_the_comment_beside_it() -> None:
    found = card(in_function("return foo->st/*|*/ate;"))
    assert (found.owner, found.code) == ("struct foo", "u8 state;")
    assert found.documentation == (PlainText("an enum foo_state"),)
    assert found.implementations is None


def test_struct_has_its_layout() -> None:
    found = card(user("struct fo/*|*/o *foo;\n"))
    assert found.layout is not None
    assert found.layout.size == 24
    assert "struct foo" in found.code


def test_struct_layout_reaches_into_other_structs() -> None:
    found = card(user("struct pair { struct foo a; struct foo *b; };\nstruct pa/*|*/ir *p;\n"))
    assert found.layout is not None
    assert found.layout.size == 32


def test_struct_layout_knows_macros_and_enumerators_as_array_lengths() -> None:
    found = card(user("struct fo/*|*/o_table { u32 busy[FOO_BUSY]; char name[FOO_LIMIT_DEFAULT]; };\n"))
    assert found.layout is not None
    assert [each.size for each in found.layout.fields] == [16, 16]


def test_struct_with_a_member_of_unknown_size_has_no_size() -> None:
    found = card(user("struct fo/*|*/o_user { struct never_defined inner; int last; };\n"))
    assert found.layout is not None
    assert found.layout.size is None


def test_struct_that_holds_itself_has_no_size() -> None:
    found = card(user("struct fo/*|*/o_self { struct foo_self inner; };\n"))
    assert found.layout is not None
    assert found.layout.size is None


def test_enum_and_enumerator_have_values() -> None:
    found = card(user("enum foo_st/*|*/ate s;\n"))
    assert found.enumerators == (Enumerator("FOO_IDLE", 0), Enumerator("FOO_BUSY", 4), Enumerator("FOO_DEAD", 5))
    dead = card(in_function("return FOO_DE/*|*/AD;"))
    assert (dead.owner, dead.value, dead.documentation) == ("enum foo_state", 5, ())
    assert card(in_function("return FOO_BU/*|*/SY;")).documentation == (RestructuredText("something"),)


def test_enumerators_after_an_if_have_no_value() -> None:
    fixture = "enum e {\n\tA,\n#ifdef X\n\tB,\n#endif\n\tC,\n\tD = 9,\n\tE,\n};\nenum /*|*/e x;\n"
    assert [each.value for each in card(fixture).enumerators] == [0, None, None, 9, 10]


def test_typedef_shows_its_type() -> None:
    found = card(user("foo_/*|*/fn fn;\n"))
    assert (found.what, found.code) == ("typedef", "typedef int (*foo_fn)(struct foo *foo);")
