"""Conversion of the reStructuredText in kernel comments to Markdown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.docs.rst import escape, inline, to_markdown
from tests.support.complexity import assert_linear


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call foo() now", "call `foo()` now"),
        ("&struct foo, &enum bar and &foo", "`struct foo`, `enum bar` and `foo`"),
        ("&foo->bar, &struct foo.baz, &foo.open()", "`foo->bar`, `struct foo.baz`, `foo.open()`"),
        ("%NULL or %-EINVAL", "`NULL` or `-EINVAL`"),
        ("@arg, @arg->x, @cb() and @...", "`arg`, `arg->x`, `cb()` and `...`"),
        ("``%ph *x`` stays", "`%ph *x` stays"),
        (":c:type:`foo` and :ref:`text <label>`", "`foo` and `text`"),
        ("$HOME", "`$HOME`"),
        ("AT&T, 50%x, me@example.org", "AT&T, 50%x, me@example.org"),
        ("*a* **b** int *p, **q", "*a* **b** int \\*p, \\*\\*q"),
        ("the type * to use, int *p, **q and (*f)", "the type * to use, int *p, **q and (*f)"),
        ("* a, b*c *d", "\\* a, b\\*c \\*d"),
        ("See <file:Documentation/a-b.rst>.", "See `Documentation/a-b.rst`."),
        ("`lone tick", "\\`lone tick"),
        ("a[i](x) <b> <https://example.org>", "a[i\\](x) \\<b> <https://example.org>"),
        ("snake_case _lead trail_", "snake_case `_lead` trail\\_"),
    ],
)
def test_inline_markup(text: str, expected: str) -> None:
    assert inline(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Like this::\n\n  a *b;\n\n    c;\n\nand on", "Like this:\n\n```c\na *b;\n\n  c;\n```\n\nand on"),
        ("::\n\n  x", "```c\nx\n```"),
        (".. code-block:: sh\n\n  make\n\nend", "```sh\nmake\n```\n\nend"),
        (".. note:: careful", "**Note:** careful"),
        ("Head\n----\ntext", "**Head**\n\ntext"),
        ("List:\n\n* one\n  more @x\n\n  - two\n\nend", "List:\n\n* one\n  more `x`\n\n  - two\n\nend"),
        ("Pic:\n\n     +--+\n     |  |\n\nend", "Pic:\n\n```\n+--+\n|  |\n```\n\nend"),
        ("::\n\n  ```", "````c\n```\n````"),
    ],
)
def test_blocks(text: str, expected: str) -> None:
    assert to_markdown(text) == expected


def test_plain_text_keeps_kernel_doc_markup() -> None:
    assert to_markdown("&foo %d @x <a>", escape) == "&foo %d @x \\<a>"


@given(st.text() | st.text(alphabet="`*_:\n .-=+|<>[]()@%&a1"))
def test_any_text_raises_no_error(text: str) -> None:
    to_markdown(text)


@pytest.mark.parametrize(
    "piece", ["`", "``", "*", "**a", "_", "a_", "__a", ":a", ":c:x:`", "&a", "+-", "= ", "[", "- \n", "::\n "]
)
def test_repetition_takes_linear_time(piece: str) -> None:
    assert_linear(lambda size: to_markdown(piece * size))
