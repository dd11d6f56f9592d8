"""Token healing and greedy decoding, without a model."""

from __future__ import annotations

import numpy as np
import pytest

from kexpert.model.decoding.decoder import Decoder
from kexpert.model.decoding.vocabulary import Vocabulary

VOCABULARY = Vocabulary([b"", b" ", b" k", b" km", b" kmalloc", b"kmalloc", b"alloc", b"m", b"(", b"\xc3", b"\xa9"])


def logits_of(**logits: float) -> np.ndarray:
    found = np.full(len(VOCABULARY.pieces), -9, np.float32)
    for piece, value in logits.items():
        found[VOCABULARY.pieces.index(piece.replace("_", " ").encode())] = value
    return found


def test_tokens_must_agree_with_the_typed_letters() -> None:
    decoder = Decoder(VOCABULARY, b" km")
    token, logprob = decoder.choose(logits_of(**{"(": 9.0, "_kmalloc": 3.0, "_km": 1.0}))
    assert token is not None
    assert VOCABULARY.pieces[token] == b" kmalloc"
    assert logprob == pytest.approx(-0.127, abs=0.01)  # among the allowed tokens
    assert decoder.accept(token) == "alloc"
    assert not decoder.healing.pending


def test_the_tail_may_take_several_tokens() -> None:
    decoder = Decoder(VOCABULARY, b" kmal")
    token, _ = decoder.choose(logits_of(_k=5.0))
    assert token is not None
    assert decoder.accept(token) == ""
    assert decoder.healing.pending
    token, _ = decoder.choose(logits_of(**{"(": 5.0}))
    assert token is not None
    assert VOCABULARY.pieces[token] == b"m"


def test_a_tail_that_no_token_begins_ends_the_answer() -> None:
    assert Decoder(VOCABULARY, b"?").choose(logits_of(**{"(": 5.0}))[0] is None


WORDS = Vocabulary([b"", b"\t", b"\t\t", b"\tre", b"\treturn", b"turn", b"}", b"80", b"\treg"])


def begins_with(tail: bytes, **logits: float) -> bytes:
    """The first token chosen."""
    found = np.full(len(WORDS.pieces), -9, np.float32)
    for piece, value in logits.items():
        found[WORDS.pieces.index(piece.replace("tab", "\t").replace("brace", "}").replace("END", "").encode())] = value
    token, _ = Decoder(WORDS, tail).choose(found)
    return b"" if token is None else WORDS.pieces[token]


def test_a_token_that_finishes_the_tail_is_preferred() -> None:
    """The model does not know that the rest of the tail must follow a shorter token."""
    assert begins_with(b"\tretu", tab=4.0, tabre=3.0, tabreturn=2.0) == b"\treturn"
    assert begins_with(b"\tretu", tab=9.0, tabre=9.0) == b"\tre"


def test_no_answer_begins_with_more_white_space_a_closing_brace_or_the_end() -> None:
    assert begins_with(b"\t", tabtab=9.0, tabreturn=2.0) == b"\treturn"
    assert begins_with(b"", brace=9.0, turn=2.0) == b"turn"
    assert begins_with(b"", END=9.0, turn=2.0) == b"turn"


def test_a_utf8_sequence_of_several_tokens_comes_whole() -> None:
    decoder = Decoder(VOCABULARY, b"")
    assert [decoder.accept(9), decoder.accept(10), decoder.flush()] == ["", "é", ""]
    assert [decoder.accept(9), decoder.flush()] == ["", "�"]
