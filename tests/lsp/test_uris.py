"""URIs of clients and the names of files inside the server."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.paths import is_tree_path
from kexpert.lsp.uris import file_path, path_of, uri_of


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
    uri_of(path, Path("/tree"), {})


def test_a_tree_reached_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "linux-6.1" / "mm").mkdir(parents=True)
    (tmp_path / "linux").symlink_to("linux-6.1")
    assert path_of((tmp_path / "linux" / "mm" / "a.c").as_uri(), tmp_path / "linux-6.1") == "mm/a.c"
    assert path_of((tmp_path / "linux-6.1" / "mm" / "a.c").as_uri(), tmp_path / "linux") == "mm/a.c"


def test_an_open_document_keeps_the_clients_own_spelling() -> None:
    spelled = "file:///tree/mm/%73lub.c"
    path = path_of(spelled, Path("/tree"))
    assert path == "mm/slub.c"
    assert uri_of(path, Path("/tree"), {path: spelled}) == spelled
    assert uri_of(path, Path("/tree"), {}) == "file:///tree/mm/slub.c"
