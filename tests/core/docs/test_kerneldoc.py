"""kernel-doc: finding, parsing and rendering of comments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.docs.kerneldoc import (
    KernelDoc,
    Param,
    comment_above,
    comment_beside,
    comment_template,
    comment_text,
    inline_member_docs,
    parse_kerneldoc,
)
from tests.support.complexity import assert_linear


def parsed(comment: str) -> KernelDoc:
    doc = parse_kerneldoc(comment.encode())
    assert doc is not None
    return doc


FUNCTION = """/**
 * widget_spin() - Turn a widget
 *                 until it stops.
 * @w: the widget,
 *     never NULL
 * @flags:
 *	%WIDGET_FAST or zero
 * @...: handed to @w->log()
 *
 * Turns it. See &struct widget and &widget->lock.
 *
 * Second paragraph::
 *
 *	widget_spin(w, 0);
 *
 * Context: Process context. Takes
 *          and releases @w->lock.
 * Locking: none
 * Note: slow.
 * Return:
 * * 0		- it stopped
 * * -EBUSY	- it did not
 */"""


def test_function_with_all_sections() -> None:
    doc = parsed(FUNCTION)
    assert (doc.name, doc.kind) == ("widget_spin", "function")
    assert doc.summary == "Turn a widget until it stops."
    assert doc.params == [
        Param("w", "the widget,\nnever NULL"),
        Param("flags", "%WIDGET_FAST or zero"),
        Param("...", "handed to @w->log()"),
    ]
    assert doc.description.startswith("Turns it.") and "    widget_spin(w, 0);" in doc.description
    assert doc.context == "Process context. Takes\nand releases @w->lock."
    assert doc.sections == [("Locking", "none"), ("Note", "slow.")]
    assert [line.split() for line in doc.returns.splitlines()] == [
        ["*", "0", "-", "it", "stopped"],
        ["*", "-EBUSY", "-", "it", "did", "not"],
    ]


@pytest.mark.parametrize(
    ("title", "kind", "name", "summary"),
    [
        ("struct widget - a thing", "struct", "widget", "a thing"),
        ("union both: a or b", "union", "both", "a or b"),
        ("enum colour - colours", "enum", "colour", "colours"),
        ("typedef widget_fn - callback", "typedef", "widget_fn", "callback"),
        ("define WIDGET_MAX - the most", "macro", "WIDGET_MAX", "the most"),
        ("spin - turn", "function", "spin", "turn"),
        ("spin(): turn", "function", "spin", "turn"),
        ("spin()- turn", "function", "spin", "turn"),
        ("spin (w, n) -- turn", "function", "spin", "turn"),
        ("static int *spin(w) - turn", "function", "spin", "turn"),
        ("struct widget", "struct", "widget", ""),
        ("DOC: How it turns", "doc", "How it turns", ""),
    ],
)
def test_first_lines(title: str, kind: str, name: str, summary: str) -> None:
    doc = parsed(f"/**\n * {title}\n */")
    assert (doc.kind, doc.name, doc.summary) == (kind, name, summary)


@pytest.mark.parametrize(
    "comment",
    [
        "/* spin() - plain */",
        "/**/",
        "/*** spin() - stars ***/",
        "/**\n */",
        "/**\n * This walks the list: twice.\n */",
        "/**\n * Initialisation\n */",
        "/** true - if it turned */",
        "/** @member: inside a struct */",
        "/**\n * Note: beware\n */",
    ],
)
def test_comments_that_are_not_kernel_doc(comment: str) -> None:
    assert parse_kerneldoc(comment.encode()) is None


def test_struct_members_nested_and_with_dashes() -> None:
    doc = parsed(
        "/**\n * struct a - b\n * @x.y: inner\n * @z - dashed\n * @list: has\n *\n *   an indented paragraph\n *\n"
        " * Free text.\n */"
    )
    assert [p.name for p in doc.params] == ["x.y", "z", "list"]
    assert doc.params[1].text == "dashed"
    assert "an indented paragraph" in doc.params[2].text
    assert doc.description == "Free text."


def test_returns_spellings_and_paragraphs() -> None:
    for word in ("Return", "Returns", "RETURNS", "Return value", "@return"):
        doc = parsed(f"/**\n * f() - x\n *\n * {word}: zero\n *\n * or one\n */")
        assert doc.returns == "zero\n\nor one", word


def test_windows_line_endings_and_missing_asterisks() -> None:
    doc = parsed("/**\r\n * f() - x\r\n   @a: one\r\n */")
    assert doc.params == [Param("a", "one")]


def check_above(fixture: str, expected: str | None) -> None:
    start = fixture.index("/*|*/")
    data = fixture.replace("/*|*/", "").encode()
    span = comment_above(data, start)
    assert (data[slice(*span)].decode() if span else None) == expected


@pytest.mark.parametrize(
    ("fixture", "expected"),
    [
        ("int a;\n/** f() - x */\n/*|*/int f(void);", "/** f() - x */"),
        ("/** f() - x */\n\n/*|*/int f(void);", "/** f() - x */"),
        ("/** f() - x */\n\n\n/*|*/int f(void);", None),
        ("/* plain */\n/*|*/int f(void);", "/* plain */"),
        ("/* plain */\n\n/*|*/int f(void);", None),
        ("/** f() - x */\n/* hot */\n/*|*/int f(void);", "/** f() - x */"),
        ("/** f() - x */\n__printf(1, 2) __cold\nnoinline\n/*|*/int f(void);", "/** f() - x */"),
        ("int x; // no\n// one\n// two\n/*|*/int f(void);", "// one\n// two"),
        ("int a; /* of a */\n/*|*/int b;", None),
        ("/** @b: x */ /*|*/int b;", "/** @b: x */"),
        ("/*\n * see drivers/*.c /* here\n */\n/*|*/int b;", "/*\n * see drivers/*.c /* here\n */"),
        ("/** f() - x */\nint g;\n/*|*/int f(void);", None),
        ("/*|*/int f(void);", None),
        ("/** f() - x */\r\n/*|*/int f(void);", "/** f() - x */"),
    ],
)
def test_comment_above(fixture: str, expected: str | None) -> None:
    check_above(fixture, expected)


def test_comment_beside_a_member() -> None:
    data = b"int a; /* first */\nint b;\t// second\nint c;\n/* no */"
    for end, expected in [(6, b"/* first */"), (data.index(b"b;") + 2, b"// second")]:
        span = comment_beside(data, end)
        assert span and data[slice(*span)] == expected
    assert comment_beside(data, data.index(b"c;") + 2) is None


def test_inline_member_docs() -> None:
    body = b"""struct a {
	/** @one: single line */
	int one;
	/**
	 * @two.in:
	 *
	 * First.
	 *
	 * Second.
	 */
	struct { int in; } two;
	/** no name */
	void (*call)(int x);
	unsigned long bits[4]; /**< behind */
	/* plain */
	int rest;
};"""
    assert inline_member_docs(body) == {
        "one": "single line",
        "two.in": "First.\n\nSecond.",
        "call": "no name",
        "bits": "behind",
    }


def test_comment_text_of_plain_comments() -> None:
    assert comment_text(b"/*\n * foo.c - Foo\n *\n *   deeper\n */") == "foo.c - Foo\n\n  deeper"
    assert comment_text(b"// a\n// b") == "a\nb"
    assert comment_text(b"/******\n * boxed *\n ******/").startswith("boxed")


def test_templates_parse_as_kernel_doc() -> None:
    text = comment_template("spin", ["w", "n"], True, "function", [])
    assert text == "/**\n * spin() -\n * @w:\n * @n:\n *\n * Context:\n * Return:\n */\n"
    doc = parsed(comment_template("widget", [], False, "struct", ["a", "b"]).strip())
    assert (doc.kind, doc.name, [p.name for p in doc.params]) == ("struct", "widget", ["a", "b"])


def test_tab_stops_are_numbered_in_order() -> None:
    text = comment_template("spin", ["w"], False, "function", [], snippet=True)
    assert " * spin() - ${1:Brief description.}\n * @w: ${2:...}\n" in text
    assert "Return" not in text


@given(st.binary(), st.text(alphabet="/*@:-. \n\tab()`_&<=|").map(str.encode))
def test_any_bytes_raise_no_error(junk: bytes, near: bytes) -> None:
    for data in (junk, near):
        doc = parse_kerneldoc(b"/**\n * f() - x\n" + data + b"*/")
        assert doc is not None
        inline_member_docs(data)
        span = comment_above(data, len(data))
        assert span is None or 0 <= span[0] < span[1] <= len(data)


@pytest.mark.parametrize("piece", [b"__a", b"/*", b"@a: ", b"*/", b"//\n", b"(", b"[["])
def test_repetition_takes_linear_time(piece: bytes) -> None:
    assert_linear(lambda size: parse_kerneldoc(b"/**\n * f() - " + piece * size + b"*/"))
    assert_linear(lambda size: comment_above(piece * size + b"*/\n", len(piece) * size + 3))
    assert_linear(lambda size: inline_member_docs((b"/** x */ " + piece) * size))
