"""What a GGUF says about itself, also when it lies."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kexpert.model.gguf_header import GgufError, read_header
from tests.support.tiny_models import TinyVocabulary, write_lora, write_model

VOCABULARY = TinyVocabulary(("int", " main"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf", VOCABULARY, {"int": " main"})


def test_kind_architecture_and_tokens_are_read(model: Path) -> None:
    header = read_header(model)
    assert (header.architecture, header.kind, header.chat_template) == ("llama", "model", "")
    assert list(header.tokens) == VOCABULARY.tokens


def test_the_chat_template_is_read(smollm2_gguf: Path) -> None:
    header = read_header(smollm2_gguf)
    assert "<|im_start|>" in header.chat_template
    assert (len(header.tokens), header.tokens[1]) == (49_152, "<|im_start|>")


def test_an_adapter_is_told_from_a_model(tmp_path: Path) -> None:
    assert read_header(write_lora(tmp_path / "lora.gguf", VOCABULARY, "int", " main")).kind == "adapter"


def test_a_header_that_is_cut_short_is_refused_wherever_it_is_cut(model: Path, tmp_path: Path) -> None:
    data = model.read_bytes()
    end = data.index(b"token_embd.weight")  # the first byte behind the entries, but for a length
    cut = tmp_path / "cut.gguf"
    for size in [*range(40), *range(40, end - 8, 97)]:
        cut.write_bytes(data[:size])
        with pytest.raises(GgufError):
            read_header(cut)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(struct.pack("<Q", 1 << 60), id="length of a key"),
        pytest.param(struct.pack("<Q1sIQ", 1, b"k", 8, 1 << 60), id="length of a text"),
        pytest.param(struct.pack("<Q1sIIQ", 1, b"k", 9, 0, 1 << 62), id="length of an array"),
        pytest.param(struct.pack("<Q1sIIQ", 1, b"k", 9, 8, 1 << 62), id="length of an array of texts"),
        pytest.param(struct.pack("<Q1sIIQ", 1, b"k", 9, 9, 1), id="array of arrays"),
        pytest.param(struct.pack("<Q1sI", 1, b"k", 77), id="type"),
    ],
)
def test_a_lie_in_the_header_is_refused(tmp_path: Path, entry: bytes) -> None:
    file = tmp_path / "lie.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60) + entry + bytes(64))
    with pytest.raises(GgufError):
        read_header(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "any.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<I", 3) + data)
    with suppress(GgufError):
        read_header(file)
