"""Cards and documentation as plain text: the same answers without any Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.docs.kerneldoc import parse_kerneldoc
from kexpert.features.hover.card import HoverCard, Place, PlainText, RestructuredText, Title
from kexpert.features.hover.hover import hover
from kexpert.render import plain_text
from tests.support.complexity import assert_linear
from tests.support.hover_cards import START, in_function, user
from tests.support.memory_view import at_cursor

FUNCTION_CARD = """\
int foo_start(struct foo *foo, int *count)

Defined in drivers/foo/core.c:20 when CONFIG_FOO · exported with EXPORT_SYMBOL_NS_GPL, namespace FOO_BUS · 2 callers

start a foo

Parameters

- foo: the foo
- count: where the count goes

Starting a started_foo is harmless.

Context: process context.

Return: 0 or a negative errno.

- Declared in include/linux/foo.h:32 when CONFIG_FOO
- Also in include/linux/foo.h:34 when !CONFIG_FOO
- May sleep: calls foo_wait()

- Maintainers (FOO DRIVER): Ada Example · linux-foo@example.org"""

_MARKDOWN = re.compile(r"\*\*|`|^---$|\\", re.M)


def test_function_card() -> None:
    found = hover(*at_cursor(START))
    assert found is not None
    assert plain_text.hover_card(found) == FUNCTION_CARD


@pytest.mark.parametrize(
    "fixture",
    [
        START,
        in_function("return foo->ops->op/*|*/en(foo);"),
        in_function("return B/*|*/IT(n + 1);"),
        user("struct fo/*|*/o *foo;\n"),
        user("enum foo_st/*|*/ate s;\n"),
        user("#ifdef CONFIG_F/*|*/OO\n#endif\n"),
    ],
)
def test_no_card_holds_markdown(fixture: str) -> None:
    found = hover(*at_cursor(fixture))
    assert found is not None
    assert not _MARKDOWN.search(plain_text.hover_card(found))


def test_names_and_comments_stay_as_they_are_written() -> None:
    card = HoverCard("a", "variable", code="int __a;", documentation=(PlainText("*x* <y> [z] __a"), Title("#1")))
    card.place = Place("fs/a_b.c", 0, ("arch x86", "CONFIG_X"))
    assert plain_text.hover_card(card) == (
        "int __a;\n\nDefined in fs/a_b.c:1 when arch x86, CONFIG_X\n\n*x* <y> [z] __a\n\n#1\n\n- Variable"
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("See &struct foo, &foo->bar, foo() and @arg.", "See struct foo, foo->bar, foo() and arg."),
        ("%NULL or -%EINVAL; ``a & b``", "NULL or -EINVAL; a & b"),
        ("a && b, 5 % 2, me@example.org", "a && b, 5 % 2, me@example.org"),
        ("It is *not* **ever** 2 * 3 * 4 or `x`", "It is not ever 2 * 3 * 4 or x"),
        (":c:func:`foo` and :ref:`the page <page>`", "foo and the page"),
        ("The `manual <https://example.org/m>`_ says", "The manual (https://example.org/m) says"),
        ("* one\n* *two*", "* one\n* two"),
        ("Modes\n=====\n\ntext", "Modes\n\ntext"),
        ("For example::\n\n\t&x = *y * **z;\n\nEnd %X", "For example:\n\n        &x = *y * **z;\n\nEnd X"),
        ("Thus\n\n.. code-block:: c\n\n   a = &b;\n\ntext", "Thus\n\n   a = &b;\n\ntext"),
        (".. note:: see &foo\n   more", "Note: see foo\n   more"),
    ],
)
def test_restructured_text(written: str, shown: str) -> None:
    card = HoverCard("f", "function", code="f", documentation=(RestructuredText(written),))
    assert plain_text.hover_card(card).removeprefix("f\n\n") == shown


def test_signature_documentation_has_no_marks() -> None:
    assert plain_text.signature_documentation("the &struct foo, %NULL for **none**") == "the struct foo, NULL for none"


@given(st.text(alphabet="`*&%@:<>_ \n\t=.-ab()") | st.text())
def test_any_text_is_survived(text: str) -> None:
    plain_text.from_restructured_text(text)
    doc = parse_kerneldoc(b"/**\n * f() - x\n * " + text.encode("utf-8", "surrogatepass") + b"\n */")
    if doc is not None:
        plain_text.hover_card(HoverCard("f", "function", code="f", documentation=(doc,)))


@pytest.mark.parametrize(
    "piece", ["`", "`a<", "``a", ":a", "*a", "**a ", "&struct ", "@", "%a", "  ", ".. a:: ", "a::\n"]
)
def test_writing_plain_text_takes_linear_time(piece: str) -> None:
    assert_linear(lambda size: plain_text.from_restructured_text(piece * size))
