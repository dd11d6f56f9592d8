from kexpert.core.c.compact_text import CompactText

BODY = b"\n" + b" \t\n" * 40
FULL = b"int a;" + BODY + b"  int b(void)\n{" + BODY + b"}" + b" " * 60 + b"int c;\n" + b" " * 50 + b"int d;" + BODY


def test_runs_of_blank_lines_are_one_line_break() -> None:
    compact = CompactText(FULL)
    assert compact.text.startswith(b"int a;\n  int b(void)\n{\n}")
    assert compact.text.endswith(b"int d;\n")
    assert compact.text.split() == FULL.split()


def test_every_byte_that_is_not_blank_keeps_its_offset_and_line() -> None:
    compact = CompactText(FULL)
    for at, byte in enumerate(compact.text):
        if not bytes((byte,)).isspace():
            offset, line = compact.place(at, compact.text.count(b"\n", 0, at))
            assert FULL[offset] == byte
            assert line == FULL.count(b"\n", 0, offset)
            assert compact.start(at) == offset
            assert compact.end(at + 1) == offset + 1


def test_a_text_without_gaps_stays() -> None:
    for text in (b"", b"int a;\n", b"\n" * 20 + b"x"):
        assert CompactText(text).text == text
