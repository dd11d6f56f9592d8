"""Declarations of kernel headers: names and normalised types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.declarators import read_declaration, read_type
from kexpert.core.c.tokens import Tokens


def declared(text: str) -> dict[str, str]:
    declaration = read_declaration(Tokens(text.encode()), 0)
    return {d.name: d.type.text for d in declaration.declared} if declaration else {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("struct foo __rcu *p;", {"p": "struct foo *"}),
        ("char __user *buf, **b, c;", {"buf": "char *", "b": "char **", "c": "char"}),
        ("int (*fn[4])(struct x *, int), r[3];", {"fn": "int (*[])(struct x *, int)", "r": "int []"}),
        ("static const struct ops __read_mostly o = { .a = b, .c = d };", {"o": "const struct ops"}),
        ("unsigned long long x __maybe_unused = 3", {"x": "unsigned long long"}),
        ("u32 __percpu *__p __maybe_unused;", {"__p": "u32 *"}),
        ("struct foo *p __free(kfree) = make(a, b);", {"p": "struct foo *"}),
        ("__u32 a:3, b:4;", {"a": "__u32", "b": "__u32"}),
        ("static __always_inline u32 noinline f(const char *a, ...)\n{", {"f": "u32 (const char *, ...)"}),
        ("__printf(1, 2) int f(const char *fmt, ...);", {"f": "int (const char *, ...)"}),
        ("static struct foo *__init setup(int a)", {"setup": "struct foo *(int)"}),
        ("static void (*get(int a))(int)", {"get": "void (*(int))(int)"}),
        ("struct { int a; } __packed x[2];", {"x": "struct []"}),
        ("typeof(x->y) *z;", {"z": "typeof(x->y) *"}),
        ("enum state s = READY;", {"s": "enum state"}),
        ("struct foo { int a; };", {}),
    ],
)
def test_names_and_normalised_types_of_declarations(text: str, names: dict[str, str]) -> None:
    assert declared(text) == names


@pytest.mark.parametrize("text", ["const struct foo *", "int (*)(struct x *)", "char []", "void (*(*)(int))(u8)"])
def test_the_text_of_a_type_parses_to_the_same_type(text: str) -> None:
    found = read_type(text)
    assert found is not None
    assert found.text == text


def test_targets_of_pointers_and_return_types() -> None:
    function = read_type("struct page *(*)(gfp_t)")
    assert function is not None
    returned = function.returned()
    assert returned is not None
    assert returned.text == "struct page *"
    target = returned.target()
    assert target is not None
    assert (target.text, target.tag, target.keyword) == ("struct page", "page", "struct")
    assert target.target() is None


@given(st.lists(st.sampled_from([*"(){}[]*,;:=.#&", "struct ", "int ", "x ", "__user ", "typeof", '"', "/*", "->"])))
def test_any_tokens_are_consumed(pieces: list[str]) -> None:
    tokens = Tokens("".join(pieces).encode())
    at = 0
    while at < len(tokens):
        declaration = read_declaration(tokens, at)
        after = declaration.next if declaration else at + 1
        assert after > at
        at = after


def test_deep_nesting_declares_nothing() -> None:
    assert declared("int " + "(*" * 5000 + "x" + ")" * 5000 + ";") == {}
