"""The identity of a file."""

from __future__ import annotations

import os
from pathlib import Path

from kexpert.background.file_identity import FileIdentity


def test_a_file_keeps_its_identity_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.c"
    path.write_bytes(b"int a;\n")
    os.utime(path, ns=(5, 5))
    assert FileIdentity.of(path) == FileIdentity.from_stat(path.lstat()) == (7, 5)
    os.utime(path, ns=(5, 6))
    assert FileIdentity.of(path) == FileIdentity(7, 6)
    assert str(FileIdentity.of(path)) == "7:6"


def test_a_file_that_cannot_be_examined_has_none(tmp_path: Path) -> None:
    assert FileIdentity.of(tmp_path / "gone.c") is None
    assert FileIdentity.of("a\0b") is None
