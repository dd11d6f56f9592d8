"""What comments that describe many constants say of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.docs.named_paragraphs import paragraph_about
from tests.support.complexity import assert_linear

HEADER = b"""\
/**
 * DOC: Box flags
 *
 * %BOX_ATOMIC users cannot sleep. The same applies to
 * %BOX_NOWAIT and others.
 *
 * %BOX_NOIO: no disk
 * is touched.
 * %BOX_NOFS: no file system is
 *
 * The BOX_BUSY flag is set while BOX_ATOMIC |
 * BOX_NOIO are, and
 * BOX_LATE is not.
 */
#define BOX_ATOMIC 1
/*
 * BOX_SHARED - several may have it
 * BOX_ONCE\t\tone at a time,
 *\t\t\tnever two
 * BOX_PAIR
 */
#define BOX_SHARED (BOX_ATOMIC | 2) /* BOX_MASK of all */
/**
 * enum box
 * @BOX_NONE\t\tnothing
 * @box_small: in lower case
 */
// BOX_SLASH is said
// on two lines.
int x = 1;
 * BOX_CODE - no comment
/* BOX_ONE: a line of its own */
"""


@pytest.mark.parametrize(("name", "text"), [
    ("BOX_ATOMIC", "BOX_ATOMIC users cannot sleep. The same applies to\n%BOX_NOWAIT and others."),
    ("BOX_NOWAIT", ""),  # in the middle of a sentence
    ("BOX_NOIO", "no disk\nis touched."),
    ("BOX_NOFS", "no file system is"),
    ("BOX_BUSY", "The BOX_BUSY flag is set while BOX_ATOMIC |\nBOX_NOIO are, and\nBOX_LATE is not."),
    ("BOX_LATE", ""),
    ("BOX_SHARED", "several may have it"),
    ("BOX_ONCE", "one at a time,\nnever two"),
    ("BOX_PAIR", ""),
    ("BOX_MASK", ""),
    ("BOX_NONE", ""),  # one word says nothing
    ("box_small", "in lower case"),
    ("BOX_SLASH", "BOX_SLASH is said\non two lines."),
    ("BOX_CODE", ""),
    ("BOX_ONE", "a line of its own"),
    ("BOX", ""),
    ("in", ""),
])  # fmt: skip
def test_a_paragraph_or_an_item_that_begins_with_the_name(name: str, text: str) -> None:
    assert paragraph_about(HEADER, name) == text


@given(st.binary(max_size=80), st.sampled_from(["BOX", "a_b"]))
def test_any_bytes_are_a_file(data: bytes, name: str) -> None:
    paragraph_about(data + name.encode() + b": " + data, name)


def test_many_occurrences_cost_little() -> None:
    assert_linear(lambda size: paragraph_about(b"/*\n" + b" * x BOX_A y\n" * size, "BOX_A"))
    assert_linear(lambda size: paragraph_about(b"/*\n" + b" * BOX_A\n" * size, "BOX_A"))
