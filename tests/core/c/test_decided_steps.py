"""Steps of which conditions on options are decided: a walk with them says what one without them says."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.decided_steps import DecidedSteps, Holds, decide
from kexpert.core.c.directives import directives_of
from kexpert.core.c.translation_unit import MacroTable, TranslationUnit, translation_unit
from kexpert.core.c.walk_steps import ELSE, IF, FileSteps, steps_of

OPTIONS = {"ON": "y", "OFF": "n", "MOD": "m", "OFF_MODULE": "y", "NUMBER": "3"}
_HEADERS = ("a.h", "b.h", "c.h")
_NAMES = ("A", "B", "CONFIG_ON", "CONFIG_OFF", "CONFIG_MOD", "CONFIG_MOD_MODULE", "CONFIG_OFF_MODULE", "CONFIG_WHO",
          "__KERNEL__", "__ASSEMBLY__", "A_H")  # fmt: skip
_CONDITIONS = (*(f"defined({name})" for name in _NAMES), "IS_ENABLED(CONFIG_MOD)", "CONFIG_NUMBER > 2", "0", "1",
               "defined(A) && defined(CONFIG_ON)", "!defined(CONFIG_WHO)", "IS_BUILTIN(CONFIG_OFF) || A")  # fmt: skip
_name, _condition = st.sampled_from(_NAMES), st.sampled_from(_CONDITIONS)
_LINE = st.one_of(
    st.builds("#{} {}".format, st.sampled_from(["ifdef", "ifndef", "define", "undef"]), _name),
    st.builds("#{} {}".format, st.sampled_from(["if", "elif"]), _condition),
    st.sampled_from(["#else", "#endif", "#endif", "int x;"]),
    st.builds('#include "{}"'.format, st.sampled_from(_HEADERS)),
)
_LINES = st.lists(_LINE, max_size=14)


def steps(text: str) -> FileSteps:
    return steps_of(len(text), directives_of(text.encode()))


def walk(files: dict[str, FileSteps], decided: list[str] | None) -> TranslationUnit:
    """The walk through main.c; ``decided`` gets the headers that were decided, None decides none."""

    def decide_one(path: str, file: FileSteps, holds: Holds) -> DecidedSteps:
        assert decided is not None
        decided.append(path)
        return decide(file, holds, lambda name, _: name)

    return translation_unit(
        "main.c", files["main.c"], files.get, lambda _path, name, _quoted: name,
        MacroTable(OPTIONS.get, {}), (), None if decided is None else decide_one,
    )  # fmt: skip


def said(unit: TranslationUnit, files: dict[str, FileSteps]) -> object:
    """All that a walk says, also of the macros after it."""
    states = {
        path: [([*starts], [*counts], [*states]) for starts, counts, states in file.walks]
        for path, file in unit.files.items()
    }
    entries = {path: file.entries for path, file in unit.files.items()}
    return states, entries, [(unit.macros.is_defined(name), unit.macros.text(name)) for name in _NAMES], unit.complete


@given(_LINES, st.tuples(*[st.tuples(_LINES, st.booleans()) for _ in _HEADERS]))
def test_a_walk_with_decided_headers_says_what_a_plain_one_says(
    main: list[str], headers: tuple[tuple[list[str], bool], ...]
) -> None:
    files = {"main.c": steps("\n".join([*main, ""]))}
    for path, (lines, is_guarded) in zip(_HEADERS, headers, strict=True):
        guard = path.replace(".", "_").upper()
        lines = [f"#ifndef {guard}", f"#define {guard}", *lines, "#endif"] if is_guarded else lines
        files[path] = steps("\n".join([*lines, ""]))
    assert said(walk(files, []), files) == said(walk(files, None), files)


def test_conditions_on_options_need_not_be_looked_at_again() -> None:
    text = (
        "#ifndef A_H\n#define A_H\n#ifdef CONFIG_ON\n#define A 1\n#else\n#define A 2\n#endif\n"
        "#if defined(CONFIG_OFF)\n#define B\n#elif IS_ENABLED(CONFIG_MOD)\n#define B 2\n#endif\n#endif\n"
    )
    file = steps(text)
    found = decide(file, partial(_holds, MacroTable(OPTIONS.get, {})), lambda name, _: name)
    assert found.walked is not None and not any(step[0] in (IF, ELSE) for step in found.steps)
    (defined,) = [step[3] for step in found.steps]
    assert defined == {"A_H": "", "A": "1", "B": "2"}
    offsets, _, states = found.walked
    assert offsets == [0, text.index("#else"), text.index("#endif"), text.index("#if def"), text.index("#elif")]
    assert states == [True, False, True, False, True]


def _holds(macros: MacroTable, branch: tuple[str, str]) -> bool | None:
    """As a file of that one condition is walked."""
    unit = translation_unit("x", steps(f"#{branch[0].removeprefix('el')} {branch[1]}\nx\n#endif\n"), lambda _: None,
                            lambda *_: None, macros)  # fmt: skip
    return unit.files["x"].after(1)


def test_a_condition_on_an_option_that_the_header_changes_stays_open() -> None:
    text = "#ifndef CONFIG_WHO\n#define CONFIG_WHO 1\n#endif\n#ifdef CONFIG_WHO\nint x;\n#endif\n"
    found = decide(steps(text), lambda _: None, lambda name, _: name)
    assert found.walked is None


def test_options_that_a_file_on_the_way_redefines_decide_nothing() -> None:
    """``a.h`` took the option to be off before it included what turns it on."""
    files = {
        "main.c": steps('#include "a.h"\n'),
        "a.h": steps('#include "b.h"\n#ifdef CONFIG_OFF\n#define A\n#endif\n'),
        "b.h": steps("#define CONFIG_OFF 1\n"),
    }
    decided: list[str] = []
    assert walk(files, decided).macros.is_defined("A") is True
    assert decided == ["a.h"]
