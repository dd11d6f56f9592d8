"""Records that are being typed: what follows them is still found."""

from __future__ import annotations

from kexpert.core.symbols import Kind
from tests.core.c.test_extract import facts_of, names

AFTER = "struct after {\n\tint z;\n};\nint run(void)\n{\n\treturn 0;\n}\n"


def test_what_follows_an_open_record_is_found() -> None:
    facts = facts_of("struct toy {\n\tint a;\n\tint b;\n\n" + AFTER)
    assert names(facts, Kind.STRUCT, Kind.FUNCTION) == ["toy", "after", "run"]
    assert {"a", "z"} <= set(names(facts, Kind.MEMBER))


def test_what_follows_the_head_of_a_record_is_found() -> None:
    assert names(facts_of("enum toy {\n\n" + AFTER), Kind.STRUCT, Kind.FUNCTION) == ["after", "run"]


def test_closed_records_stay_as_they_are() -> None:
    text = "struct toy {\nint a;\nstruct inner {\nint b;\n} c;\n};\n#if 0\n{\n#endif\n" + AFTER
    facts = facts_of(text)
    assert names(facts, Kind.STRUCT, Kind.FUNCTION) == ["toy", "inner", "after", "run"]
    assert names(facts, Kind.MEMBER) == ["a", "b", "c", "z"]
