"""The output of checkpatch as diagnostics."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.source import Source
from kexpert.features.diagnostics import MAX_FINDINGS, Severity, from_checkpatch

SOURCE = Source("a.c", b"int a;\n\tint  b; \n\n")


def test_finding_spans_the_text_of_its_line() -> None:
    (found,) = from_checkpatch(b"/t/a.c:2: ERROR:CODE_INDENT: use tabs: always\n", SOURCE)
    assert SOURCE.data[found.start : found.end] == b"int  b;"
    assert (found.severity, found.code, found.message) == (Severity.ERROR, "CODE_INDENT", "use tabs: always")


def test_findings_keep_their_order_and_other_lines_are_skipped() -> None:
    output = b"Use of uninitialized value $x\na.c:1: WARNING:B: two\n\ntotal: 3 errors\na.c:2: CHECK:A: one\r\n"
    assert [d.message for d in from_checkpatch(output, SOURCE)] == ["two", "one"]


def test_findings_on_other_lines_than_the_changed_are_left_out() -> None:
    output = b"a.c:1: ERROR:A: one\na.c:2: WARNING:B: two\n"
    assert [(d.message, d.is_quiet) for d in from_checkpatch(output, SOURCE, {1})] == [("two", False)]
    assert [d.is_quiet for d in from_checkpatch(output, SOURCE)] == [True, True]


def test_finding_about_the_file_or_past_its_end_has_a_place() -> None:
    whole, past = from_checkpatch(b"a.c: WARNING:X: whole\na.c:99: WARNING:Y: past\n", SOURCE)
    assert SOURCE.data[whole.start : whole.end] == b"int a;"
    assert past.start == past.end == len(SOURCE.data)


def test_number_of_findings_is_bounded() -> None:
    assert len(from_checkpatch(b"a.c:1: WARNING:X: again\n" * (MAX_FINDINGS + 5), SOURCE)) == MAX_FINDINGS


@given(st.binary())
def test_any_output_is_read(output: bytes) -> None:
    for found in from_checkpatch(b"a.c:1: WARNING:X: " + output, SOURCE):
        assert 0 <= found.start <= found.end <= len(SOURCE.data)
