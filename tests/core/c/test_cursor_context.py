"""The lexical class at the cursor: comment, string or code."""

from __future__ import annotations

import pytest

from kexpert.core.c.cursor_context import lexical_class


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int a; |", "code"),
        ("/* a | */", "comment"),
        ("/* a */ |", "code"),
        ("/*\n * one\n * |\n */", "comment"),
        ("// a |", "comment"),
        ("// a\n|", "code"),
        ('f("a |', "string"),
        ('f("a", |', "code"),
        ('f("a \\" |', "string"),
        ("c = '\"'; |", "code"),
        ('g("/*"); |', "code"),
        ('g("//"); |', "code"),
        ("/* a\n b */ f(|", "code"),
        ("a = b / c; |", "code"),
    ],
)
def test_class_of_a_character_typed_at_the_cursor(text: str, kind: str) -> None:
    data = text.encode()
    offset = data.index(b"|")
    assert lexical_class(data.replace(b"|", b""), offset) == kind
