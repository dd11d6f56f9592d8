"""Struct layouts, compared with those of the compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.layout import Layout, layout
from kexpert.core.c.sizes import Size, evaluate
from tests.support.complexity import assert_linear

PRELUDE = """
#include <stddef.h>
#include <stdio.h>
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long u64;
typedef signed int s32; typedef u16 __le16; typedef u32 __be32;
#define __packed __attribute__((packed))
#define __aligned(x) __attribute__((aligned(x)))
#define __user
#define __counted_by(x)
#define DECLARE_BITMAP(name, bits) unsigned long name[((bits) + 63) / 64]
#define DECLARE_FLEX_ARRAY(T, N) struct { struct { } e_##N; T N[]; }
#define struct_group(NAME, ...) union { struct { __VA_ARGS__ }; struct { __VA_ARGS__ } NAME; }
#define struct_group_attr(NAME, A, ...) union { struct { __VA_ARGS__ } A; struct { __VA_ARGS__ } A NAME; }
struct list_head { struct list_head *next, *prev; };
enum colour { RED, GREEN };
#define COUNT 3
#define BITS_PER_LONG 64
struct inner { u8 a; u32 b; u16 c; };
union either { u64 wide; u8 bytes[12]; };
"""

STRUCTS = {
    "plain": "{ char a; int b; short c; long d; char e; }",
    "several": "{ u8 a, *b, c[3], *d[2]; const char *e; }",
    "words": "{ unsigned a; long unsigned int b; unsigned char c; long long d; signed short e; _Bool f; double g; }",
    "functions": "{ int (*open)(struct inner *i, int (*cb)(void *)); void (*table[4])(int); u8 x; int *(*f)(void); }",
    "arrays": "{ u8 a[COUNT]; u16 b[COUNT * 2 + 1]; u32 c[2][3]; char d[sizeof(struct inner)]; u8 e[1 << 2]; }",
    "others": "{ struct inner i; u8 x; union either u; struct list_head l; enum colour k; struct inner n[2]; u8 y; }",
    "anonymous": "{ u8 a; union { u32 b; struct { u8 c; u64 d; }; }; u8 e; struct { u16 f; u8 g; } h; u8 z; }",
    "bits": "{ u32 a:3, b:5; u32 c:25; u8 d:1; u8 e:7; u16 f:9; u64 g:40; u32 :0; u32 h:1; u8 i; }",
    "bits_tight": "{ u8 x; u32 a:20; u32 b:10; u64 c:33; int d:1; u8 e:4, f:4; u16 :5; u16 g:12; }",
    "packed": "{ u8 a; u32 b; u64 c; u16 d:3; u16 e:14; u8 f; struct inner i; } __packed",
    "packed_field": "{ u8 a; u32 b __packed; u8 c; u64 d __attribute__((packed)); }",
    "aligned": "{ u8 a; u8 b __aligned(16); u32 c; } __attribute__((aligned(32)))",
    "aligned_inner": "{ u8 a; struct { u8 x; } __aligned(8) b; u8 c; struct { u8 y; } d __aligned(8); u8 e; }",
    "aligned_packed": "{ u8 a; u32 b; u64 c __aligned(4); struct { u16 q; u32 r; } s; } __packed __aligned(4)",
    "head": " __packed { u8 a; u32 b; }",
    "flexible": "{ u16 n; struct inner list[] __counted_by(n); }",
    "zero": "{ u8 a; u64 b[0]; u8 c; }",
    "group": "{ u8 a; struct_group(mid, u32 b; u8 c; struct { u8 y; u64 z; } in;); u8 d; }",
    "group_packed": "{ u8 a; struct_group_attr(mid, __packed, u32 b; u8 c;); u8 d; }",
    "macros": "{ u8 a; DECLARE_BITMAP(map, 70); u8 b; u16 n; DECLARE_FLEX_ARRAY(u32, tail); }",
    "defines": "{\n u8 a;\n#define FLAG \\\n  1\n/* c; */ u32 b; // d;\n}",
    "conditions": "{ u8 a;\n#if BITS_PER_LONG == 64\nu64 b;\n#else\nu32 b, c;\n#endif\n#if 0\nu8 no;\n#endif\nu8 d; }",
    "nested_enum": "{ u8 a; enum { ONE, TWO } b; struct tag { u8 q; } c; struct unused { u64 x; }; u8 d; }",
    "union_kind": "{ u8 a; u64 b; u8 c[17]; struct { u32 d; u32 e; }; }",
}


def known_size(name: str) -> Size | None:
    return {"struct inner": Size(12, 4), "union either": Size(16, 8)}.get(name)


def lay_out(text: str, kind: str = "struct") -> Layout:
    return layout(text.encode(), kind, known_size, {"COUNT": 3, "BITS_PER_LONG": 64}.get)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """offsetof and sizeof of everything in STRUCTS, by the compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder: Path = tmp_path_factory.mktemp("layout")
    source = [PRELUDE]
    prints = []
    for name, text in STRUCTS.items():
        kind = "union" if name == "union_kind" else "struct"
        front, _, rest = text.partition("{")
        source.append(f"{kind} {front} t_{name} {{{rest};" if front.strip() else f"{kind} t_{name} {text};")
        prints.append(f'printf("{name} %zu\\n", sizeof({kind} t_{name}));')
        prints.append(f'printf("{name}! %zu\\n", _Alignof({kind} t_{name}));')
        prints += [
            f'printf("{name}.{each.name} %zu\\n", offsetof({kind} t_{name}, {each.name}));'
            for each in lay_out(text, kind).fields
            if each.name and each.bit_width is None
        ]
    source.append("int main(void) {" + "\n".join(prints) + " return 0; }")
    (folder / "a.c").write_text("\n".join(source))
    subprocess.run([compiler, "-w", "-o", str(folder / "a"), str(folder / "a.c")], check=True)
    out = subprocess.run([str(folder / "a")], check=True, capture_output=True, text=True).stdout
    return {name: int(value) for name, value in (line.split() for line in out.splitlines())}


@pytest.mark.parametrize("name", STRUCTS)
def test_layout_agrees_with_the_compiler(name: str, compiled: dict[str, int]) -> None:
    laid = lay_out(STRUCTS[name], "union" if name == "union_kind" else "struct")
    assert laid.exact
    expected = {key.partition(".")[2]: value for key, value in compiled.items() if key.startswith(name + ".")}
    assert {f.name: f.offset for f in laid.fields if f.name and f.bit_width is None} == expected
    assert (laid.size, laid.align) == (compiled[name], compiled[name + "!"])


def test_every_member_has_one_field() -> None:
    names = [f.name for f in lay_out(STRUCTS["anonymous"]).fields]
    assert names == ["a", "", "b", "", "c", "d", "e", "h", "h.f", "h.g", "z"]


def test_holes_and_padding() -> None:
    laid = lay_out("{ u8 a; u64 b; u32 c; }")
    assert (laid.holes, laid.padding, laid.size) == ([(1, 7)], 4, 24)


def test_places_of_bit_fields() -> None:
    laid = lay_out("{ u8 x; u32 a:20; u32 b:10; u32 :0; u32 c:1; }")
    assert [(f.name, f.offset, f.bit_offset, f.bit_width) for f in laid.fields[1:]] == [
        ("a", 0, 8, 20),
        ("b", 4, 0, 10),
        ("c", 8, 0, 1),
    ]


def test_offsets_after_a_configurable_size_are_approximate() -> None:
    laid = lay_out("{ u64 a; spinlock_t lock; u64 b; }")
    assert [(f.offset, f.exact) for f in laid.fields] == [(0, True), (8, False), (16, False)]
    assert laid.fields[1].offset_exact and not laid.exact and laid.size == 24
    laid = lay_out("{ u64 a;\n#ifdef CONFIG_X\nu64 b;\n#else\nu8 never;\n#endif\nu64 c; }")
    assert [(f.name, f.offset, f.exact) for f in laid.fields] == [("a", 0, True), ("b", 8, False), ("c", 16, False)]


def test_offsets_after_an_unknown_size_are_unknown() -> None:
    laid = lay_out("{ u32 a; struct mystery m; u32 b; struct mystery *p; }")
    assert [(f.offset, f.size) for f in laid.fields] == [(0, 4), (None, None), (None, 4), (None, 8)]
    assert laid.size is None and not laid.exact
    for text in ("{ u8 a[WHO_KNOWS]; }", "{ DECLARE_KFIFO(f, u8, 4); }", "{ u8 a __aligned(WHO); }", "no body"):
        assert not lay_out(text).exact


def test_the_inner_struct_before_a_lock_stays_exact() -> None:
    laid = lay_out("{ struct { u32 a; spinlock_t l; u32 b; } s; u8 z; }")
    assert [f.name for f in laid.fields if f.offset_exact] == ["s", "s.a", "s.l"]
    assert [f.name for f in laid.fields if not f.offset_exact] == ["s.b", "z"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3 * (4 + COUNT)", 21),
        ("0x10UL >> 1", 8),
        ("010", 8),
        ("sizeof(struct inner) / 4", 3),
        ("sizeof(void *)", None),
        ("-1", -1),
        ("1 / 0", None),
        ("1 << 5000", None),
        ("f(3)", None),
        ("", None),
        ("(" * 299, None),
        ("1" + "0" * 298, None),
    ],
)
def test_constant_expressions(text: str, value: int | None) -> None:
    assert evaluate(text, known_size, {"COUNT": 3}.get) == value


@given(
    st.binary()
    | st.lists(st.sampled_from(["{", "}", "(", ")", ";", "int a", "struct", ":3", "[2]", ",", "#if X\n", "*"])).map(
        lambda parts: ("{" + " ".join(parts) + "}").encode()
    )
)
def test_any_bytes_raise_no_error(data: bytes) -> None:
    layout(data, "struct", known_size)


@pytest.mark.parametrize(
    "piece", ["struct {", "union { int a; } x;", "(", "a ", "__aligned(", "int a:1;", "#if A\n", "a,"]
)
def test_repetition_takes_linear_time(piece: str) -> None:
    assert_linear(lambda size: layout(("{" + piece * size + "}").encode(), "struct", known_size))
