"""Base models that pip can fetch."""

from __future__ import annotations

from pathlib import Path


def test_the_base_model_of_the_tests_is_a_whole_gguf(smollm2_gguf: Path) -> None:
    with smollm2_gguf.open("rb") as file:
        assert file.read(4) == b"GGUF"
    assert smollm2_gguf.stat().st_size == 98_362_432
