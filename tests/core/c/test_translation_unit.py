"""Which text of a file and its headers the preprocessor lets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.directives import directives_of
from kexpert.core.c.translation_unit import MacroTable, TranslationUnit, translation_unit
from tests.support.fixture_text import cut_marks, files_of

OPTIONS = {"ON": "y", "OFF": "n"}


def walk(fixture: str) -> tuple[TranslationUnit, dict[str, bool | None]]:
    """The walk through main.c, and the state of each mark."""
    files, marks = cut_marks(files_of(fixture))

    def find(path: str, name: str, quoted: bool) -> str | None:
        return name if name in files else None

    macros = MacroTable(OPTIONS.get, {})
    unit = translation_unit("main.c", files["main.c"], files.get, find, macros)
    return unit, {mark: unit.state(path, at, len(files[path])) for mark, (path, at) in marks.items()}


@pytest.mark.parametrize(
    ("fixture", "expected"),
    [
        ("#ifdef CONFIG_ON\n/*|a*/int x;\n#else\n/*|b*/int y;\n#endif\n/*|c*/int z;\n",
         {"a": True, "b": False, "c": True}),
        ("#if defined(CONFIG_OFF)\n/*|a*/a\n#elif 1\n/*|b*/b\n#elif 1\n/*|c*/c\n#else\n/*|d*/d\n#endif\n",
         {"a": False, "b": True, "c": False, "d": False}),
        ("#ifdef CONFIG_WHO\n/*|a*/a\n#else\n/*|b*/b\n#endif\n/*|c*/c\n", {"a": None, "b": None, "c": True}),
        ("#ifdef CONFIG_WHO\n#define M\n#endif\n#ifdef M\n/*|a*/a\n#endif\n", {"a": None}),
        ("#ifdef CONFIG_OFF\n#ifdef CONFIG_WHO\n/*|a*/a\n#else\n/*|b*/b\n#endif\n#endif\n", {"a": False, "b": False}),
        ("#define M 3\n#if M > 2\n/*|a*/a\n#endif\n#undef M\n#ifdef M\n/*|b*/b\n#endif\n", {"a": True, "b": False}),
        ("/*\n#ifdef CONFIG_OFF\n*/\n/*|a*/a\n", {"a": True}),
        ("#if 0\n/*|a*/a\n#endif\n#if \\\n 1 /* x */\n/*|b*/b\n#endif\n", {"a": False, "b": True}),
    ],
    ids=["ifdef", "elif", "unknown", "macro that may be defined", "nested in what is not compiled", "macros",
         "comment", "continuation"],
)  # fmt: skip
def test_branches_are_compiled_or_not(fixture: str, expected: dict[str, bool | None]) -> None:
    assert walk("//- main.c\n" + fixture)[1] == expected


def test_headers_count_as_they_are_included() -> None:
    unit, states = walk("""\
//- main.c
#include "first.h"
#ifdef CONFIG_OFF
#include "never.h"
#endif
#include MACRO_NAME
//- first.h
#ifndef FIRST
#define FIRST
#include "first.h"
#define CHOSEN
#include "second.h"
#define MACRO_NAME "third.h"
/*|first*/int a;
#endif
//- second.h
#ifdef CHOSEN
/*|chosen*/int b;
#else
/*|other*/int b;
#endif
//- never.h
/*|never*/int c;
//- third.h
/*|third*/int d;
""")
    assert states == {"first": True, "chosen": True, "other": False, "never": None, "third": True}
    assert "never.h" not in unit.files
    assert unit.complete


def test_a_header_read_twice_is_compiled_if_one_reading_compiles_it() -> None:
    _, states = walk("""\
//- main.c
#include "steps.h"
#define STEP
#include "steps.h"
//- steps.h
#ifdef STEP
/*|later*/int a;
#endif
""")
    assert states == {"later": True}


def test_a_file_of_another_size_says_nothing() -> None:
    unit, _ = walk("//- main.c\n#if 0\nint x;\n#endif\n")
    assert unit.state("main.c", 8, 1) is None
    assert unit.state("nowhere.h", 0, 0) is None


def test_headers_that_include_each_other_end() -> None:
    unit, _ = walk('//- main.c\n#include "a.h"\n//- a.h\n#include "b.h"\n//- b.h\n#include "a.h"\n#include "b.h"\n')
    assert set(unit.files) == {"main.c", "a.h", "b.h"}


@given(st.binary(max_size=200) | st.lists(st.sampled_from(
    [b"#if 1\n", b"#else\n", b"#elif X\n", b"#endif\n", b"#define X 1\n", b"#undef X\n", b"/*", b"*/", b"\\\n", b"#"]
)).map(b"".join))  # fmt: skip
def test_any_bytes_can_be_walked(data: bytes) -> None:
    unit = translation_unit("a.c", data, lambda _: data, lambda *_: "a.c", MacroTable(OPTIONS.get, {}))
    assert unit.state("a.c", len(data), len(data)) in (True, False, None)
    assert all(0 <= each.start < len(data) for each in directives_of(data))
