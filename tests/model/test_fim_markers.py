"""Markers of other makers' models, and healing, without any model."""

from __future__ import annotations

import numpy as np
import pytest

from kexpert.model.decoding.token_healing import Reader, Vocabulary
from kexpert.model.fim_markers import FAMILIES, find_markers, fit_prompt
from kexpert.prompt.fim import Context, Excerpt, Marker, heal


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_family_is_told_by_its_own_vocabulary(family) -> None:  # type: ignore[no-untyped-def]
    tokens = ["a", "b", *family.markers.values(), *([family.bos] if family.bos else [])]
    ids = {token: at for at, token in enumerate(dict.fromkeys(tokens))}
    found = find_markers(ids.get)
    assert found
    assert found.family == family.name
    assert found.ids[Marker.FIM_MIDDLE] == ids[family.markers[Marker.FIM_MIDDLE]]
    assert bool(found.bos) == bool(family.bos)


def test_two_markers_are_not_enough() -> None:
    assert find_markers({"<|fim_prefix|>": 1, "<|fim_suffix|>": 2}.get) is None


def characters(text: str) -> list[int]:
    return [ord(character) for character in text]


MARKERS = find_markers({marker.value: 1000 + at for at, marker in enumerate(Marker)}.get)
assert MARKERS


@pytest.mark.parametrize("room", [1, 10, 50, 100, 200, 1000])
def test_a_prompt_never_has_more_tokens_than_there_is_room(room: int) -> None:
    context = Context("a.c", "int a;\n" * 30 + "int b", "\nint c;" * 30, (Excerpt("b.h", "int d;\n" * 9),))
    ids, tail = fit_prompt(context, "spm", characters, MARKERS, room)
    assert len(ids) <= room
    assert tail == " b"
    if room >= 50:
        assert ids[-3:] == characters("int")


def test_excerpts_go_before_anything_near_the_cursor() -> None:
    context = Context("a.c", "int a;\n", "int c;\n", (Excerpt("b.h", "x" * 50),))
    whole, _ = fit_prompt(replace_excerpts(context), "spm", characters, MARKERS, 1000)
    assert fit_prompt(context, "spm", characters, MARKERS, len(whole) + 5)[0] == whole


def test_a_model_without_a_mark_between_files_finds_excerpts_where_it_expects_code() -> None:
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


def replace_excerpts(context: Context) -> Context:
    return Context(context.path, context.prefix, context.suffix)


VOCABULARY = Vocabulary([b"", b" ", b" k", b" km", b" kmalloc", b"kmalloc", b"alloc", b"m", b"(", b"\xc3", b"\xa9"])


def best(**logits: float) -> np.ndarray:
    found = np.full(len(VOCABULARY.pieces), -9, np.float32)
    for piece, value in logits.items():
        found[VOCABULARY.pieces.index(piece.replace("_", " ").encode())] = value
    return found


def test_only_what_goes_on_with_the_typed_letters_may_come() -> None:
    reader = Reader(VOCABULARY, b" km")
    token, logprob = reader.choose(best(**{"(": 9.0, "_kmalloc": 3.0, "_km": 1.0}))
    assert token is not None
    assert VOCABULARY.pieces[token] == b" kmalloc"
    assert logprob == pytest.approx(-0.127, abs=0.01)  # among those that may come
    assert reader.read(token) == "alloc"
    assert not reader.healing


def test_typed_letters_may_take_several_tokens() -> None:
    reader = Reader(VOCABULARY, b" kmal")
    token, _ = reader.choose(best(_k=5.0))
    assert token is not None
    assert reader.read(token) == ""
    assert reader.healing
    token, _ = reader.choose(best(**{"(": 5.0}))
    assert token is not None
    assert VOCABULARY.pieces[token] == b"m"


def test_letters_that_no_token_begins_end_the_answer() -> None:
    assert Reader(VOCABULARY, b"?").choose(best(**{"(": 5.0}))[0] is None


WORDS = Vocabulary([b"", b"\t", b"\t\t", b"\tre", b"\treturn", b"turn", b"}", b"80", b"\treg"])


def begins_with(tail: bytes, **logits: float) -> bytes:
    """The token that is chosen first."""
    found = np.full(len(WORDS.pieces), -9, np.float32)
    for piece, value in logits.items():
        found[WORDS.pieces.index(piece.replace("tab", "\t").replace("brace", "}").replace("END", "").encode())] = value
    token, _ = Reader(WORDS, tail).choose(found)
    return b"" if token is None else WORDS.pieces[token]


def test_a_word_is_rather_finished_than_cut() -> None:
    """A model that does not see the letters behind a token thinks it likelier than it is."""
    assert begins_with(b"\tretu", tab=4.0, tabre=3.0, tabreturn=2.0) == b"\treturn"
    assert begins_with(b"\tretu", tab=9.0, tabre=9.0) == b"\tre"


def test_no_suggestion_begins_with_blanks_behind_blanks_a_blocks_end_or_nothing() -> None:
    assert begins_with(b"\t", tabtab=9.0, tabreturn=2.0) == b"\treturn"
    assert begins_with(b"", brace=9.0, turn=2.0) == b"turn"
    assert begins_with(b"", END=9.0, turn=2.0) == b"turn"


def test_a_character_of_several_tokens_comes_whole() -> None:
    reader = Reader(VOCABULARY, b"")
    assert [reader.read(9), reader.read(10), reader.rest()] == ["", "é", ""]
    assert [reader.read(9), reader.rest()] == ["", "�"]


def test_a_prefix_that_is_healed_is_all_there() -> None:
    kept, tail = heal("x = a->b")
    assert kept + tail == "x = a->b"
