"""Open documents: edits in any encoding, buffers that hide their files."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.positions import Encoding
from kexpert.core.text import decode
from kexpert.workspace.documents import Documents, Edit

PATH = "drivers/a.c"
text = st.text(st.sampled_from("ab{}\t\f\n\r\u2028é🐧\udce9"), max_size=12)


def at(document: str, offset: int, encoding: Encoding) -> tuple[int, int]:
    """An editor's own arithmetic: where a code point offset is, in the units of ``encoding``."""
    before = document[:offset].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    units = {
        "utf-8": lambda s: len(s.encode("utf-8", "surrogateescape")),
        "utf-16": lambda s: len(s.encode("utf-16-le", "surrogatepass")) // 2,
        "utf-32": len,
    }[encoding]
    return len(before) - 1, units(before[-1])


def splits_crlf(document: str, offset: int) -> bool:
    return document[offset - 1 : offset + 1] == "\r\n" and offset > 0


@given(st.data(), text, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_edits_give_the_text_that_the_editor_has(data: st.DataObject, document: str, encoding: Encoding) -> None:
    documents = Documents().opened(PATH, document)
    edits: list[Edit] = []
    for _ in range(data.draw(st.integers(0, 6))):
        new = data.draw(text)
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(document))] * 2)))
        # An editor has no cursor between the two characters of one line end.
        if splits_crlf(document, start) or splits_crlf(document, end):
            continue
        edits.append(Edit(new, at(document, start, encoding), at(document, end, encoding)))
        document = document[:start] + new + document[end:]
        if data.draw(st.booleans()):
            documents = documents.edited(PATH, edits, encoding)
            edits = []
    documents = documents.edited(PATH, edits, encoding)
    assert decode(documents[PATH].source.data) == document


def test_a_change_leaves_what_was_taken_before_as_it_was() -> None:
    before = Documents().opened(PATH, "old")
    after = before.edited(PATH, [Edit("new")], "utf-8").closed(PATH)
    assert before[PATH].source.data == b"old"
    assert not after


def test_a_buffer_hides_its_file_only_while_it_differs(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int a;\n")
    documents = Documents(tmp_path).opened("a.c", "int a;\n").opened("new.c", "int b;\n").opened("/x/y.c", "int a;\n")
    assert [sorted(side) for side in documents.overlay()] == [["/x/y.c", "new.c"], ["a.c"]]
    typed = documents.edited("a.c", [Edit("x", (0, 0), (0, 0))], "utf-8")
    assert [sorted(side) for side in typed.overlay()] == [["/x/y.c", "a.c", "new.c"], []]
    (tmp_path / "a.c").write_text("xint a;\n")
    assert [sorted(side) for side in typed.saved("a.c").overlay()] == [["/x/y.c", "new.c"], ["a.c"]]
    (tmp_path / "a.c").write_text("another program wrote this\n")
    assert [sorted(side) for side in typed.saved("a.c").overlay()] == [["/x/y.c", "a.c", "new.c"], []]


def test_documents_move_into_a_tree_that_is_found_later(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int a;\n")
    before = Documents().opened(str(tmp_path / "a.c"), "int a;\n").opened("untitled:1", "int b;\n")
    after = before.under(tmp_path, {str(tmp_path / "a.c"): "a.c"})
    assert sorted(after) == ["a.c", "untitled:1"]
    assert after["a.c"].source.path == "a.c"
    assert after["a.c"].saved is not None
