"""Folding ranges: ``@<1`` marks the first line of fold 1, ``@1>`` its last."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.source import Source
from kexpert.features.symbols.folding import folds
from tests.support.complexity import assert_linear


def check_folds(marked: str, kind: str) -> None:
    """The folds of this kind are exactly the marked ones."""
    lines = marked.split("\n")
    begins: dict[str, int] = {}
    expected = set()
    for number, line in enumerate(lines):
        _, _, marks = line.partition("@")
        for mark in marks.split():
            if mark.startswith("<"):
                begins[mark[1:]] = number
            else:
                expected.add((begins[mark[:-1]], number))
    # The marks are cut off, not commented out: comments fold too.
    text = "\n".join(line.partition("@")[0].rstrip() for line in lines)
    found = {(f.start_line, f.end_line) for f in folds(Source("a.c", text.encode())) if f.kind == kind}
    assert found == expected


def test_functions_in_kernel_style_fold_from_the_line_of_their_name() -> None:
    check_folds(
        """static int f(int a,
                 int b)    @<1
{
        if (a) {           @<2
                a = b;     @2>
        } else {           @<3
                b = a;     @3>
        }
        return a;          @1>
}
struct s {                 @<4
        int x;             @4>
};""",
        "block",
    )


def test_braces_in_strings_and_comments_are_text() -> None:
    check_folds(
        """int f(void)           @<1
{
        puts("{"); /* { */
        return '{';        @1>
}
int g;""",
        "block",
    )


SPLIT_FUNCTION = """#ifdef A               @{branch}<1
int f(int a)           @{block}<2
{                      @{branch}1>
#else                  @{branch}<3
int f(void)
{                      @{branch}3>
#endif
        return 0;      @{block}2>
}
int g(void)            @{block}<4
{
        return 1;      @{block}4>
}"""


@pytest.mark.parametrize("kind", ["branch", "block"])
def test_each_branch_of_a_condition_folds_and_braces_stay_balanced(kind: str) -> None:
    other = "block" if kind == "branch" else "branch"
    marked = re.sub(rf"@{{{other}}}\S*", "", SPLIT_FUNCTION).replace(f"@{{{kind}}}", "@")
    check_folds(marked, kind)


def test_comments_and_runs_of_line_comments() -> None:
    check_folds(
        """/*                     @<1
 * about
 */                        @1>
int a; // alone
// one                     @<2
// two
// three                   @2>
int b; /* b */
char *s = "/*";
int c;
char *t = "*/";""",
        "comment",
    )


def test_includes_with_blank_lines_between() -> None:
    check_folds(
        """#include <a.h>         @<1
#include <b.h>

#include "c.h"             @1>
int a;
#include "alone.h"
int b;""",
        "imports",
    )


def test_long_macros() -> None:
    first, last = "#define A(x) \\", "\tx"
    (fold,) = folds(Source("a.c", f"{first}\n{last}\nint a;\n#define B 1\n".encode()))
    assert (fold.start_line, fold.end_line, fold.kind) == (0, 1, "macro")


@given(st.lists(st.sampled_from([b"{", b"}", b"\n", b"#if\n", b"#else\n", b"#endif\n", b"/*", b"*/", b"//", b"\\\n"])))
def test_folds_are_sound_on_any_text(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    found = folds(Source("a.c", data))
    assert all(0 <= f.start_line < f.end_line <= data.count(b"\n") for f in found)
    assert len({f.start_line for f in found}) == len(found)


@pytest.mark.parametrize("piece", [b"{\n", b"#if\n{\n", b"#define a \\\n", b"// \\\n", b"/*"])
def test_adverse_text_takes_linear_time(piece: bytes) -> None:
    assert_linear(lambda size: folds(Source("a.c", piece * size)))
