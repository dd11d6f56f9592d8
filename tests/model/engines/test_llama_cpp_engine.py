"""GGUF models through llama.cpp, in this process."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kexpert.abilities import Cancelled, Refused
from kexpert.model.engine import choose_engine
from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine, quantize
from kexpert.model.fim_markers import fit_prompt
from kexpert.model.types import ModelSettings
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
def scripted(tmp_path_factory: pytest.TempPathFactory) -> LlamaCppEngine:
    return load(speaking_model(tmp_path_factory.mktemp("scripted"), RETURN))


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of random weights: its answer depends on the whole prompt."""
    folder = tmp_path_factory.mktemp("random_engine")
    vocabulary = TinyVocabulary(["return", "struct"])
    write_model(folder / "m.gguf", vocabulary)
    write_manifest(folder, vocabulary, "m.gguf")
    return folder


@pytest.fixture(scope="module")
def random_engine(random_folder: Path) -> LlamaCppEngine:
    return load(random_folder)


def text_of(model: LlamaCppEngine, context: Context, max_tokens: int = 20) -> str:
    return "".join(token.text for token in model.stream(context, max_tokens, never))


def test_an_answer_ends_with_the_models_end_token(scripted: LlamaCppEngine) -> None:
    tokens = list(scripted.stream(PLACE, 20, never))
    assert [token.text for token in tokens] == ["turn", " ret", ";", ""]
    assert tokens[-1].last
    assert all(token.logprob > -0.01 for token in tokens)


@pytest.mark.parametrize("typed", ["", "\t", "\tr", "\tretur", "\treturn", "\treturn r"])
def test_a_typed_word_is_completed_from_any_letter(scripted: LlamaCppEngine, typed: str) -> None:
    place = Context("a.c", "int f(void)\n{\n" + typed, "\n}\n")
    assert typed + text_of(scripted, place) == "\treturn ret;"


def test_answers_do_not_depend_on_the_kv_cache(random_engine: LlamaCppEngine) -> None:
    """Typing, going back, another file and back."""
    code = "int foo(struct bar *bar)\n{\n\tif (bar->count > 4)\n\t\treturn"
    places = [Context("a.c", code[:end], "\n}\n") for end in (20, 34, 35, 36, 50, 35, len(code))]
    places += [Context("b.c", code, ";\n"), places[3]]
    warm = [text_of(random_engine, place) for place in places]
    cold = []
    for place in places:
        random_engine._keep(0)
        cold.append(text_of(random_engine, place))
    assert warm == cold
    assert len(set(warm)) > 3


def test_a_long_prompt_is_cut_far_from_the_cursor(scripted: LlamaCppEngine) -> None:
    long = "int a;\n" * 4000
    excerpts = tuple(Excerpt(f"{at}.h", long) for at in range(3))
    assert text_of(scripted, Context("a.c", long + PLACE.prefix, PLACE.suffix + long, excerpts)) == "turn ret;"


def test_an_answer_has_at_most_max_tokens(random_engine: LlamaCppEngine) -> None:
    assert len(list(random_engine.stream(PLACE, 7, never))) <= 7
    assert len(list(random_engine.stream(PLACE, 10 * CONTEXT, never))) <= CONTEXT


def test_a_cancelled_request_ends_before_the_next_token(random_engine: LlamaCppEngine) -> None:
    over: list[bool] = []
    tokens = random_engine.stream(PLACE, 50, lambda: bool(over))
    next(tokens)
    over.append(True)
    with pytest.raises(Cancelled):
        next(tokens)


@pytest.mark.parametrize("calls", [1, 2, 4, 9, 25])
def test_cancelling_a_prompt_stops_its_evaluation_and_leaves_the_cache_valid(random_folder: Path, calls: int) -> None:
    """Cancelled at a call of ``cancelled`` inside the first of three batches, or between two."""
    model = load(random_folder)
    code = "int foo(struct bar *bar)\n{\n" + "\tif (bar->count > 4)\n" * 12 + "\t\treturn"
    begun = Context("a.c", code[:60], "\n}\n")
    assert text_of(model, begun)
    left = [False] * (calls - 1)
    with pytest.raises(Cancelled):
        next(model.stream(Context("a.c", code, "\n}\n"), 20, lambda: not left or left.pop()))
    assert len(model._cached) <= 256
    for place in (Context("a.c", code, "\n}\n"), begun):
        assert text_of(model, place) == text_of(load(random_folder), place)


def test_markers_in_a_file_are_plain_text(scripted: LlamaCppEngine) -> None:
    assert Marker.FIM_MIDDLE.value in "".join(
        scripted.vocabulary.pieces[token].decode() for token in scripted.encode(f"/* {Marker.FIM_MIDDLE.value} */")
    )


@pytest.mark.parametrize("text", ["a\tb\n\n\tc", "naïve ☃ 𝄞", "", "\0\x01", "x" * 5000])
def test_any_text_survives_tokenization(scripted: LlamaCppEngine, text: str) -> None:
    assert b"".join(scripted.vocabulary.pieces[token] for token in scripted.encode(text)).decode() == text


def test_the_models_own_answer_scores_few_bits_and_others_many(scripted: LlamaCppEngine) -> None:
    bits, size = scripted.score(PLACE, "turn ret;", never)
    assert size == len("\treturn ret;")
    assert bits < 0.1
    assert scripted.score(PLACE, "gister x;", never)[0] > 50


# Refusals


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


def test_weights_with_another_hash_are_refused(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN)
    write_manifest(folder, TinyVocabulary(RETURN), "tiny.gguf", base_sha256="0" * 64)
    with pytest.raises(Refused, match="not the file it was made with"):
        load(folder)


def test_a_model_without_markers_is_refused(tmp_path: Path) -> None:
    vocabulary = TinyVocabulary(RETURN, markers=["<|endoftext|>"])
    path = write_model(tmp_path / "m.gguf", vocabulary)
    with pytest.raises(Refused, match="no markers"):
        LlamaCppEngine(path, None, None, 1, 0)


def test_another_family_is_recognised_by_its_markers(tmp_path: Path) -> None:
    starcoder = ["<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<file_sep>", "<|endoftext|>"]
    vocabulary = TinyVocabulary(RETURN, markers=starcoder)
    path = write_model(tmp_path / "m.gguf", vocabulary, {"<fim_middle>": "\treturn", "\treturn": " ret"})
    model = LlamaCppEngine(path, None, None, 1, 0)
    assert model.markers.family == "StarCoder2, Granite"
    assert text_of(model, PLACE) == "turn ret"


def test_sentencepieces_leading_space_is_removed(tmp_path: Path) -> None:
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
def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(Refused, match="cannot load"):
        LlamaCppEngine(tmp_path / "m.gguf", None, None, 1, 0)


@pytest.mark.parametrize("kind", ["Q8_0", "Q6_K"])
def test_a_quantized_model_gives_the_same_answer(tmp_path: Path, kind: str) -> None:
    folder = speaking_model(tmp_path / "m", RETURN)
    small = tmp_path / "small.gguf"
    quantize(folder / "tiny.gguf", small, kind)
    assert small.stat().st_size < (folder / "tiny.gguf").stat().st_size / 2
    manifest = parse_manifest((folder / "model.json").read_bytes())
    assert text_of(LlamaCppEngine(small, manifest, None, 1, 0), PLACE) == "turn ret;"


def test_quantize_raises_for_unknown_kinds_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Q9_X"):
        quantize(tmp_path / "a.gguf", tmp_path / "b.gguf", "Q9_X")
    with pytest.raises(RuntimeError, match=r"a\.gguf"):
        quantize(tmp_path / "a.gguf", tmp_path / "b.gguf", "Q8_0")


# Adapters


def test_an_adapter_changes_the_answer(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN, (" err", "\n"))
    vocabulary = TinyVocabulary([*RETURN, " err", "\n"])
    write_lora(folder / "lora.gguf", vocabulary, "\treturn", " err")
    write_manifest(folder, vocabulary, "tiny.gguf", adapter="lora.gguf")
    assert text_of(load(folder), PLACE).startswith("turn err")


def test_a_manifest_without_a_tokenizer_hash_is_accepted(tmp_path: Path) -> None:
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


def test_a_manifest_whose_adapter_names_another_base_is_refused(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", RETURN)
    vocabulary = TinyVocabulary(RETURN)
    write_lora(folder / "lora.gguf", vocabulary, "\treturn", ";")
    own = hashlib.sha256((folder / "tiny.gguf").read_bytes()).hexdigest()
    bases = {"base_sha256": own, "adapter_base_sha256": "1" * 64}
    write_manifest(folder, vocabulary, "tiny.gguf", adapter="lora.gguf", **bases)
    with pytest.raises(Refused, match="another base"):
        load(folder)


def test_the_bundled_model_answers() -> None:
    choice = choose_engine(ModelSettings(device="cpu"))
    if choice.path is None:
        pytest.skip(choice.reason)
    model = LlamaCppEngine(choice.path, choice.manifest, choice.adapter, 1, 0)
    assert model.markers.family == "Qwen2.5-Coder"
    assert list(model.stream(PLACE, 8, never))
