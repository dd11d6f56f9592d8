"""FIM markers of model families, and prompts that fit a token budget."""

from __future__ import annotations

import pytest

from kexpert.model.fim_markers import FAMILIES, find_markers, fit_prompt
from kexpert.prompt.fim import Context, Excerpt, Marker, heal


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_family_is_found_in_its_own_vocabulary(family) -> None:  # type: ignore[no-untyped-def]
    tokens = ["a", "b", *family.markers.values(), *([family.bos] if family.bos else [])]
    ids = {token: at for at, token in enumerate(dict.fromkeys(tokens))}
    found = find_markers(ids.get)
    assert found
    assert found.family == family.name
    assert found.ids[Marker.FIM_MIDDLE] == ids[family.markers[Marker.FIM_MIDDLE]]
    assert bool(found.bos) == bool(family.bos)


def test_two_of_three_hole_markers_are_no_family() -> None:
    assert find_markers({"<|fim_prefix|>": 1, "<|fim_suffix|>": 2}.get) is None


def characters(text: str) -> list[int]:
    return [ord(character) for character in text]


MARKERS = find_markers({marker.value: 1000 + at for at, marker in enumerate(Marker)}.get)
assert MARKERS


@pytest.mark.parametrize("max_tokens", [1, 10, 50, 100, 200, 1000])
def test_a_prompt_has_at_most_max_tokens(max_tokens: int) -> None:
    context = Context("a.c", "int a;\n" * 30 + "int b", "\nint c;" * 30, (Excerpt("b.h", "int d;\n" * 9),))
    ids, tail = fit_prompt(context, "spm", characters, MARKERS, max_tokens)
    assert len(ids) <= max_tokens
    assert tail == " b"
    if max_tokens >= 50:
        assert ids[-3:] == characters("int")


def test_excerpts_are_dropped_first() -> None:
    context = Context("a.c", "int a;\n", "int c;\n", (Excerpt("b.h", "x" * 50),))
    whole, _ = fit_prompt(without_excerpts(context), "spm", characters, MARKERS, 1000)
    assert fit_prompt(context, "spm", characters, MARKERS, len(whole) + 5)[0] == whole


def test_without_a_file_separator_excerpts_are_code_before_the_prefix() -> None:
    codellama = find_markers({"<s>": 1, "▁<PRE>": 1001, "▁<SUF>": 1002, "▁<MID>": 1003}.get)
    assert codellama
    context = Context("a.c", "int a; int", "int c;\n", (Excerpt("b.h", "int d;\n"),))
    ids, _ = fit_prompt(context, "psm", characters, codellama, 1000)
    assert ids == [
        1, 1001, *characters("/* b.h */\nint d;\n\nint a;"), 1002, *characters("int c;\n"), 1003,
    ]  # fmt: skip
    assert fit_prompt(context, "psm", characters, codellama, len(ids) - 1)[0] == [
        1, 1001, *characters("int a;"), 1002, *characters("int c;\n"), 1003,
    ]  # fmt: skip


def without_excerpts(context: Context) -> Context:
    return Context(context.path, context.prefix, context.suffix)


def test_healing_splits_a_prefix_without_loss() -> None:
    kept, tail = heal("x = a->b")
    assert kept + tail == "x = a->b"
