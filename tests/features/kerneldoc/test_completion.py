"""What an existing comment lacks is added, and nothing else is changed."""

from __future__ import annotations

import pytest

from kexpert.features.kerneldoc.declaration import Undocumentable
from tests.features.kerneldoc.drafts import draft_of, edited, target_of

CODE = "int f(int a, int b, int c)\n{\n\treturn g(c);\n}\n"


def test_parameters_are_added_where_they_are_declared() -> None:
    before = "/**\n * f() - do it\n * @b: the second\n *     of them\n *\n * It does it.\n *\n * Return: as g()\n */\n"
    made = draft_of(before + CODE)
    assert edited(made) == (
        "/**\n * f() - do it\n * @a: ``int`` value\n * @b: the second\n *     of them\n * @c: ``int`` value, passed to"
        " g()\n *\n * It does it.\n *\n * Return: as g()\n */\n" + CODE
    )
    assert made.comment() + "\n" + CODE == edited(made)


def test_the_margin_of_the_comment_is_kept() -> None:
    before = "/**\n * f - do it\n *\t@a: one\n *\t@b: two\n *\n *\tReturns something.\n **/\n"
    assert "\n *\t@b: two\n *\t@c: ``int`` value" in edited(draft_of(before + CODE))


def test_a_returned_value_that_nobody_mentions_is_added() -> None:
    before = "/**\n * f() - do it\n * @a: one\n * @b: two\n * @c: three\n */\n"
    assert edited(draft_of(before + CODE)) == before.replace(" */", " *\n * Return: The result of g()\n */") + CODE


def test_without_parameters_they_follow_the_title() -> None:
    before = "/**\n * f() - do it,\n *       and more\n *\n * Returns what it wants.\n */\n"
    assert "\n *       and more\n * @a: ``int`` value\n * @b: ``int`` value\n * @c: " in edited(draft_of(before + CODE))


def test_what_is_stale_is_named_and_kept() -> None:
    before = "/**\n * f() - do it\n * @a: one\n * @old: two\n * @c: three\n *\n * Return: it\n */\n"
    made = draft_of(before + CODE)
    assert made.stale == ("old",)
    assert "@old: two" in edited(made) and "@b: ``int`` value" in edited(made)


def test_members_described_inside_a_struct_count() -> None:
    code = "/**\n * struct f - it\n * @a: one\n */\nstruct f {\n\tint a;\n\t/** @b: two */\n\tint b;\n\tint c;\n};\n"
    _, target = target_of(code)
    assert target.existing is not None and target.existing.missing == ("c",)


def test_a_complete_comment_lacks_nothing() -> None:
    before = "/**\n * f() - do it\n * @a: one\n * @b: two\n * @c: three\n *\n * Return: it\n */\n"
    assert target_of(before + CODE)[1].is_complete


def test_a_comment_about_something_else_is_not_touched() -> None:
    with pytest.raises(Undocumentable, match="describes g"):
        target_of("/**\n * g() - do it\n * @a: one\n */\n" + CODE)
