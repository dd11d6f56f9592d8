"""Macro expansion at a place, and the values of constants."""

from __future__ import annotations

import pytest

from kexpert.features.semantics.macro_expansion import (
    MAX_TEXT,
    MAX_TOKENS,
    Macro,
    call_arguments,
    evaluate,
    expand,
    parse_macro,
)
from tests.support.complexity import assert_linear

DEFINES = b"""\
#define BIT(nr) (UL(1) << (nr))
#define UL(x) x##UL
#define GENMASK(h, l) (((~UL(0)) - (UL(1) << (l)) + 1) & (~UL(0) >> (64 - 1 - (h))))
#define FOO_BASE 0x10
#define FOO_NEXT (FOO_BASE + 1)
#define FOO_ALIAS FOO_NEXT
#define LOOP_A LOOP_B
#define LOOP_B LOOP_A
#define foo_of(ptr, type, member) ({ void *__p = (void *)(ptr); \\
\t((type *)(__p - offsetof(type, member))); })
#define foo_warn(fmt, ...) foo_print(KERN_WARNING fmt, ##__VA_ARGS__)
#define foo_gnu(fmt, args...) foo_print(fmt, ## args)
#define show(x) #x
#define FOO_GFP ((__force gfp_t)0x40u)
#define module_foo(fn) foo_initcall(fn)
#define foo_initcall(fn) static initcall_t __foo_##fn = fn
"""


def lookup(name: str) -> Macro | None:
    for block in DEFINES.replace(b"\\\n", b"\\\0").splitlines():
        macro = parse_macro(block.replace(b"\\\0", b"\\\n"))
        if macro is not None and macro.name == name:
            return macro
    return None


def expansion(use: str) -> tuple[str, int | None] | None:
    """The expansion of ``use``, a macro with its call."""
    name = use.split("(")[0]
    macro = lookup(name)
    assert macro is not None
    found = expand(macro, call_arguments(use.encode(), len(name)), lookup)
    return None if found is None else (found.text, found.value)


def test_arguments_replace_parameters() -> None:
    assert expansion("BIT(3)") == ("(UL(1) << (3))", 8)


def test_genmask_has_a_value() -> None:
    assert expansion("GENMASK(7, 4)") == (
        "(((~UL(0)) - (UL(1) << (4)) + 1) & (~UL(0) >> (64 - 1 - (7))))", 0xF0)  # fmt: skip


def test_object_like_chain_ends_at_the_first_real_text() -> None:
    assert expansion("FOO_ALIAS") == ("(FOO_BASE + 1)", 0x11)


def test_recursive_macros_end() -> None:
    assert expansion("LOOP_A") == ("LOOP_A", None)


def test_layout_of_the_body_is_kept_without_the_backslashes() -> None:
    found = expansion("foo_of(list->next, struct foo, node)")
    assert found is not None
    assert found[0].splitlines() == [
        "({ void *__p = (void *)(list->next);",
        "\t((struct foo *)(__p - offsetof(struct foo, node))); })",
    ]


@pytest.mark.parametrize(
    ("use", "text"),
    [
        ('foo_warn("hi")', 'foo_print(KERN_WARNING "hi")'),
        ('foo_warn("%d %d", a, f(b, c))', 'foo_print(KERN_WARNING "%d %d", a, f(b, c))'),
        ('foo_gnu("hi")', 'foo_print("hi")'),
        ('foo_gnu("%s", s)', 'foo_print("%s", s)'),
        ('show(a "b\\n")', '"a \\"b\\\\n\\""'),
        ("module_foo(bar)", "static initcall_t __foo_bar = bar"),
    ],
)
def test_stringify_paste_and_variadics(use: str, text: str) -> None:
    found = expansion(use)
    assert found is not None
    assert found[0] == text


def test_wrong_number_of_arguments_is_not_expanded() -> None:
    assert expansion("BIT(1, 2)") is None
    assert expansion("GENMASK(1)") is None
    assert expansion("BIT") is None


def test_a_call_over_several_lines_and_comments() -> None:
    assert call_arguments(b"f (a, /* , */ g(b,\n\t\tc),\n 'd')", 1) == ["a", "g(b, c)", "'d'"]
    assert call_arguments(b"f(a, b", 1) is None
    assert call_arguments(b"f;", 1) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(1 << 3)", 8),
        ("1 << 31", -(1 << 31)),
        ("1u << 31", 1 << 31),
        ("~0UL", 2**64 - 1),
        ("~0", -1),
        ("-22", -22),
        ("0x7fffffff + 0u", 0x7FFFFFFF),
        ("017", 15),
        ("10 / -3 * 10 + 10 % -3", -29),
        ("1 + 2 * 3 == 7 && !0", 1),
        ("-1 < 0u", 0),
        ("2 > 1 ? 5 : 6", 5),
        ("'A' + '\\n'", 75),
        ("(u8)0x1ff", 0xFF),
        ("(unsigned long)-1", 2**64 - 1),
        ("sizeof(unsigned long) * 8", 64),
        ("FOO_GFP | 1", 0x41),
        ("BIT(FOO_NEXT)", 1 << 17),
    ],
)
def test_constants_follow_the_rules_of_c(text: str, value: int) -> None:
    assert evaluate(text, lookup) == value


@pytest.mark.parametrize(
    "text",
    ["", "unknown", "1 / 0", "1 << 64", "(struct foo)1", "f(1)", "1.5", "08", "1 +", ")(", "a ? b", "sizeof(x)", '"s"'],
)
def test_uncertain_expression_has_no_value(text: str) -> None:
    assert evaluate(text, lookup) is None


def test_macro_that_doubles_at_every_level_is_given_up() -> None:
    lookups = 0

    def doubling(name: str) -> Macro | None:
        nonlocal lookups
        lookups += 1
        number = int(name.removeprefix("M"))
        return Macro(name, None, "", f"M{number + 1} M{number + 1}" if number < 20 else "")

    assert evaluate("M0", doubling) is None
    assert lookups <= MAX_TOKENS


@pytest.mark.parametrize("text", ["(" * 8000, "~" * 8001])
def test_deeply_nested_constant_is_given_up(text: str) -> None:
    assert evaluate(text, lookup) is None


def test_only_the_first_bytes_of_hostile_text_cost_time() -> None:
    """Within ``MAX_TEXT`` the time may be quadratic; a longer text takes no longer."""
    assert_linear(lambda size: call_arguments(b"(" + b'"\\' * (MAX_TEXT + size), 0))
    assert_linear(lambda size: parse_macro(b"#define A " + b"/*" * (MAX_TEXT + size)))
