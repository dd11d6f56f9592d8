"""Layouts that options, macros and other files decide. The sizes are those of gcc."""

from __future__ import annotations

import pytest

from kexpert.core.c.layout import Layout
from kexpert.core.kernel.configuration import Configuration
from kexpert.features.hover.hover import hover
from kexpert.render.hover_card import layout_table
from tests.support.memory_view import at_cursor

TREE = """\
//- include/linux/base.h
#ifndef _BASE_H
#define _BASE_H
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
#define SHIFT 6
#define LINE_BYTES (1 << SHIFT)
#define ____cacheline_aligned __attribute__((__aligned__(LINE_BYTES)))
#ifdef CONFIG_SMP
#define ____cacheline_aligned_in_smp ____cacheline_aligned
#else
#define ____cacheline_aligned_in_smp
#endif
#ifdef CONFIG_ALIGNED
#define _toy_alignment __attribute__((aligned(16)))
#else
#define _toy_alignment
#endif
#endif
//- include/linux/toy.h
#include <linux/base.h>
#ifdef CONFIG_DEBUG
typedef struct { u32 raw; u32 magic; void *owner; } toy_lock_t;
#else
typedef struct { u32 raw; } toy_lock_t;
#endif
struct locked { toy_lock_t lock; u8 state; };
struct optional { u8 a;
#ifdef CONFIG_DEBUG
	u64 extra;
#endif
	u8 b; };
#if defined(CONFIG_SMP) && !defined(CONFIG_DEBUG)
#define TOY_SLOTS 5
#else
#define TOY_SLOTS 9
#endif
struct slots { u16 slot[TOY_SLOTS]; };
struct line { u8 a; u32 b ____cacheline_aligned_in_smp; };
struct raised { u64 a; u8 b; } _toy_alignment;
union either { u8 a;
#ifdef CONFIG_DEBUG
	u64 b;
#endif
};
#if TOY_SLOTS > 7
#pragma pack(1)
#else
#pragma pack(2)
#endif
struct squeezed { u8 a; u32 b; };
#pragma pack()
#define TOY_ROUND_UP __TOY_ROUND_UP
#define __TOY_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define TOY_KEYS (sizeof(struct locked) / sizeof(u32))
struct counted { u8 bits[TOY_ROUND_UP(10, sizeof(u32))]; u32 keys[TOY_KEYS]; u8 up[__alignof__(u64) * 2]; };
enum numbers { ZERO, ONE,
#define ONE_MORE ONE
	TWO, COUNT };
struct numbered { u8 it[COUNT]; };
enum small { S_A, S_B } __attribute__((packed));
enum wide { W_A = 1ULL << 40 };
struct enums { u8 a; enum numbers n; };
struct packed_enum { u8 a; enum small s; };
typedef char toy_id[8];
typedef enum { IDLE, BUSY } toy_state;
typedef u64 low_u64 __attribute__((aligned(4)));
struct typedefs { toy_id id; u8 a; toy_state state; u8 b; low_u64 low; };
struct spelled { u8 a; u32 b; } __attribute__((__packed__));
struct shorter { u8 a; u32 b; } __attribute((packed));
#define TOY_HEADER u8 type; u16 length;
#define TOY_EXTRA u32 extra;
struct headed { TOY_HEADER TOY_EXTRA u8 tail; };
struct only_header {
	TOY_HEADER	/* a comment */
};
#define TOY_MEMBER(T, name) T name;
#define TOY_EACH(each) each(u8, first) each(u32, second)
struct each { TOY_EACH(TOY_MEMBER); };
#define TOY_STAT(type, name) __typeof__(type) *name
#define TOY_FIFO(type) struct { type *at; type buf[4]; }
struct made { TOY_STAT(struct locked, stat); TOY_FIFO(u16) fifo; };
#define old_name locked
struct renamed { struct old_name it; };
//- include/linux/more_toys.h
#include <linux/toy.h>
#define _AC(number, suffix) number##suffix
#define TOY_PAGE (_AC(1, UL) << 12)
#if 65536 / TOY_PAGE > 8
#define TOY_FRAGS 3
#else
#define TOY_FRAGS 30
#endif
struct frags { u32 frag[TOY_FRAGS]; };
#define TOY_ALIGN(x, a) (((x) + (__typeof__(x))(a) - 1) & ~((__typeof__(x))(a) - 1))
struct rounded { u8 bytes[TOY_ALIGN(13, sizeof(u64))]; };
#ifdef CONFIG_DEBUG
#define DEBUG_EVENT(x) x##_DEBUG,
#else
#define DEBUG_EVENT(x)
#endif
#define ALL_EVENTS(x) DEBUG_EVENT(x) x##_READ, x##_WRITE
enum events { FIRST_EVENT, ALL_EVENTS(TOY), EVENTS };
struct events_of { u8 count[EVENTS]; };
struct zones { u8 zone[MAX_ZONES]; };
enum zone_names { ZONE_LOW, ZONE_HIGH, __MAX_ZONES };
//- kernel/bounds.c
#include <linux/more_toys.h>
int main(void)
{
#ifdef CONFIG_DEBUG
	DEFINE(MAX_ZONES, 7);
#else
	DEFINE(MAX_ZONES, __MAX_ZONES);
#endif
	return 0;
}
//- drivers/other/private.c
struct hidden { u8 a; };
//- drivers/toy.c
#include <linux/more_toys.h>
struct user { struct hidden h; };
"""
OPTIONS = {"SMP": "y", "ALIGNED": "y", "DEBUG": "n"}


def layout_at(tree: str, values: dict[str, str] | None = None) -> Layout:
    view, source, offset = at_cursor(tree)
    if values is not None:
        view.configuration = Configuration("x86", values, complete=True, origin=".config")
    card = hover(view, source, offset)
    assert card is not None
    assert card.layout is not None
    return card.layout


def layout_named(name: str, values: dict[str, str] | None = None) -> Layout:
    return layout_at(f"{TREE}{name[:-1]}/*|*/{name[-1]} *it;\n", values)


@pytest.mark.parametrize(
    ("name", "size", "align"),
    [
        ("struct locked", 8, 4), ("struct optional", 2, 1), ("struct slots", 10, 2), ("struct line", 128, 64),
        ("struct raised", 16, 16), ("union either", 1, 1), ("struct squeezed", 6, 2), ("struct counted", 28, 4),
        ("struct numbered", 3, 1), ("struct enums", 8, 4), ("struct packed_enum", 2, 1), ("struct typedefs", 28, 4),
        ("struct spelled", 5, 1), ("struct headed", 12, 4), ("struct only_header", 4, 2), ("struct each", 8, 4),
        ("struct made", 24, 8), ("struct renamed", 8, 4), ("struct frags", 12, 4), ("struct rounded", 16, 1),
        ("struct shorter", 5, 1), ("struct events_of", 3, 1), ("struct zones", 2, 1),
    ],
)  # fmt: skip
def test_a_layout_is_that_of_the_configuration(name: str, size: int, align: int) -> None:
    found = layout_named(name, OPTIONS)
    assert (found.size, found.align, found.exact) == (size, align, True)
    assert "~" not in layout_table(found, 100)


def test_another_configuration_gives_another_layout() -> None:
    found = layout_named("struct optional", {"DEBUG": "y"})
    assert [(each.name, each.offset) for each in found.fields] == [("a", 0), ("extra", 8), ("b", 16)]
    assert layout_named("struct locked", {"DEBUG": "y"}).size == 24


def test_a_layout_names_the_configuration_that_decided_it() -> None:
    assert layout_table(layout_named("struct optional", OPTIONS), 9).endswith("options of .config (x86) */")
    assert "options" not in layout_table(layout_named("struct headed", OPTIONS), 9)


@pytest.mark.parametrize("name", ["struct locked", "struct optional", "struct slots", "union either"])
def test_without_a_configuration_what_options_decide_is_approximate(name: str) -> None:
    assert not layout_named(name).exact


def test_an_enumeration_is_as_wide_as_its_values() -> None:
    tree = TREE + "struct held { u8 a; enum wide w; };\nstruct hel/*|*/d *it;\n"
    assert (layout_at(tree, OPTIONS).size, layout_at(tree, OPTIONS).exact) == (16, True)
    unknown = TREE + "enum open { A = 1ULL << UNKNOWN };\nstruct held { enum open w; };\nstruct hel/*|*/d *it;\n"
    assert not layout_at(unknown, OPTIONS).exact


def test_a_struct_of_another_c_file_is_not_meant() -> None:
    assert layout_named("struct user", OPTIONS).size is None


@pytest.mark.parametrize(
    "body",
    [
        "u8 a; u32 b UNKNOWN_ATTRIBUTE;",
        "u32 a; UNKNOWN_PADDING(b); u8 c;",
        "u8 a; UNKNOWN_MEMBERS",
        "u64 a; UNKNOWN_PADDING(b); u8 c;",
    ],
)
def test_a_macro_that_nothing_defines_leaves_the_rest_open(body: str) -> None:
    found = layout_at(f"{TREE}struct open {{ {body} }};\nstruct ope/*|*/n *it;\n", OPTIONS)
    assert not found.exact
    assert not any(each.offset_exact for each in found.fields[1:])


def test_enumerators_that_an_unknown_macro_makes_leave_the_count_open() -> None:
    more = "enum pair { BOTH(P), PAIRS };\nstruct paired { u8 it[PAIRS]; };\n"
    assert layout_at(f"{TREE}{more}struct paire/*|*/d *it;\n", OPTIONS).size is None
