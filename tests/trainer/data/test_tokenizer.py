"""The tokenizer is lossless, does not read markers in text, and counts bytes; the encoder agrees with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from kexpert.prompt.fim import Context, Marker, render
from kexpert_trainer.data import tokenizer as tokenizers
from tests.support.small_training import driver, tokenizer

ENCODER = tokenizers.Encoder(tokenizer())
#: Characters that decide where a pre-token ends: letters, digits, signs, and white space of every kind.
LINES = st.text(alphabet="ab'sS7_;{ \t\n\r\f\x1c\x85\u2028éſ€", max_size=60)
ODD = st.lists(st.one_of(st.text(), st.sampled_from(["\t\t", "<|fim_middle|>", "<|", "a<|endoftext|>", "\r\n", "  x"])))


@settings(deadline=None)
@given(ODD)
def test_decoding_returns_any_encoded_text(parts: list[str]) -> None:
    text = "".join(parts).encode("utf-8", "replace").decode()
    ids = tokenizer().encode(text).ids
    assert tokenizer().decode(ids, skip_special_tokens=False) == text


@settings(deadline=None)
@given(ODD)
def test_byte_lengths_add_up_to_the_text(parts: list[str]) -> None:
    text = "".join(parts).encode("utf-8", "replace").decode()
    lengths = tokenizers.byte_lengths(tokenizer())
    assert sum(lengths[at] for at in tokenizer().encode(text).ids) == len(text.encode())


@settings(deadline=None)
@given(st.one_of(LINES, ODD.map("".join)))
def test_the_encoder_agrees_with_the_tokenizer(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    for full in (text, f"{text}\n{text}"):
        encoding = tokenizer().encode(full)
        assert ENCODER.ids(full) == encoding.ids
        assert ENCODER.starts(full) == [start for start, _ in encoding.offsets]


def test_the_name_of_a_marker_in_a_text_is_text() -> None:
    markers = set(tokenizers.markers(tokenizer()).values())
    assert not markers & set(tokenizer().encode('printk("<|endoftext|>");').ids)


def test_each_marker_of_a_prompt_is_one_id() -> None:
    ids = tokenizers.Encoder(tokenizer()).prompt(render(Context("a.c", "int x", ";\n"), middle=" = 1"))
    markers = tokenizers.markers(tokenizer())
    order = [Marker.FILE_SEP, Marker.FIM_PREFIX, Marker.FIM_SUFFIX, Marker.FIM_MIDDLE, Marker.END]
    assert [at for at in ids if at in markers.values()] == [markers[marker] for marker in order]
    assert tokenizers.byte_lengths(tokenizer())[markers[Marker.END]] == 0


def test_merges_are_learnt_from_the_text() -> None:
    text = driver(1)
    assert len(tokenizer().encode(text).ids) < len(text) / 1.5
    assert tokenizer().get_vocab_size() == 400


def test_a_saved_tokenizer_is_loaded_unchanged(tmp_path: Path) -> None:
    path = tmp_path / tokenizers.FILE_NAME
    tokenizer().save(str(path))
    loaded = tokenizers.load(path)
    text = "static <|fim_pad|> int\t\tx;"
    assert loaded.encode(text).ids == tokenizer().encode(text).ids
    assert tokenizers.identity(loaded) == tokenizers.identity(tokenizer())


def test_the_identity_depends_on_the_vocabulary() -> None:
    assert tokenizers.identity(tokenizers.train([driver(1)], 300)) != tokenizers.identity(tokenizer())


def test_a_tokenizer_without_markers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    Tokenizer(models.BPE()).save(str(path))
    with pytest.raises(ValueError, match="fim_prefix"):
        tokenizers.load(path)


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="not a tokenizer"):
        tokenizers.load(path)
