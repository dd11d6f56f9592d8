"""Unified diffs of every origin are read; hostile ones do no harm."""

from __future__ import annotations

from difflib import unified_diff

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.core.unified_diff import parse_unified_diff

GIT = b"""\
From 1234 Mon Sep 17 00:00:00 2001
Subject: [PATCH] do it
---
 a.c | 2 +-
diff --git a/fs/a.c b/fs/a.c
index 123..456 100644
--- a/fs/a.c
+++ b/fs/a.c
@@ -1,3 +1,3 @@ int f(void)
 one
-two
+TWO
 three
diff --git a/old name.c b/new name.c
similarity index 100%
rename from old name.c
rename to new name.c
diff --git a/gone.c b/gone.c
deleted file mode 100644
--- a/gone.c
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/new.c b/new.c
new file mode 100644
--- /dev/null
+++ b/new.c
@@ -0,0 +1,2 @@
+--- not a header
++++ nor this
diff --git a/logo.png b/logo.png
Binary files a/logo.png and b/logo.png differ
--\x20
2.39.2
"""


def test_a_patch_of_git_is_read() -> None:
    found = parse_unified_diff(GIT)
    assert [(file.old_name, file.new_name) for file in found.files] == [
        ("fs/a.c", "fs/a.c"), ("old name.c", "new name.c"), ("gone.c", None), (None, "new.c"), ("logo.png", "logo.png"),
    ]  # fmt: skip
    (hunk,) = found.files[0].hunks
    assert (hunk.old_start, hunk.new_start, hunk.heading) == (0, 0, "int f(void)")
    assert hunk.side("-") == [b"one", b"two", b"three"] and hunk.side("+") == [b"one", b"TWO", b"three"]
    assert found.files[1].is_rename and not found.files[1].hunks
    assert found.files[3].hunks[0].side("+") == [b"--- not a header", b"+++ nor this"]
    assert found.files[4].is_binary
    assert found.notes == []


def test_a_diff_without_git_and_one_of_a_mail_are_read() -> None:
    plain = b"--- linux.orig/a.c\t2020-01-01\n+++ linux/a.c\t2020-01-02\n@@ -1,2 +1,2 @@\n one\n\n-two\n+2\n"
    (file,) = parse_unified_diff(plain).files
    assert (file.old_name, file.new_name) == ("linux.orig/a.c", "linux/a.c")
    mailed = b"--- a/a.c\r\n+++ b/a.c\r\n@@ -1,2 +1,3 @@\r\n one\r\n\r\n+two\r\n"
    (file,) = parse_unified_diff(mailed).files
    assert file.new_name == "a.c" and len(file.hunks[0].lines) == 3


def test_a_quoted_name_is_decoded() -> None:
    patch = b'--- "a/f\\303\\274r \\"x\\".c"\n+++ "b/f\\303\\274r \\"x\\".c"\n@@ -1 +1 @@\n-a\n+b\n'
    (file,) = parse_unified_diff(patch).files
    assert file.new_name == 'für "x".c'


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"--- a/x\n+++ b/x\n@@ -1,999999999 +1,999999999 @@\n one\n", "shorter"),
        (b"@@ -1 +1 @@\n-a\n+b\n", "without a file"),
        (b"diff --cc x\n--- a/x\n+++ b/x\n@@@ -1 -1 +1 @@@\n", "combined"),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, word: str) -> None:
    assert any(word in note for note in parse_unified_diff(data).notes)


HEAD = b"--- a/x\n+++ b/x\n@@ -1,3 +1,4 @@\n"
LINES = st.lists(st.sampled_from([b"", b"a", b"-b", b"+c", b"--- d", b"@@ e", b"\\ f", b"diff --git g"]), max_size=25)


@settings(max_examples=300, deadline=None)
@given(old=LINES, new=LINES)
def test_the_sides_of_all_hunks_are_the_changed_parts_of_the_texts(old: list[bytes], new: list[bytes]) -> None:
    if old == new:
        return
    sides = [[line.decode() + "\n" for line in lines] for lines in (old, new)]
    (file,) = parse_unified_diff("".join(unified_diff(*sides, "a/x", "b/x")).encode()).files
    for tag, text, start in (("-", old, "old_start"), ("+", new, "new_start")):
        kept: list[bytes] = []
        for hunk in file.hunks:
            at = getattr(hunk, start) if hunk.side(tag) else len(kept)
            assert text[at : at + len(hunk.side(tag))] == hunk.side(tag)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), LINES.map(lambda lines: HEAD + b"\n".join(lines))))
def test_any_bytes_are_read(data: bytes) -> None:
    for file in parse_unified_diff(data).files:
        assert file.old_name is None or isinstance(file.old_name, str)
