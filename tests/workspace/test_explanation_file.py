"""Files of explanations: where they lie and what their names are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kexpert.workspace.explanation_file import write_explanation


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


HOSTILE = ["../../etc/passwd", "/etc/passwd", "..", ".", "", "a\0b", "a\nb", "~root", "näme", "\udcff", "x" * 5000]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    page = write_explanation(tmp_path / "linux", "../fs/\udcffopen.c", name, "page")
    assert page.parent.name == "explain"
    assert page.resolve().is_relative_to(tmp_path / "cache")
    assert list(page.parent.iterdir()) == [page]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,100}\.md", page.name)


def test_the_folder_is_for_the_user_alone(tmp_path: Path) -> None:
    page = write_explanation(tmp_path / "linux", "fs/open.c", "do_open", "page")
    page.parent.chmod(0o755)
    write_explanation(tmp_path / "linux", "fs/open.c", "do_open", "page")
    assert page.parent.stat().st_mode & 0o777 == 0o700
    assert page.stat().st_mode & 0o077 == 0


def test_a_later_page_replaces_the_earlier(tmp_path: Path) -> None:
    first = write_explanation(tmp_path / "linux", "fs/open.c", "do_open", "one")
    second = write_explanation(tmp_path / "linux", "fs/open.c", "do_open", "two: \udcff ä")
    assert first == second
    assert second.read_bytes() == b"two: \xff \xc3\xa4"


def test_functions_of_one_name_have_a_page_each(tmp_path: Path) -> None:
    paths = {write_explanation(tmp_path / "linux", path, "probe", path) for path in ("a.c", "b.c")}
    assert {page.read_text() for page in paths} == {"a.c", "b.c"}


def test_without_a_tree_there_is_a_page_too(tmp_path: Path) -> None:
    assert write_explanation(None, "/tmp/a.c", "probe", "page").is_relative_to(tmp_path / "cache" / "kexpert")


def test_a_failed_write_leaves_nothing_and_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write_explanation(tmp_path / "linux", "a.c", "probe", "page")
    page.unlink()
    page.mkdir()
    with pytest.raises(OSError, match="probe"):
        write_explanation(tmp_path / "linux", "a.c", "probe", "page")
    assert list(page.parent.iterdir()) == [page]
