"""GGUF models through the real llama.cpp, in this process."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kexpert.abilities import Cancelled, Refused
from kexpert.model.engine import ModelSettings, choose_engine
from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine, quantize
from kexpert.model.fim_markers import fit_prompt
from kexpert.prompt.fim import Context, Excerpt, Marker
from kexpert.prompt.manifest import parse_manifest
from tests.support.tiny_models import (
    CONTEXT,
    SentencePieceVocabulary,
    TinyVocabulary,
    speaking_model,
    write_lora,
    write_manifest,
    write_model,
)

RETURN = ("{\n", "\treturn", " ret", ";")
PLACE = Context("a.c", "int f(void)\n{\n\tre", "\n}\n")


def never() -> bool:
    return False


def load(folder: Path, context: int = 0) -> LlamaCppEngine:
    manifest = parse_manifest((folder / "model.json").read_bytes())
    adapter = folder / manifest.adapter if manifest.adapter else None
    return LlamaCppEngine(folder / manifest.base, manifest, adapter, 1, context)


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> LlamaCppEngine:
    return load(speaking_model(tmp_path_factory.mktemp("speaker"), RETURN))


@pytest.fixture(scope="module")
def babblers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights: what they write depends on everything that was read."""
    folder = tmp_path_factory.mktemp("babbler")
    vocabulary = TinyVocabulary(["return", "struct"])
    write_model(folder / "m.gguf", vocabulary)
    write_manifest(folder, vocabulary, "m.gguf")
    return folder


@pytest.fixture(scope="module")
def babbler(babblers: Path) -> LlamaCppEngine:
    return load(babblers)


def text_of(model: LlamaCppEngine, context: Context, most: int = 20) -> str:
    return "".join(token.text for token in model.stream(context, most, never))


def test_a_hole_is_filled_up_to_the_models_own_end(speaker: LlamaCppEngine) -> None:
    tokens = list(speaker.stream(PLACE, 20, never))
    assert [token.text for token in tokens] == ["turn", " ret", ";", ""]
    assert tokens[-1].last
    assert all(token.logprob > -0.01 for token in tokens)


@pytest.mark.parametrize("typed", ["", "\t", "\tr", "\tretur", "\treturn", "\treturn r"])
def test_a_word_goes_on_wherever_it_was_left(speaker: LlamaCppEngine, typed: str) -> None:
    place = Context("a.c", "int f(void)\n{\n" + typed, "\n}\n")
    assert typed + text_of(speaker, place) == "\treturn ret;"


def test_answers_are_the_same_with_and_without_what_is_cached(babbler: LlamaCppEngine) -> None:
    """Typing, going back, another file and back: the cache must never show."""
    code = "int foo(struct bar *bar)\n{\n\tif (bar->count > 4)\n\t\treturn"
    places = [Context("a.c", code[:end], "\n}\n") for end in (20, 34, 35, 36, 50, 35, len(code))]
    places += [Context("b.c", code, ";\n"), places[3]]
    warm = [text_of(babbler, place) for place in places]
    cold = []
    for place in places:
        babbler._keep(0)
        cold.append(text_of(babbler, place))
    assert warm == cold
    assert len(set(warm)) > 3


def test_a_prompt_that_is_too_long_loses_what_is_least_needed(speaker: LlamaCppEngine) -> None:
    long = "int a;\n" * 4000
    excerpts = tuple(Excerpt(f"{at}.h", long) for at in range(3))
    assert text_of(speaker, Context("a.c", long + PLACE.prefix, PLACE.suffix + long, excerpts)) == "turn ret;"


def test_an_answer_ends_after_as_many_tokens_as_were_asked_for(babbler: LlamaCppEngine) -> None:
    assert len(list(babbler.stream(PLACE, 7, never))) <= 7
    assert len(list(babbler.stream(PLACE, 10 * CONTEXT, never))) <= CONTEXT


def test_a_cancelled_question_ends_before_the_next_token(babbler: LlamaCppEngine) -> None:
    over: list[bool] = []
    tokens = babbler.stream(PLACE, 50, lambda: bool(over))
    next(tokens)
    over.append(True)
    with pytest.raises(Cancelled):
        next(tokens)


@pytest.mark.parametrize("looks", [1, 2, 4, 9, 25])
def test_reading_a_prompt_stops_at_once_and_leaves_no_trace(babblers: Path, looks: int) -> None:
    """Cancelled at one of the looks inside the first of three batches, or between two."""
    model = load(babblers)
    code = "int foo(struct bar *bar)\n{\n" + "\tif (bar->count > 4)\n" * 12 + "\t\treturn"
    begun = Context("a.c", code[:60], "\n}\n")
    assert text_of(model, begun)
    left = [False] * (looks - 1)
    with pytest.raises(Cancelled):
        next(model.stream(Context("a.c", code, "\n}\n"), 20, lambda: not left or left.pop()))
    assert len(model._cached) <= 256
    for place in (Context("a.c", code, "\n}\n"), begun):
        assert text_of(model, place) == text_of(load(babblers), place)


def test_markers_in_a_file_are_text(speaker: LlamaCppEngine) -> None:
    assert Marker.FIM_MIDDLE.value in "".join(
        speaker.vocabulary.pieces[token].decode() for token in speaker.encode(f"/* {Marker.FIM_MIDDLE.value} */")
    )


@pytest.mark.parametrize("text", ["a\tb\n\n\tc", "naïve ☃ 𝄞", "", "\0\x01", "x" * 5000])
def test_any_text_comes_back(speaker: LlamaCppEngine, text: str) -> None:
    assert b"".join(speaker.vocabulary.pieces[token] for token in speaker.encode(text)).decode() == text


def test_bits_are_few_for_what_the_model_would_write_and_many_for_the_rest(speaker: LlamaCppEngine) -> None:
    bits, size = speaker.score(PLACE, "turn ret;", never)
    assert size == len("\treturn ret;")
    assert bits < 0.1
    assert speaker.score(PLACE, "gister x;", never)[0] > 50


# What is refused


def test_another_prompt_version_is_refused(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN)
    write_manifest(folder, TinyVocabulary(RETURN), "tiny.gguf", prompt_version=99)
    with pytest.raises(Refused, match="prompt version 99"):
        load(folder)


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN)
    write_manifest(folder, TinyVocabulary(["other"]), "tiny.gguf")
    with pytest.raises(Refused, match="tokenizer"):
        load(folder)


def test_other_weights_than_the_manifest_names_are_refused(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN)
    write_manifest(folder, TinyVocabulary(RETURN), "tiny.gguf", base_sha256="0" * 64)
    with pytest.raises(Refused, match="not the file it was made with"):
        load(folder)


def test_a_model_without_markers_is_refused(tmp_path: Path) -> None:
    vocabulary = TinyVocabulary(RETURN, markers=["<|endoftext|>"])
    path = write_model(tmp_path / "m.gguf", vocabulary)
    with pytest.raises(Refused, match="no markers"):
        LlamaCppEngine(path, None, None, 1, 0)


def test_other_families_are_known_by_their_markers(tmp_path: Path) -> None:
    starcoder = ["<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<file_sep>", "<|endoftext|>"]
    vocabulary = TinyVocabulary(RETURN, markers=starcoder)
    path = write_model(tmp_path / "m.gguf", vocabulary, {"<fim_middle>": "\treturn", "\treturn": " ret"})
    model = LlamaCppEngine(path, None, None, 1, 0)
    assert model.markers.family == "StarCoder2, Granite"
    assert text_of(model, PLACE) == "turn ret"


def test_sentencepieces_blank_stands_in_no_text(tmp_path: Path) -> None:
    vocabulary = SentencePieceVocabulary(["return", " ret", "int", " int"])
    path = write_model(
        tmp_path / "m.gguf", vocabulary, {"▁<MID>": "\t", "\t": "return", "return": " ret", " ret": ";"}, end="</s>"
    )
    model = LlamaCppEngine(path, None, None, 1, 0)
    for text in ("int x", " int x", "  x", "\treturn", ";\n", "", "☺ naïve ☃", "<s>▁"):
        written = b"".join(model.vocabulary.pieces[token] for token in model.encode(text)).decode()
        assert written == text.replace("▁", " ")
    ids, tail = fit_prompt(Context("a.c", "int x;\n\tre", ";\n}"), "psm", model.encode, model.markers, 400)
    assert [vocabulary.tokens[at] for at in ids] == [
        "<s>", "▁<PRE>", "int", "▁", "x", ";", "<0x0A>", "▁<SUF>", ";", "<0x0A>", "}", "▁<MID>",
    ]  # fmt: skip
    assert tail == "\tre"
    assert text_of(model, PLACE) == "turn ret;"


@pytest.mark.parametrize("data", [b"", b"no model", b"GGUF" + b"\xff" * 500])
def test_what_is_no_gguf_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(Refused, match="cannot load"):
        LlamaCppEngine(tmp_path / "m.gguf", None, None, 1, 0)


@pytest.mark.parametrize("kind", ["Q8_0", "Q6_K"])
def test_a_model_is_written_in_fewer_bits_and_says_the_same(tmp_path: Path, kind: str) -> None:
    folder = speaking_model(tmp_path / "m", RETURN)
    small = tmp_path / "small.gguf"
    quantize(folder / "tiny.gguf", small, kind)
    assert small.stat().st_size < (folder / "tiny.gguf").stat().st_size / 2
    manifest = parse_manifest((folder / "model.json").read_bytes())
    assert text_of(LlamaCppEngine(small, manifest, None, 1, 0), PLACE) == "turn ret;"


def test_quantising_says_what_cannot_be_done(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Q9_X"):
        quantize(tmp_path / "a.gguf", tmp_path / "b.gguf", "Q9_X")
    with pytest.raises(RuntimeError, match=r"a\.gguf"):
        quantize(tmp_path / "a.gguf", tmp_path / "b.gguf", "Q8_0")


# Adapters


def test_an_adapter_changes_what_is_written(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN, (" err", "\n"))
    vocabulary = TinyVocabulary([*RETURN, " err", "\n"])
    write_lora(folder / "lora.gguf", vocabulary, "\treturn", " err")
    write_manifest(folder, vocabulary, "tiny.gguf", adapter="lora.gguf")
    assert text_of(load(folder), PLACE).startswith("turn err")


def test_another_makers_model_needs_no_tokenizers_hash(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN, (" err", "\n"))
    write_lora(folder / "lora.gguf", TinyVocabulary([*RETURN, " err", "\n"]), "\treturn", " err")
    (folder / "model.json").write_text(
        '{"format": 1, "name": "x", "base": "tiny.gguf", "adapter": "lora.gguf", "context": 512, "order": "spm"}'
    )
    assert text_of(load(folder), PLACE).startswith("turn err")


def test_an_adapter_for_another_model_is_refused(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN)
    vocabulary = TinyVocabulary(RETURN)
    write_lora(folder / "lora.gguf", vocabulary, "\treturn", ";", width=32)
    write_manifest(folder, vocabulary, "tiny.gguf", adapter="lora.gguf")
    with pytest.raises(Refused, match="refuses the adapter"):
        load(folder)


def test_an_adapter_that_names_another_base_is_refused(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN)
    vocabulary = TinyVocabulary(RETURN)
    write_lora(folder / "lora.gguf", vocabulary, "\treturn", ";")
    own = hashlib.sha256((folder / "tiny.gguf").read_bytes()).hexdigest()
    bases = {"base_sha256": own, "adapter_base_sha256": "1" * 64}
    write_manifest(folder, vocabulary, "tiny.gguf", adapter="lora.gguf", **bases)
    with pytest.raises(Refused, match="another base"):
        load(folder)


def test_the_model_that_comes_with_kexpert_answers() -> None:
    choice = choose_engine(ModelSettings(device="cpu"))
    if choice.path is None:
        pytest.skip(choice.reason)
    model = LlamaCppEngine(choice.path, choice.manifest, choice.adapter, 1, 0)
    assert model.markers.family == "Qwen2.5-Coder"
    assert list(model.stream(PLACE, 8, never))
