"""Which text of a file and its headers the preprocessor lets through."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.directives import directives_of
from kexpert.core.c.translation_unit import MacroTable, TranslationUnit, translation_unit
from kexpert.core.c.walk_steps import steps_of
from tests.support.fixture_text import cut_marks, files_of

OPTIONS = {"ON": "y", "OFF": "n"}


def walk(fixture: str) -> tuple[TranslationUnit, dict[str, bool | None]]:
    """The walk through main.c, and the state of each mark."""
    files, marks = cut_marks(files_of(fixture))

    def find(path: str, name: str, quoted: bool) -> str | None:
        return name if name in files else None

    macros = MacroTable(OPTIONS.get, {})
    steps = {path: steps_of(len(data), directives_of(data)) for path, data in files.items()}
    unit = translation_unit("main.c", steps["main.c"], steps.get, find, macros)
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
    steps = steps_of(len(data), directives_of(data))
    unit = translation_unit("a.c", steps, lambda _: steps, lambda *_: "a.c", MacroTable(OPTIONS.get, {}))
    assert unit.state("a.c", len(data), len(data)) in (True, False, None)
    assert all(0 <= each.start < len(data) for each in directives_of(data))


_MACRO = st.sampled_from(["A", "B", "CONFIG_ON", "CONFIG_OFF"])
_LINE = st.sampled_from(["int x;", "#define A", "#define B", "#undef A", '#include "one.h"', '#include "two.h"'])


def _group(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    begin = st.builds(lambda word, name: f"#{word} {name}", st.sampled_from(["ifdef", "ifndef"]), _MACRO)
    branch = st.builds(lambda name, lines: [f"#elif defined({name})", *lines], _MACRO, inner)
    rest = st.builds(lambda lines: ["#else", *lines], inner) | st.just([])
    return st.builds(lambda a, b, c, d: [a, *b, *c, *d, "#endif"], begin, inner, branch | st.just([]), rest)


_BLOCK = st.lists(_LINE, max_size=5)
_LINES = st.recursive(
    _BLOCK, lambda inner: st.lists(_group(inner) | _BLOCK, max_size=4).map(lambda parts: list(chain(*parts))),
    max_leaves=20,
)


def _seen(files: dict[str, list[str]]) -> dict[str, set[int]]:
    """The lines of text that a preprocessor lets through, by file: line for line, without a thought of speed."""
    defined = {"CONFIG_ON"}
    seen: dict[str, set[int]] = {path: set() for path in files}

    def read(path: str) -> None:
        groups: list[tuple[bool, bool]] = []  # (this branch is compiled, one was)
        for number, line in enumerate(files[path]):
            word, name = (*line.replace("defined(", "").replace(")", "").split(), "")[:2]
            outer = all(compiled for compiled, _ in groups[:-1])
            if word in ("#ifdef", "#ifndef"):
                holds = (name in defined) is (word == "#ifdef")
                groups.append((holds, holds))
            elif word in ("#elif", "#else"):
                taken = groups[-1][1]
                holds = not taken and (word == "#else" or name in defined)
                groups[-1] = (holds, taken or holds)
            elif word == "#endif":
                groups.pop()
            elif outer and all(compiled for compiled, _ in groups):
                if word == "#include":
                    read(name.strip('"'))
                elif word in ("#define", "#undef"):
                    (defined.add if word == "#define" else defined.discard)(name)
                else:
                    seen[path].add(number)

    read("main.c")
    return seen


@given(_LINES, _LINES, _LINES, st.booleans())
def test_the_walk_compiles_what_a_plain_preprocessor_does(
    main: list[str], one: list[str], two: list[str], guarded: bool
) -> None:
    two = [line for line in two if "#include" not in line]
    one = [line for line in one if line != '#include "one.h"']
    if guarded:
        two = ["#ifndef TWO_H", "#define TWO_H", *two, "#endif"]
    lines = {"main.c": main, "one.h": one, "two.h": two}
    files = {path: "\n".join(each).encode() for path, each in lines.items()}
    steps = {path: steps_of(len(data), directives_of(data)) for path, data in files.items()}
    find = {"one.h": "one.h", "two.h": "two.h"}
    unit = translation_unit(
        "main.c", steps["main.c"], steps.get, lambda _path, name, _quoted: find[name], MacroTable(OPTIONS.get, {})
    )
    if any(len(file.walks) >= 12 for file in unit.files.values()):
        return  # no more visits are followed
    for path, seen in _seen(lines).items():
        at = 0
        for number, line in enumerate(lines[path]):
            if line == "int x;" and path in unit.files:
                assert unit.state(path, at, len(files[path])) is (number in seen), (path, number)
            at += len(line) + 1


def test_what_is_read_later_is_greater() -> None:
    files = {
        "main.c": "#include <a.h>\n#include <b.h>\nint x;\n",
        "a.h": "#define M 1\n#include <c.h>\n#define M 3\n",
        "b.h": "#define M 4\n#ifdef CONFIG_OFF\n#define M 5\n#endif\n",
        "c.h": "#define M 2\n",
    }
    unit, _ = walk("".join(f"//- {path}\n{text}" for path, text in files.items()))
    first, third = files["a.h"].index("#define"), files["a.h"].rindex("#define")
    read = [unit.read_at("a.h", first), unit.read_at("c.h", 0), unit.read_at("a.h", third), unit.read_at("b.h", 0)]
    assert read == sorted(read)
    assert len(set(read)) == len(read)
    assert unit.read_at("b.h", files["b.h"].rindex("#define")) == ()
    assert unit.read_at("other.h", 0) == ()
