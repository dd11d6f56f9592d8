"""Chunking of files for search."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.extract import extract
from kexpert.core.retrieval.chunk import Chunk, ChunkKind, chunks

DRIVER = """\
// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2020 Somebody <some@body.org>
 *
 * Driver of the widget controller found on several boards of the
 * frob family. One instance serves every bus.
 */

/**
 * struct widget - what is known of one widget
 * @lock: guards the rest
 */
struct widget {
	spinlock_t lock;
	int users;
};

struct opaque;

#define SHORT(x) ((x) + 1)
#define widget_for_each(w, head)				\\
	for ((w) = widget_first(head);				\\
	     (w);						\\
	     (w) = widget_next((w), (head)))

/**
 * widget_get - take a reference
 * @w: the widget
 *
 * Return: the new count
 */
int widget_get(struct widget *w)
{
	/* nobody else may look */
	return ++w->users;
}
EXPORT_SYMBOL(widget_get);

/* Plain words about it. */
static void widget_reset(struct widget *w)
{
	w->users = 0;
	w->lock = 0;
}

#ifdef CONFIG_FROB
int widget_frob(struct widget *w)
{
	return frob(w, 1);
}
#else
static inline int widget_frob(struct widget *w)
{
	return -ENODEV;
}
#endif
"""


def cut(path: str, text: str) -> list[Chunk]:
    return chunks(path, dedent(text).encode())


def only(found: list[Chunk], kind: ChunkKind) -> dict[str, Chunk]:
    return {chunk.name: chunk for chunk in found if chunk.kind is kind}


def test_a_function_has_the_text_of_its_comment() -> None:
    functions = only(cut("drivers/widget.c", DRIVER), ChunkKind.FUNCTION)
    get = functions["widget_get"]
    assert get.summary.split("\n") == ["take a reference", "w: the widget", "the new count"]
    assert get.body.startswith("int widget_get(")
    assert "nobody else" in get.inner and "nobody" not in get.body
    code = DRIVER.encode()[get.start : get.end].decode()
    assert get.body.split() == code.replace("/* nobody else may look */", "").split()
    assert DRIVER.split("\n")[get.line].startswith("int widget_get")
    assert functions["widget_reset"].summary == "Plain words about it."


def test_structs_with_a_body_and_long_macros_are_chunks() -> None:
    found = cut("drivers/widget.c", DRIVER)
    assert list(only(found, ChunkKind.STRUCT)) == ["widget"]
    assert list(only(found, ChunkKind.MACRO)) == ["widget_for_each"]


def test_the_head_of_a_file_has_no_licence_and_no_addresses() -> None:
    (head,) = only(cut("drivers/widget.c", DRIVER), ChunkKind.FILE).values()
    assert head.summary.startswith("Driver of the widget controller")
    assert "SPDX" not in head.summary and "Copyright" not in head.summary


def test_a_stub_of_a_disabled_function_is_no_chunk() -> None:
    found = [chunk for chunk in cut("drivers/widget.c", DRIVER) if chunk.name == "widget_frob"]
    assert ["frob(w, 1)" in chunk.body for chunk in found] == [True]


def test_chunks_are_in_order_with_and_without_given_facts() -> None:
    data = DRIVER.encode()
    found = chunks("drivers/widget.c", data)
    assert found == chunks("drivers/widget.c", data, extract("drivers/widget.c", data))
    assert [chunk.start for chunk in found] == sorted(chunk.start for chunk in found)


def test_the_id_does_not_depend_on_other_parts_of_the_file() -> None:
    before = only(cut("drivers/widget.c", DRIVER), ChunkKind.FUNCTION)
    after = only(cut("drivers/widget.c", DRIVER.replace("++w->users", "w->users++")), ChunkKind.FUNCTION)
    assert before["widget_reset"].id == after["widget_reset"].id
    assert before["widget_get"].id != after["widget_get"].id


def test_two_variants_of_a_name_have_two_ids() -> None:
    text = """\
    #ifdef A
    int pick(void)
    {
    	return one();
    }
    #else
    int pick(void)
    {
    	return other();
    }
    #endif
    """
    found = cut("lib/pick.c", text)
    assert len(found) == len({chunk.id for chunk in found}) == 2


def test_the_same_text_twice_is_one_chunk() -> None:
    twice = "struct pair {\n\tint a, b;\n};\n"
    assert len(cut("lib/pair.h", twice + twice)) == 1


def test_register_headers_have_no_chunks() -> None:
    assert cut("drivers/gpu/drm/amd/include/asic_reg/x_enum.h", "enum x { A, B };\n") == []


def test_a_kconfig_entry_has_prompt_and_help() -> None:
    found = cut(
        "drivers/Kconfig",
        """\
        menu "Widgets"

        config WIDGET
        	tristate "Widget support"
        	depends on PCI
        	help
        	  Say Y if you have widgets.

        config WIDGET_HIDDEN
        	bool

        endmenu
        """,
    )
    assert [(chunk.kind, chunk.name, chunk.line) for chunk in found] == [(ChunkKind.CONFIG, "CONFIG_WIDGET", 2)]
    assert found[0].summary == "Widget support\nSay Y if you have widgets."
    assert found[0].body.split() == ["PCI", "Widgets"]


def test_a_document_is_split_at_its_headings() -> None:
    text = """\
    =======
    Widgets
    =======

    What they are.

    Locking
    -------

    The lock is taken first.
    It is a spinlock.

    Empty
    -----
    """
    found = cut("Documentation/driver-api/widget.rst", text)
    assert [(chunk.name, chunk.line) for chunk in found] == [("Widgets", 1), ("Locking", 6)]
    assert found[1].body == "The lock is taken first.\nIt is a spinlock."
    whole = dedent(text).encode()
    assert whole[found[1].start : found[1].end].startswith(b"Locking\n")


@pytest.mark.parametrize("path", ["Makefile", "tools/notes.txt", "scripts/x.py"])
def test_other_files_have_no_chunks(path: str) -> None:
    assert cut(path, "Title\n=====\n\ntext\n") == []


@given(st.binary(max_size=400), st.sampled_from(["a.c", "b.h", "Kconfig", "Documentation/a.rst"]))
def test_any_bytes_raise_no_error(data: bytes, path: str) -> None:
    for chunk in chunks(path, data):
        assert 0 <= chunk.start <= chunk.end <= len(data)
        assert chunk.id
