"""Open documents: edits in any encoding, names of files, snapshots that stay as they were."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.paths import is_tree_path
from kexpert.core.text import Encoding, decode
from kexpert.workspace.documents import Session, file_path, path_of, uri_of
from kexpert.workspace.settings import Options

URI = "file:///tree/drivers/a.c"
text = st.text(st.sampled_from("ab{}\t\f\n\r\u2028é🐧\udce9"), max_size=12)


def at(document: str, offset: int, encoding: Encoding) -> SimpleNamespace:
    """An editor's own arithmetic: where a code point offset is, in the units of ``encoding``."""
    before = document[:offset].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    units = {
        "utf-8": lambda s: len(s.encode("utf-8", "surrogateescape")),
        "utf-16": lambda s: len(s.encode("utf-16-le", "surrogatepass")) // 2,
        "utf-32": len,
    }[encoding]
    return SimpleNamespace(line=len(before) - 1, character=units(before[-1]))


def splits_crlf(document: str, offset: int) -> bool:
    return document[offset - 1 : offset + 1] == "\r\n" and offset > 0


@given(st.data(), text, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_edits_give_the_text_that_the_editor_has(data: st.DataObject, document: str, encoding: Encoding) -> None:
    session = Session(encoding, Options())
    session.open(URI, document)
    edits: list[SimpleNamespace] = []
    for _ in range(data.draw(st.integers(0, 6))):
        new = data.draw(text)
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(document))] * 2)))
        # An editor has no cursor between the two characters of one line end.
        if splits_crlf(document, start) or splits_crlf(document, end):
            continue
        span = SimpleNamespace(start=at(document, start, encoding), end=at(document, end, encoding))
        edits.append(SimpleNamespace(range=span, text=new))
        document = document[:start] + new + document[end:]
        if data.draw(st.booleans()):
            session.change(URI, edits)
            edits = []
    session.change(URI, edits)
    (opened,) = session.snapshot().documents.values()
    assert decode(opened.source.data) == document


def test_a_snapshot_stays_as_it_was() -> None:
    session = Session("utf-8", Options())
    path = session.open(URI, "old")
    before = session.snapshot()
    session.change(URI, [SimpleNamespace(text="new")])
    session.close(URI)
    assert before.documents[path].source.data == b"old"
    assert not session.snapshot().documents


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///tree/mm/slub.c", "mm/slub.c"),
        ("file:///tree/mm/../fs/open.c", "fs/open.c"),
        ("file://localhost/tree/a%20b.c", "a b.c"),
        ("file:///treehouse/a.c", "/treehouse/a.c"),
        ("file:///tree/../etc/passwd", "/etc/passwd"),
        ("file://otherhost/tree/a.c", "file://otherhost/tree/a.c"),
        ("untitled:Untitled-1", "untitled:Untitled-1"),
        ("git:/tree/a.c?x", "git:/tree/a.c?x"),
        ("file://[bad", "file://[bad"),
        ("file:///tree/%00.c", "file:///tree/%00.c"),
        ("", ""),
    ],
)
def test_what_a_document_is_called_inside(uri: str, path: str) -> None:
    assert path_of(uri, Path("/tree")) == path


@given(st.text(max_size=20), st.sampled_from(["", "file:", "file:///", "file://", "untitled:"]))
def test_no_uri_raises(rest: str, scheme: str) -> None:
    uri = scheme + rest
    path = path_of(uri, Path("/tree"))
    file_path(uri)
    is_tree_path(path)
    uri_of(path, Path("/tree"))


def test_a_tree_reached_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "linux-6.1" / "mm").mkdir(parents=True)
    (tmp_path / "linux").symlink_to("linux-6.1")
    assert path_of((tmp_path / "linux" / "mm" / "a.c").as_uri(), tmp_path / "linux-6.1") == "mm/a.c"
    assert path_of((tmp_path / "linux-6.1" / "mm" / "a.c").as_uri(), tmp_path / "linux") == "mm/a.c"


def test_places_come_back_in_the_clients_own_spelling() -> None:
    session = Session("utf-8", Options())
    session.root = Path("/tree")
    spelled = "file:///tree/mm/%73lub.c"
    path = session.open(spelled, "")
    assert path == "mm/slub.c"
    assert session.snapshot().uri(path) == spelled
    assert session.snapshot().uri("mm/a b.c") == "file:///tree/mm/a%20b.c"
