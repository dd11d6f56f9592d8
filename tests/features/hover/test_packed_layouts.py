"""Sizes of structs whose layout something outside their braces decides. The sizes are those of gcc."""

from __future__ import annotations

import pytest

from kexpert.features.hover.card import RestructuredText
from kexpert.features.hover.hover import hover
from tests.support.memory_view import at_cursor

HEADER = """\
//- include/linux/toy.h
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
#define __toy_packed __attribute__((packed))
#define TOY_ALIGN __attribute__((aligned(16)))
struct tail { u8 a; u16 b; u8 c; } __packed;
struct aligned_tail { u8 a; u32 b; } __aligned(32);
struct own_word { u8 a; u32 b; } __toy_packed;
struct TOY_ALIGN own_head { u8 a; u32 b; };
typedef struct { u8 a; u32 b; } __packed packed_t;
struct holder { u8 a; packed_t b; };
#pragma pack(push, 2)
struct two { u8 x; u32 y; u64 z; struct { u8 p; u32 q; } in; };
struct bits { u8 x; u32 f:30; u32 g:10; u8 z; };
#pragma pack(pop)
struct plain { u8 a; u32 b; };
#pragma pack(1)
struct one { u8 x; u32 f:30; u32 g:10; u8 z; };
struct raised { u8 x; u32 y __aligned(8); };
#pragma pack()
struct after { u8 a; u32 b; };
typedef struct after after_t;
typedef struct after *after_p;
//- drivers/toy.c
#include <linux/toy.h>
"""


@pytest.mark.parametrize(
    ("name", "size", "align"),
    [
        ("struct tail", 4, 1), ("struct aligned_tail", 32, 32), ("struct own_word", 5, 1), ("struct own_head", 16, 16),
        ("struct holder", 6, 1), ("struct two", 20, 2), ("struct bits", 8, 2), ("struct plain", 8, 4),
        ("struct one", 7, 1), ("struct raised", 5, 1), ("struct after", 8, 4), ("after_t", 8, 4),
    ],
)  # fmt: skip
def test_size_and_alignment(name: str, size: int, align: int) -> None:
    start, last = name[:-1], name[-1]
    card = hover(*at_cursor(f"{HEADER}{start}/*|*/{last} *it;\n"))
    assert card is not None
    assert card.layout is not None
    assert (card.layout.size, card.layout.align, card.layout.exact) == (size, align, True)


def test_a_typedef_of_a_pointer_has_no_layout() -> None:
    card = hover(*at_cursor(HEADER + "after_/*|*/p it;\n"))
    assert card is not None
    assert card.layout is None


NESTED = """\
//- include/linux/toy.h
/**
 * struct toy - documented
 * @x: the outer x
 * @sub: nested
 * @sub.x: the nested x
 */
struct toy {
	struct {
		int x;
	} sub;
	/* private: */
	int hidden;
	int x;
};
//- drivers/toy.c
#include <linux/toy.h>
int f(struct toy *toy) { return toy->sub.CURSOR_X + toy->CURSOR_HIDDEN; }
"""


def test_a_nested_member_has_its_own_text_and_owner() -> None:
    card = hover(*at_cursor(NESTED.replace("CURSOR_X", "/*|*/x").replace("CURSOR_HIDDEN", "hidden")))
    assert card is not None
    assert (card.owner, card.documentation) == ("struct toy.sub", (RestructuredText("the nested x"),))


def test_private_is_no_documentation() -> None:
    card = hover(*at_cursor(NESTED.replace("CURSOR_X", "x").replace("CURSOR_HIDDEN", "hid/*|*/den")))
    assert card is not None
    assert card.documentation == ()
