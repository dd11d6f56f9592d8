"""What a comment must name, for every way in which kernel code declares things."""

from __future__ import annotations

import pytest

from kexpert.features.kerneldoc.declaration import Undocumentable
from tests.features.kerneldoc.drafts import names_of, target_of


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("int f(void)", []),
        ("int f()", []),
        ("static inline int f(int a, struct b *b)", ["a", "b"]),
        ("static int __init f(const char *fmt, ...)", ["fmt", "..."]),
        ("int f(int (*cb)(void *arg, int n), char *const names[], u8 mac[ETH_ALEN])", ["cb", "names", "mac"]),
        ("void f(struct a __user *const *a, unsigned long long b)", ["a", "b"]),
        ("struct a *f(u8 (*rows)[8])", ["rows"]),
        ("int f(a, b)\n\tint a;\n\tchar *b;", ["a", "b"]),
        ("__printf(1, 2) int f(const char *fmt, ...)", ["fmt", "..."]),
        ("static void __must_check *f(int a)", ["a"]),
        ("void f(struct a *a)\n\t__acquires(&a->lock)\n\t__releases(&a->other)", ["a"]),
        ("int\nf(int a,\n  int b)", ["a", "b"]),
    ],
)
def test_parameters_of_functions(head: str, names: list[str]) -> None:
    assert names_of(f"{head}\n{{\n\treturn g();\n}}\n") == names


def test_parameters_of_a_system_call() -> None:
    code = "SYSCALL_DEFINE3(toy, int, fd, const char __user *, name,\n\t\tumode_t, mode)\n{\n\treturn 0;\n}\n"
    _, target = target_of(code, "sys_toy")
    assert target.declaration.title == "sys_toy()"
    assert [each.name for each in target.declaration.parameters] == ["fd", "name", "mode"]


def test_a_compat_system_call_has_the_name_that_kernel_doc_gives_it() -> None:
    _, target = target_of("COMPAT_SYSCALL_DEFINE1(toy, int, fd)\n{\n\treturn 0;\n}\n", "compat_sys_toy")
    assert target.declaration.title == "sys_toy()"


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("#define F(a, b) ((a) + (b))\n", ["a", "b"]),
        ("#define F(fmt, args...) printk(fmt, ##args)\n", ["fmt", "args"]),
        ("#define F(a, \\\n\tb, ...) \\\n\tg(a, b, __VA_ARGS__)\n", ["a", "b", "..."]),
    ],
)
def test_parameters_of_macros(code: str, names: list[str]) -> None:
    assert names_of(code, "F") == names


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("struct f {\n\tint a, *b;\n\tunsigned int c:1, d:2;\n};\n", ["a", "b", "c", "d"]),
        ("struct f {\n\tint (*open)(struct inode *, int);\n\tchar name[8];\n};\n", ["open", "name"]),
        ("struct f {\n\tunion {\n\tint a;\n\tstruct { int b; };\n\t};\n\tstruct { int d; } c;\n};\n", ["a", "b", "c"]),
        ("struct f {\n\tDECLARE_BITMAP(bits, 8);\n\tstruct_group(g, int a; int b;);\n};\n", ["bits", "a", "b"]),
        ("struct f {\n\tint a;\n\t/* private: */\n\tint b;\n\t/* public: */\n\tint c;\n};\n", ["a", "c"]),
        ("struct f {\n#ifdef X\n\tint a;\n#endif\n\tint b;\n} __packed;\n", ["a", "b"]),
        ("enum f { A, B = 2, C = B << 1, };\n", ["A", "B", "C"]),
        ("union f { int a; long b; };\n", ["a", "b"]),
    ],
)
def test_members_of_records(code: str, names: list[str]) -> None:
    assert names_of(code) == names


@pytest.mark.parametrize(
    ("code", "name", "reason"),
    [
        ("__section(x) int f(int a)\n{\n}\n", "f", "__section(…) before its name"),
        ("int f(int a __maybe_unused)\n{\n}\n", "f", "'__maybe_unused' after the parameter 'a'"),
        ("int f(int)\n{\n}\n", "f", "has no name"),
        ("int f(int (*const cb)(int))\n{\n}\n", "f", "too complex"),
        ("int f(int (*cb)(int), int b) __acquires(b)\n{\n}\n", "f", "annotation with arguments"),
        ("BPF_CALL_1(f, int, a)\n{\n\treturn 0;\n}\n", "f", "a macro defines it"),
        ("#define F 7\n", "F", "without parameters"),
        ("struct f {\n\tFOO(a)\n\tint b;\n};\n", "f", "FOO(…) among its members"),
        ("struct f {\n\tint a:WIDTH;\n};\n", "f", "is no number"),
        ("static struct f {\n\tint a;\n} table[] = { { 1 } };\n", "f", "declares a variable"),
        ("enum f { A = X(1, 2), B };\n", "f", "holds a comma"),
    ],
)
def test_what_kernel_doc_cannot_read_is_refused_with_the_reason(code: str, name: str, reason: str) -> None:
    with pytest.raises(Undocumentable, match=reason.replace("(", r"\(").replace(")", r"\)")):
        target_of(code, name)
