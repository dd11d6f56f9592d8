"""The text before and after a patch, from a tree that has it, has it not, or has other changes too."""

from __future__ import annotations

from difflib import unified_diff

from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.core.unified_diff import FilePatch, parse_unified_diff
from kexpert.features.patch.states import TreeState, states_of

LINES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40)


def patch_of(old: list[str], new: list[str]) -> FilePatch:
    sides = [[f"{line}\n" for line in lines] for lines in (old, new)]
    (file,) = parse_unified_diff("".join(unified_diff(*sides, "a/x", "b/x")).encode()).files
    return file


def text_of(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@settings(max_examples=300, deadline=None)
@given(old=LINES, new=LINES)
def test_both_texts_are_made_from_either(old: list[str], new: list[str]) -> None:
    if old == new:
        return
    patch = patch_of(old, new)
    for prefers_after, text in ((False, text_of(old)), (True, text_of(new))):
        states = states_of(patch, text, prefers_after)
        if states.is_old_in_tree is prefers_after or states.unplaced:
            continue  # a text that fits both ways
        assert (states.old, states.new) == (text_of(old), text_of(new))
        changed = [line for hunk in patch.hunks for tag, line in hunk.lines if tag == "-"]
        assert [states.old.split(b"\n")[at] for at in states.removed] == changed
        changed = [line for hunk in patch.hunks for tag, line in hunk.lines if tag == "+"]
        assert [states.new.split(b"\n")[at] for at in states.added] == changed


OLD = [f"line {number}" for number in range(60)]
NEW = [*OLD[:20], "first", *OLD[21:45], *OLD[46:]]


def test_foreign_lines_above_a_hunk_move_it() -> None:
    foreign = ["other"] * 30
    states = states_of(patch_of(OLD, NEW), text_of(foreign + OLD))
    assert states.state is TreeState.BEFORE
    assert states.removed == [50, 75] and states.added == [50]
    assert states.new == text_of(foreign + NEW)


def test_a_tree_with_the_patch_is_recognised() -> None:
    states = states_of(patch_of(OLD, NEW), text_of(["other", *NEW]))
    assert states.state is TreeState.AFTER and not states.is_old_in_tree
    assert states.old == text_of(["other", *OLD])


def test_lines_at_the_end_that_only_one_side_has_tell_whether_the_tree_has_the_patch() -> None:
    short, more = ["int a;", "int b;"], ["int a;", "int b;", "int c;", "int d;"]
    for old, new in ((short, more), (more, short)):
        assert states_of(patch_of(old, new), text_of(old)).state is TreeState.BEFORE
        assert states_of(patch_of(old, new), text_of(new)).state is TreeState.AFTER


def test_a_changed_context_line_is_tolerated_and_a_changed_line_is_not() -> None:
    near = [*OLD]
    near[17] = "somebody else's"
    assert states_of(patch_of(OLD, NEW), text_of(near)).state is TreeState.BEFORE
    near[20] = "somebody else's"
    states = states_of(patch_of(OLD, NEW), text_of(near))
    assert states.state is TreeState.PARTIAL and len(states.unplaced) == 1 and states.removed == [45]


def test_a_file_that_is_not_there() -> None:
    (added,) = parse_unified_diff(b"--- /dev/null\n+++ b/x\n@@ -0,0 +1,2 @@\n+a\n+b\n").files
    states = states_of(added, None)
    assert (states.old, states.new, states.added) == (b"", b"a\nb\n", [0, 1])
    states = states_of(patch_of(OLD, NEW), None)
    assert states.state is TreeState.ABSENT and len(states.unplaced) == 2


def test_a_text_of_equal_lines_takes_no_long_time() -> None:
    text = b"same\n" * 200_000
    patch = patch_of(["same"] * 200 + ["x"], ["same"] * 200 + ["y"])
    assert states_of(patch, text).state is TreeState.OTHER
