"""Names that macros of other files make, and which of several definitions a call means."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

from kexpert.core.c.extract import extract
from kexpert.core.c.macro_choice import MacroText, likely_definitions
from kexpert.core.c.made_elsewhere import Expander, symbols_made
from kexpert.core.symbols import FileFacts

MACROS = {
    "TOY_FNS": b"""#define TOY_FNS(bit, name) \\
static inline void set_toy_##name(struct toy *t) { set_bit(TOY_##bit, &t->state); } \\
static inline int toy_##name(const struct toy *t) { return test_bit(TOY_##bit, &t->state); }""",
    "TOY_STUB": b"#define TOY_STUB(name) int name(void) { return 0; }",
    "TOY_OUTER": b"#define TOY_OUTER(name) TOY_STUB(outer_##name)",
    "TOY_ALIAS": b"#define TOY_ALIAS TOY_STUB",
    "TOY_CASE": b"#define TOY_CASE(name) case TOY_##name: return #name;",
    "TOY_LOOP": b"#define TOY_LOOP(name) TOY_LOOP(name##x) int name##_f(void) { return 0; }",
    "DECLARE_TOY": b"#define DECLARE_TOY(name) struct toy_##name { int a; };",
    "DEFINE_MUTEX": b"#define DEFINE_MUTEX(name) struct mutex name##_wrong",
}


def made(text: str, macros: Mapping[str, bytes] = MACROS) -> list[tuple[str, str, int]]:
    """(kind, name, line from 1) of what macros of other files make."""
    facts = facts_of(text)
    known = {symbol.name for symbol in facts.symbols}
    expander = Expander(lambda name: [macros[name]] if name in macros else [])
    symbols, _ = symbols_made("toy.c", facts.open_calls, expander, known, {})
    return [(symbol.kind.name.lower(), symbol.name, symbol.line + 1) for symbol in symbols]


def facts_of(text: str) -> FileFacts:
    return extract("toy.c", dedent(text).encode())


def test_functions_of_a_macro_of_another_file_are_where_it_is_called() -> None:
    text = "int before;\n\nTOY_FNS(Happy, happy)\nTOY_FNS(Sad,\n\tsad);\n"
    assert made(text) == [
        ("function", "set_toy_happy", 3), ("function", "toy_happy", 3), ("function", "set_toy_sad", 5),
        ("function", "toy_sad", 5),
    ]  # fmt: skip


def test_the_place_is_the_argument_that_names_it_and_its_calls_are_known() -> None:
    text = "TOY_FNS(Happy, happy)\n"
    facts = facts_of(text)
    expander = Expander(lambda name: [MACROS[name]] if name in MACROS else [])
    symbols, calls = symbols_made("toy.c", facts.open_calls, expander, (), {})
    assert {symbol.name_start for symbol in symbols} == {text.index("happy")}
    assert [(symbols[caller].name, callee) for caller, callee in calls] == [
        ("set_toy_happy", "set_bit"), ("toy_happy", "test_bit"),
    ]  # fmt: skip


def test_macros_that_call_macros_other_names_of_macros_and_own_macros_that_call_them() -> None:
    text = "#define OWN(name) TOY_STUB(own_##name)\nTOY_OUTER(a)\nTOY_ALIAS(b)\nOWN(c)\n"
    assert made(text) == [("function", "outer_a", 2), ("function", "b", 3), ("function", "own_c", 4)]


def test_several_calls_on_a_line() -> None:
    assert made("TOY_STUB(a) TOY_STUB(b)\n") == [("function", "a", 1), ("function", "b", 1)]


def test_a_guess_by_the_name_of_a_macro_does_not_hide_what_it_makes() -> None:
    assert ("struct", "toy_car", 1) in made("DECLARE_TOY(car);\n")
    assert made("static DEFINE_MUTEX(lock);\n") == []  # known to define a mutex


def test_nothing_is_invented() -> None:
    assert made("UNKNOWN(a)\nTOY_CASE(a)\nMODULE_AUTHOR(TOY_STUB);\n") == []
    assert made("int f(void)\n{\n\tTOY_STUB(a);\n}\nint x[] = {\n\tTOY_STUB(b),\n};\n") == []
    assert made("int a(void)\n{\n\treturn 1;\n}\nTOY_STUB(a)\n") == []  # the file's own definition is known
    assert made("static int\nTOY_STUB(a)\n{\n}\n") == []  # the head of a function


def test_a_macro_that_calls_itself_ends() -> None:
    assert made("TOY_LOOP(a)\n") == [("function", "a_f", 1)]


def choice(path: str, *others: str, includes: Mapping[str, set[str]] | None = None) -> list[str]:
    found = [MacroText(other, other.encode()) for other in others]
    chosen = likely_definitions(path, found, lambda asked: frozenset((includes or {}).get(asked, ())))
    return [text.decode() for text in chosen]


def test_a_definition_in_one_header_is_meant() -> None:
    assert choice("fs/a.c", "drivers/x/x.h") == ["drivers/x/x.h"]
    assert choice("fs/a.c", "drivers/x/x.c") == []
    assert choice("fs/a.c", "tools/x.h") == []
    assert choice("arch/arm/a.c", "arch/x86/include/asm/x.h") == []


def test_of_several_the_included_the_own_folder_then_include() -> None:
    headers = ("include/linux/x.h", "fs/x.h", "net/x.h")
    assert choice("fs/a.c", *headers) == ["fs/x.h"]
    assert choice("mm/a.c", *headers) == ["include/linux/x.h"]
    assert choice("mm/a.c", *headers, includes={"mm/a.c": {"../net/x.h"}}) == ["net/x.h"]
    assert choice("mm/a.c", "fs/x.h", "net/x.h") == []


def test_a_list_means_the_macro_of_the_file_that_includes_it() -> None:
    assert choice("kernel/list.h", "kernel/a.c", "kernel/b.c", includes={"kernel/b.c": {"list.h"}}) == ["kernel/b.c"]
