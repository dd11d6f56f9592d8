"""Who maintains files and folders."""

from __future__ import annotations

from kexpert.features.named.details import named_maintainers, responsible
from tests.support.memory_view import MemoryView, files_of

VIEW = MemoryView(files_of("""\
//- MAINTAINERS
FILESYSTEMS (VFS and infrastructure)
M:	Vera Vfs <vera@example.org>
F:	fs/*

BOAT FILE SYSTEM
M:	Bo Boat <bo@example.org>
F:	fs/boat/
//- fs/open.c
int x;
//- fs/boat/boat.c
int y;
"""))


def test_a_folder_belongs_to_those_who_maintain_what_is_in_it() -> None:
    """Not to those of the files beside it."""
    for path, title in (
        ("fs/boat", "BOAT FILE SYSTEM"), ("fs/boat/", "BOAT FILE SYSTEM"), ("fs/boat/boat.c", "BOAT FILE SYSTEM"),
        ("fs/open.c", "FILESYSTEMS (VFS and infrastructure)"), ("fs", "FILESYSTEMS (VFS and infrastructure)"),
    ):  # fmt: skip
        found = responsible(VIEW, path)
        assert found is not None and found.entries[0].title == title


def test_entries_by_the_words_of_their_titles() -> None:
    (boat,) = named_maintainers(VIEW, "who maintains the boat filesystem?")
    assert boat.title == "BOAT FILE SYSTEM"
    assert named_maintainers(VIEW, "who maintains it?") == []
    assert named_maintainers(MemoryView({}), "boats") == []
