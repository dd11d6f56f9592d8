"""MAINTAINERS: the entries that get_maintainer.pl would find for a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.kernel.maintainers import parse_maintainers
from tests.support.complexity import assert_linear

FILE = b"""List of maintainers
===================

	F: indented prose is no field
Maintainers List
----------------

WIDGETS
M:	Ann <ann@example.org>
M:	Bob <bob@example.org>
R:	Cy <cy@example.org>
L:	widgets@example.org
S:	Maintained
T:	git git://example.org/widgets.git
F:	drivers/widget/
F:	include/linux/widget*.h
X:	drivers/widget/odd/

WIDGET SPINNER
M:	Dee <dee@example.org>
F:	drivers/widget/spin.c

ODD WIDGETS
F:	drivers/*/odd/
K:	\\bodd_widget

NAMED
N:	[^a-z]zorp
N:	(a+)+$

PREFIX
F:	kernel/spin
F:	lib/tools

DEEP ANYWHERE
F:	fs/**/deep*.c

THE REST
M:	Everybody <all@example.org>
F:	*
F:	*/
"""
LIST = parse_maintainers(FILE)


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("drivers/widget/core.c", ["WIDGETS"]),
        ("drivers/widget/sub/core.c", ["WIDGETS"]),
        ("drivers/widget/spin.c", ["WIDGET SPINNER", "WIDGETS"]),
        ("drivers/widget/odd/x.c", ["ODD WIDGETS"]),
        ("include/linux/widget_ops.h", ["WIDGETS"]),
        ("include/linux/widget/ops.h", ["THE REST"]),
        ("drivers/widgets.c", ["THE REST"]),
        ("arch/arm/mach-zorp/board.c", ["NAMED"]),
        ("kernel/spinlock.c", ["PREFIX"]),
        ("kernel/spinlock/x.c", ["THE REST"]),
        ("lib/tools/x.c", ["PREFIX"]),
        ("fs/a/b/deeper.c", ["DEEP ANYWHERE"]),
        ("README", ["THE REST"]),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", ["THE REST"]),
    ],
)
def test_deepest_pattern_is_first(path: str, titles: list[str]) -> None:
    assert [entry.title for entry in LIST.match(path)] == titles


@pytest.mark.parametrize("path", ["/home/me/drivers/widget/core.c", "/core.c", "untitled:core.c"])
def test_a_file_outside_the_tree_matches_no_entry(path: str) -> None:
    everything = parse_maintainers(b"WIDGETS\nN:\tcore\n\nTHE REST\nF:\t*\nF:\t*/\n")
    assert everything.match("core.c")
    assert everything.match(path) == []


def test_fields_of_an_entry() -> None:
    entry = LIST.match("drivers/widget/core.c")[0]
    assert entry.maintainers == ["Ann <ann@example.org>", "Bob <bob@example.org>"]
    assert entry.reviewers == ["Cy <cy@example.org>"]
    assert entry.lists == ["widgets@example.org"]
    assert entry.status == "Maintained"
    assert entry.trees == ["git git://example.org/widgets.git"]
    assert FILE.split(b"\n")[entry.line] == b"WIDGETS"
    assert LIST.match("drivers/x/odd/y.c")[0].values("K") == [r"\bodd_widget"]


@pytest.mark.parametrize("letter", ["F", "X", "N"])
@pytest.mark.parametrize("pattern", ["*a" * 60, "[" * 100, "(a|a)*" * 30, ".*" * 50, "a{1,9}" * 20, "a" * 3000, "(?("])
def test_hostile_patterns_take_linear_time(letter: str, pattern: str) -> None:
    listed = parse_maintainers(f"T\nF:\t*\n{letter}:\t{pattern}\n{letter}:\t{pattern}/\n".encode())
    assert_linear(lambda size: listed.match("a" * size + "!"))


@given(st.binary(), st.text(alphabet="abc/.*"))
def test_any_bytes_raise_no_error(data: bytes, path: str) -> None:
    parse_maintainers(data).match(path)
    parse_maintainers(b"T\nF:" + data).match(path)
