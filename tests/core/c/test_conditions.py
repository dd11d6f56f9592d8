"""#if nesting: the conditions of a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.conditions import branches, conditions_at, negate, simplify


def check_at(fixture: str, expected: list[str]) -> None:
    offset = fixture.index("/*|*/")
    assert conditions_at(fixture.replace("/*|*/", "").encode(), offset) == expected


@pytest.mark.parametrize(
    ("fixture", "expected"),
    [
        ("int a;/*|*/", []),
        ("#ifdef CONFIG_SMP\nint a;/*|*/\n#endif", ["CONFIG_SMP"]),
        ("#ifdef CONFIG_SMP\n#endif\nint a;/*|*/", []),
        ("#ifdef A\n#else\nint a;/*|*/\n#endif", ["!A"]),
        ("#ifndef A\n#else\nint a;/*|*/\n#endif", ["A"]),
        ("#ifdef A\n# ifndef B\nint a;/*|*/\n#endif\n#endif", ["A", "!B"]),
        ("#if A > 1\n#elif B\nx/*|*/\n#endif", ["!(A > 1)", "B"]),
        ("#if A\n#elif B\n#else\nx/*|*/\n#endif", ["!A", "!B"]),
        ("#elifdef X\n#if A\n#elifndef B\nx/*|*/\n#endif", ["!A", "!B"]),
        ("#if defined(A) && \\\n    !defined B\nx/*|*/\n#endif", ["A && !B"]),
        ("#if IS_ENABLED(CONFIG_A) || IS_REACHABLE( CONFIG_B )\nx/*|*/", ["CONFIG_A || CONFIG_B"]),
        ("#if IS_MODULE(CONFIG_A)\nx/*|*/", ["IS_MODULE(CONFIG_A)"]),
        ("#if 0\nx/*|*/\n#endif", ["0"]),
        ("#ifdef A /* why\n * and\n */\nx/*|*/\n#endif // A", ["A"]),
        ("/*\n#ifdef A\n*/\nx/*|*/", []),
        ('char *s = "drivers/*";\n#ifdef A\nx/*|*/\n#endif', ["A"]),
        ("// see a/*\n#ifdef A\nx/*|*/\n#endif", ["A"]),
        ("/*\n#ifdef A\n#ifdef B\n*/\n#ifdef C\nx/*|*/", ["C"]),
        ("#ifdef A\r\nx/*|*/\r\n#endif\r\n", ["A"]),
        ("#define f(x) #x\n#define if_x #if\nx/*|*/", []),
        ("#endif\n#else\n#ifdef A\nx/*|*/", ["A"]),
        ("  #\tifdef A\nx/*|*/", ["A"]),
        ("#ifdef A\n#endif/*|*/", ["A"]),
        ("#ifdef A/*|*/\n#endif", []),
    ],
)
def test_conditions_of_a_line(fixture: str, expected: list[str]) -> None:
    check_at(fixture, expected)


@pytest.mark.parametrize(
    "guard",
    [
        "#ifndef _FOO_H\n#define _FOO_H",
        "/* head */\n#ifndef _FOO_H /* once */\n\n# define _FOO_H\t/* once */",
        "#if !defined(_FOO_H)\n#define _FOO_H",
        "#undef SYSTEM\n#define SYSTEM foo\n\n#if !defined(_FOO_H) || defined(MULTI_READ)\n#define _FOO_H",
    ],
)
def test_an_include_guard_is_no_condition(guard: str) -> None:
    check_at(f"{guard}\n#ifdef A\nint a;/*|*/\n#endif\n#endif\n", ["A"])


def test_a_default_definition_is_no_include_guard() -> None:
    check_at("#ifndef DEPTH\n#define DEPTH 4/*|*/\n#endif", ["!DEPTH"])
    check_at("#ifndef DEBUG\n#define DEBUG/*|*/\n#endif", ["!DEBUG"])
    check_at("#ifdef A\n#endif\n#ifndef B\n#define B\nx/*|*/\n#endif", ["!B"])


def test_brackets_and_double_negation() -> None:
    assert simplify("(defined(A))") == "A"
    assert simplify("! defined (A) && (B != 2)") == "!A && (B != 2)"
    assert simplify("(A) && (B)") == "A && B"
    assert negate("!(A && B)") == "A && B"
    assert negate("(A) && (B > 1)") == "!((A) && (B > 1))"
    assert negate("!A && B") == "!(!A && B)"


def test_branches_fold_between_directives() -> None:
    data = b"a\n#if A\nb\n#ifdef B\nc\n#endif\n#else\nd\n#endif\n#if C\ne"
    found = [(data[b.start : b.end].decode(), b.keyword) for b in branches(data)]
    assert found == [
        ("#if A\nb\n#ifdef B\nc\n#endif\n", "if"),
        ("#ifdef B\nc\n", "ifdef"),
        ("#else\nd\n", "else"),
        ("#if C\ne", "if"),
    ]
    assert branches(data)[0].group == branches(data)[2].group


@given(st.lists(st.sampled_from(["#if A", "#else", "#elif B", "#endif", "/*", "*/", '"', "//", "x"])).map("\n".join))
def test_branches_and_conditions_agree(text: str) -> None:
    data = text.encode()
    inside = {b.start for b in branches(data)}
    for offset in range(len(data) + 1):
        line = data.rfind(b"\n", 0, offset) + 1
        enclosing = [b for b in branches(data) if b.start < line <= b.end]
        assert bool(conditions_at(data, offset)) == bool(enclosing), (inside, offset)


@given(st.binary(), st.integers(-5, 300))
def test_any_bytes_raise_no_error(data: bytes, offset: int) -> None:
    conditions_at(data, offset)
    branches(data)
