"""Kernel C parses without errors and with its own offsets; an incremental parse equals a full one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Node

from kexpert.core.c.masking import mask
from kexpert.core.c.parse import Parsed, parse, parse_compact

CLEAN = {
    "annotations": b"static int __init foo_init(void __user *p, int n __maybe_unused)\n{\n\treturn 0;\n}\n",
    "annotation calls": b"static void f(int a)\n\t__acquires(lock)\n\t__must_hold(&x->lock)\n{\n}\n",
    "always inline": b"static __always_inline int f(void)\n{\n\treturn 1;\n}\n",
    "loop": b"void f(void)\n{\n\tlist_for_each_entry(pos, &head, member) {\n\t\tuse(pos);\n\t}\n}\n",
    "loop without braces": b"void f(void)\n{\n\tfor_each_set_bit(i, map, 8)\n\t\tuse(i);\n}\n",
    "loop with a blank": b"void f(void)\n{\n\tfor_each_possible_cpu (cpu) {\n\t\tuse(cpu);\n\t}\n}\n",
    "block macro": b"void f(void)\n{\n\twith_lock(&a->lock, flags) {\n\t\tuse(a);\n\t}\n}\n",
    "syscall": b"SYSCALL_DEFINE2(foo, const char __user *, name, int, flags)\n{\n\treturn flags;\n}\n",
    "syscall without arguments": b"SYSCALL_DEFINE0(foo)\n{\n\treturn 0;\n}\n",
    "tracepoint": b"TRACE_EVENT(foo,\n\tTP_PROTO(struct a *a),\n\tTP_ARGS(a),\n\tTP_printk(\"%d\", 1)\n);\n",
    "no semicolon": b"ACPI_EXPORT_SYMBOL(foo)\nint x;\n",
    "type arguments": b"void f(void)\n{\n\tx = container_of(p, struct foo, bar);\n\ty = va_arg(ap, char *);\n"
    b"\tz = min_t(unsigned int, a, b) + offsetof(struct foo, a.b);\n}\n",
    "per cpu": b"static DEFINE_PER_CPU(struct foo, counters) = { .a = 1 };\n",
    "variable macro": b"static SIMPLE_DEV_PM_OPS(foo_pm, foo_suspend,\n\t\t\t foo_resume);\n",
    "member macros": b"struct a {\n\tDECLARE_BITMAP(used, 32);\n\tstruct_group(head, int x; int y;);\n\tu32 : 9;\n};\n",
    "case range": b"void f(void)\n{\n\tswitch (x) {\n\tcase 1 ... 3:\n\t\tbreak;\n\t}\n}\n",
    "named variadic": b"#define say(fmt, args...) printk(fmt, ## args)\nint x;\n",
    "comment in a macro": b"#define X do { /* nothing */ } while (0)\nint x;\n",
    "split brace": b"void f(void)\n{\n#ifdef A\n\tif (a) {\n#else\n\tif (b) {\n#endif\n\t\tuse(a);\n\t}\n}\n",
    "split condition": b"void f(void)\n{\n\tif (a &&\n#ifdef A\n\t    b &&\n#endif\n\t    c)\n\t\tuse(a);\n}\n",
    "conditional initialiser": b"int x[] = {\n#ifdef A\n\t1,\n#endif\n\t2\n};\n",
    "pasted strings": b'void f(void)\n{\n\tprintk(KERN_INFO PFX "a" STR(B) "c", 1);\n}\n',
    "operations without commas": b"const struct ops a = {\n\tSET_FOO_OPS(a, b)\n\tSET_BAR_OPS(c, d)\n};\n",
    "statements as arguments": b"void f(void)\n{\n\twait_msec(dev, 20,\n\t\tif (done(dev))\n\t\t\tbreak;\n\t);\n}\n",
    "jumps as arguments": b'void f(void)\n{\n\tCHECK(g(), "no", goto out);\n\tCHECK(a, return);\nout:\n\th();\n}\n',
    "define in a list": b"int a[] = {\n\t1,\n#define B 2\n\tB,\n};\n",
    "machine": b'MACHINE_START(FOO, "Foo board")\n\t.init = foo_init,\nMACHINE_END\n',
}


def functions(parsed: Parsed) -> list[str]:
    """The names of all function definitions."""
    names: list[str] = []
    stack: list[Node] = [parsed.tree.root_node]
    while stack:
        node = stack.pop()
        if node.type == "function_definition":
            name: Node | None = node.child_by_field_name("declarator")
            while name is not None and name.type != "identifier":
                name = name.child_by_field_name("declarator") or name.named_child(0)
            assert name is not None
            names.append(parsed.data[name.start_byte : name.end_byte].decode())
        stack.extend(reversed(node.children))
    return names


def identifiers(parsed: Parsed) -> set[str]:
    found: set[str] = set()
    stack = [parsed.tree.root_node]
    while stack:
        node = stack.pop()
        if node.type.endswith("identifier"):
            found.add(parsed.data[node.start_byte : node.end_byte].decode())
        stack.extend(node.children)
    return found


@pytest.mark.parametrize("name", CLEAN)
def test_kernel_c_parses_without_errors(name: str) -> None:
    assert not parse(CLEAN[name]).has_error
    assert not parse_compact(CLEAN[name]).root_node.has_error


@pytest.mark.parametrize("name", CLEAN)
def test_masking_keeps_every_offset_and_line(name: str) -> None:
    data = CLEAN[name]
    masked = parse(data).masked
    assert [len(line) for line in masked.split(b"\n")] == [len(line) for line in data.split(b"\n")]


@pytest.mark.parametrize("name", ["loop", "loop with a blank", "loop without braces", "block macro", "split brace"])
def test_macros_with_a_block_are_not_functions(name: str) -> None:
    assert functions(parse(CLEAN[name])) == ["f"]


def test_a_syscall_is_a_function_with_its_name_and_parameters() -> None:
    parsed = parse(CLEAN["syscall"])
    assert functions(parsed) == ["foo"]
    assert {"name", "flags"} <= identifiers(parsed)
    assert functions(parse(CLEAN["syscall without arguments"])) == ["foo"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("loop", {"pos", "head", "member"}),
        ("type arguments", {"container_of", "foo", "bar", "va_arg", "a", "b"}),
        ("per cpu", {"counters", "foo"}),
        ("variable macro", {"SIMPLE_DEV_PM_OPS", "foo_pm", "foo_suspend", "foo_resume"}),
        ("member macros", {"used", "x", "y"}),
        ("tracepoint", {"TRACE_EVENT", "foo"}),
        ("no semicolon", {"ACPI_EXPORT_SYMBOL", "foo"}),
        ("operations without commas", {"SET_FOO_OPS", "a", "b", "SET_BAR_OPS", "c", "d"}),
    ],
)
def test_arguments_of_macros_stay_in_the_tree(name: str, words: set[str]) -> None:
    assert words <= identifiers(parse(CLEAN[name]))


def test_masking_does_not_change_ordinary_c() -> None:
    data = b"int bus_for_each_dev(int (*fn)(struct device *, void *))\n{\n\treturn list_for_each(fn);\n}\n" + (
        b"#define for_each_foo(x) for (x = 0; x; x++)\n#ifdef A\nint x;\n#else\nint y;\n#endif\n"
    )
    assert mask(data) == data


def test_the_end_of_a_conditional_expression_is_not_a_bit_field() -> None:
    data = b"void f(void)\n{\n\tx = a ?\n\t\tB : 0;\n}\n"
    assert mask(data) == data


def test_binary_data_has_an_empty_tree() -> None:
    assert parse(b"\x7fELF\0\0" + b"int f(void) {}\n").tree.root_node.child_count == 0


TOKENS = st.sampled_from(
    [
        *CLEAN.values(),
        *(b"(", b")", b"{", b"}", b";", b",", b"\n", b'"', b"'", b"/*", b"*/", b"\\\n", b"..."),
        *(b"#if A\n", b"#else\n", b"#endif\n", b"__init ", b"for_each_x(a", b"SYSCALL_DEFINE3(", b"struct_group("),
        *(b"TRACE_EVENT(", b"static FOO(a, ", b"\nFOO(", b"\xe9\0"),
    ]
)
TEXTS = st.lists(st.one_of(TOKENS, st.binary(max_size=8)), max_size=12).map(b"".join)


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_any_bytes_parse_in_place(data: bytes) -> None:
    parsed = parse(data)
    assert len(parsed.masked) == len(data)
    assert [i for i, c in enumerate(parsed.masked) if c in b"\r\n"] == [i for i, c in enumerate(data) if c in b"\r\n"]


@given(TEXTS, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2), TEXTS), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_reparse_equals_a_fresh_parse(data: bytes, edits: list[tuple[float, float, bytes]]) -> None:
    parsed = parse(data)
    for where, share, new in edits:
        start = int(where * len(data))
        data = data[:start] + new + data[start + int(share * len(data)) :]
        parsed = parse(data, parsed)
        fresh = parse(data)
        assert parsed.masked == fresh.masked
        assert str(parsed.tree.root_node) == str(fresh.tree.root_node)
