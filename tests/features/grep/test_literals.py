"""What a match of an expression must hold: never more than is true, and enough to be of use."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.features.grep.literals import required_literals
from kexpert.features.grep.query import BadQuery, Expression, GrepQuery


def options_of(pattern: bytes, ignores_case: bool = False) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignores_case
    if pattern.isascii():
        options.encoding = re2.Options.Encoding.LATIN1
    return options


_CHARS = st.sampled_from([b"a", b"b", b"K", b"s", b"_", b"1", b" ", b"\n", b"(", b"\xe2\x84\xaa", b"\xc5\xbf"])
_ATOMS = st.sampled_from(
    [b"a", b"b", b"K", b"ab", b"_1", b".", b"\\w", b"\\(", b"\\.", b"\\x41", b"\\x{4b}", b"\\141", b"\\n", b"\\s",
     b"[ab]", b"[^a]", b"[a-c]", b"[\\x41-a]", b"[]a]", b"[a-]", b"[[:alpha:]]", b"[\\d_]", b"^", b"$", b"\\b", b"{",
     b"a{,2}", b"x{2}", b"-", b"(?i)", b"(?i:k)", b"(?s)", b"\\pL", b"\\Qa+\\E", b"[Kk]s", b"\\A", b"\\z", b"\\B",
     b"(?-m)", b"(?-m:^a)", b"(?i-m:b$)"]
)  # fmt: skip
_REPEATS = st.sampled_from([b"", b"", b"", b"*", b"+", b"?", b"*?", b"+?", b"{2}", b"{0}", b"{0,1}", b"{1,}", b"{1,3}"])


def _extended(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    repeated = st.tuples(inner, _REPEATS).map(lambda pair: b"(?:" + pair[0] + b")" + pair[1])
    joined = st.lists(inner, min_size=1, max_size=4).map(b"".join)
    either = st.lists(inner, min_size=2, max_size=3).map(lambda parts: b"(" + b"|".join(parts) + b")")
    bare = st.tuples(_ATOMS, _REPEATS).map(b"".join)
    return st.one_of(repeated, joined, either, bare)


PATTERNS = st.recursive(_ATOMS, _extended, max_leaves=12)
TEXTS = st.lists(_CHARS, max_size=30).map(b"".join)


@settings(max_examples=600, deadline=None)
@given(pattern=PATTERNS, text=TEXTS, ignores_case=st.booleans())
def test_every_match_holds_a_text_of_each_clause(pattern: bytes, text: bytes, ignores_case: bool) -> None:
    try:
        compiled = re2.compile(b"(?m)" + pattern, options_of(pattern, ignores_case))
    except re2.error:
        return  # not valid: never run
    folded, written = required_literals(pattern), [] if ignores_case else required_literals(pattern, folds=False)
    for match in compiled.finditer(text):
        for clauses, held in ((folded, match[0].lower()), (written, match[0])):
            for clause in clauses:
                assert any(literal in held for literal in clause), (pattern, match[0], clause)


@settings(max_examples=1000, deadline=None)
@given(pattern=PATTERNS, texts=st.lists(TEXTS, min_size=1, max_size=3), ignores_case=st.booleans())
def test_joined_texts_hold_a_match_where_one_of_them_does(
    pattern: bytes, texts: list[bytes], ignores_case: bool
) -> None:
    try:
        expression = Expression(GrepQuery(pattern.decode(), ignores_case=ignores_case))
    except BadQuery:
        return
    if expression.can_join and any(map(expression.is_in, texts)):
        assert expression.is_in(b"\n".join(texts))


def test_an_expression_of_the_ends_of_a_text_is_asked_about_each() -> None:
    for pattern in (r"\Aint", r"end\z", "(?-m)^int", "(?i-m:^int)"):
        assert not Expression(GrepQuery(pattern)).can_join
    assert Expression(GrepQuery("^int$")).can_join and Expression(GrepQuery(r"a\(-b")).can_join
    assert Expression(GrepQuery(r"\Aint", is_fixed=True)).can_join


@settings(max_examples=300, deadline=None)
@given(pattern=st.binary(max_size=40))
def test_any_bytes_are_read(pattern: bytes) -> None:
    for clause in required_literals(pattern):
        assert clause and all(clause)


@pytest.mark.parametrize(
    ("pattern", "clauses"),
    [
        (rb"vfs_open\(", [{b"vfs_open("}]),
        (rb"(read|write)_lock", [{b"read_lock", b"write_lock"}]),
        (rb"mutex_(un)?lock", [{b"mutex_lock", b"mutex_unlock"}]),
        (rb"foo.*bar", [{b"foo"}, {b"bar"}]),
        (rb"EFAULT|enomem", [{b"efault", b"enomem"}]),
        (rb"\bkfree\s*\(\w+\)", [{b"kfree"}, {b"("}, {b")"}]),
        (rb"x*", []),
        (rb"abc|x*", []),
        (rb"a[0-9]{7}bcd", [{b"a"}, {b"bcd"}]),
        (rb"[Ee]rror: \d", [{b"error: "}]),
    ],
)
def test_a_usual_pattern_gives_its_words(pattern: bytes, clauses: list[set[bytes]]) -> None:
    assert required_literals(pattern) == [frozenset(clause) for clause in clauses]


def test_a_deep_pattern_promises_nothing() -> None:
    assert required_literals(b"(" * 500 + b"abc" + b")" * 500) == []
