"""Tiny models of random weights through torch and transformers, on the CPU."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kexpert.abilities import Cancelled, Refused
from kexpert.model.engines.worker_process import WorkerProcess
from kexpert.model.types import EngineChoice
from kexpert.prompt.fim import PROMPT_VERSION, Context, Marker
from kexpert.prompt.manifest import Manifest, tokenizer_hash
from tests.support.tiny_models import SentencePieceVocabulary, TinyVocabulary, byte_alphabet, write_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
safetensors = pytest.importorskip("safetensors.torch")

from kexpert.model.engines.torch_engine import TorchEngine  # noqa: E402

PLACE = Context("a.c", "int f(void)\n{\n\tre", "\n}\n")
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def never() -> bool:
    return False


def write_folder(folder: Path, vocabulary: TinyVocabulary, space: str = "", **more: Any) -> Path:
    """A Hugging Face folder with a Llama of random weights. ``space``: how SentencePiece adds its leading space; "" for
    byte-level BPE."""
    made = sentencepiece(vocabulary, space) if space else byte_level(vocabulary)
    made.add_special_tokens(vocabulary.markers)
    end = vocabulary.markers[2] if space else Marker.END.value
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token=end).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary.tokens), hidden_size=64, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=512, initializer_range=0.5,
        **{"tie_word_embeddings": False} | more,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def rewrite(config: Path, key: str, value: str) -> None:
    config.write_text(json.dumps(json.loads(config.read_text()) | {key: value}))


def sentencepiece(vocabulary: TinyVocabulary, space: str) -> Any:
    merges = [tuple(merge.split(" ")) for merge in vocabulary.merges]
    tokens = {token: at for at, token in enumerate(vocabulary.tokens)}
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(tokens, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if space == "normalizer":
        made.normalizer = tokenizers.normalizers.Sequence(
            [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
        )
    else:
        made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme=space, split=False)
    return made


def byte_level(vocabulary: TinyVocabulary) -> Any:
    merges = [tuple(merge.split(" ")) for merge in vocabulary.merges]
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE({token: at for at, token in enumerate(vocabulary.tokens)}, merges)
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(QWEN2), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = tokenizers.decoders.ByteLevel()
    return made


@pytest.fixture(scope="module")
def vocabulary() -> TinyVocabulary:
    return TinyVocabulary(["\treturn", " ret", "struct"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, vocabulary: TinyVocabulary) -> Path:
    return write_folder(tmp_path_factory.mktemp("model"), vocabulary)


@pytest.fixture(scope="module")
def model(folder: Path) -> TorchEngine:
    return TorchEngine(folder, None, None, 1, 0)


def text_of(model: TorchEngine, context: Context, max_tokens: int = 12) -> str:
    return "".join(token.text for token in model.stream(context, max_tokens, never))


def test_a_hugging_face_folder_is_loaded_with_its_markers(model: TorchEngine) -> None:
    assert model.markers.family == "Qwen2.5-Coder"
    assert model.context == 512


def test_answers_do_not_depend_on_the_kv_cache(model: TorchEngine) -> None:
    code = "int foo(struct bar *bar)\n{\n\tif (bar->count > 4)\n\t\treturn"
    places = [Context("a.c", code[:end], "\n}\n") for end in (20, 34, 35, 36, 50, 35, len(code))]
    warm = [text_of(model, place) for place in places]
    cold = []
    for place in places:
        model._cached.clear()
        cold.append(text_of(model, place))
    assert warm == cold
    assert len(set(warm)) > 2


def test_a_hole_is_filled_wherever_the_line_was_left(model: TorchEngine) -> None:
    for typed in ("", "\tr", "\treturn", "\tif (a"):
        assert text_of(model, Context("a.c", "{\n" + typed, "\n}\n"), 30)


def test_tokenization_is_the_same_as_llama_cpps(model: TorchEngine, vocabulary: TinyVocabulary, tmp_path: Path) -> None:
    from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine

    llama = LlamaCppEngine(write_model(tmp_path / "m.gguf", vocabulary), None, None, 1, 0)
    for text in ("\treturn ret;\n", "a\t\tb\n\n\tc(1, 22);", "naïve <|fim_middle|> ☃", "struct structure"):
        assert model.encode(text) == llama.encode(text)
    count = len(vocabulary.tokens)
    assert model.vocabulary.pieces[:count] == llama.vocabulary.pieces[:count]


@pytest.mark.parametrize("space", ["first", "always", "normalizer"])
def test_sentencepieces_leading_space_is_removed(space: str, tmp_path: Path) -> None:
    from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine

    vocabulary = SentencePieceVocabulary(["return", " ret", "int", " int"])
    model = TorchEngine(write_folder(tmp_path, vocabulary, space), None, None, 1, 0)
    llama = LlamaCppEngine(write_model(tmp_path / "m.gguf", vocabulary, end="</s>"), None, None, 1, 0)
    assert model.markers == llama.markers
    assert model.vocabulary.pieces == llama.vocabulary.pieces
    for text in ("int x", " int x", "  x", "\treturn", ";\n", "", "☺ naïve ☃", "é"):
        assert b"".join(model.vocabulary.pieces[token] for token in model.encode(text)).decode() == text
        assert model.encode(text) == llama.encode(text)


def test_codellamas_fill_token_is_plain_text(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, SentencePieceVocabulary(["return"]), "normalizer")
    rewrite(folder / "tokenizer_config.json", "tokenizer_class", "CodeLlamaTokenizer")
    model = TorchEngine(folder, None, None, 1, 0)
    for text in ("<FILL_ME>", "a <FILL_ME> b <FILL_ME>"):
        assert b"".join(model.vocabulary.pieces[token] for token in model.encode(text)).decode() == text


def test_a_gguf_gives_the_same_answer_as_through_llama_cpp(vocabulary: TinyVocabulary, tmp_path: Path) -> None:
    from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine

    path = write_model(tmp_path / "m.gguf", vocabulary)
    one, other = TorchEngine(path, None, None, 1, 0), LlamaCppEngine(path, None, None, 1, 0)
    for left, right in zip(one.stream(PLACE, 8, never), other.stream(PLACE, 8, never), strict=True):
        assert left.text == right.text
        assert left.logprob == pytest.approx(right.logprob, abs=0.05)


def test_a_cancelled_request_ends(model: TorchEngine) -> None:
    with pytest.raises(Cancelled):
        list(model.stream(PLACE, 30, lambda: True))


def test_a_known_middle_is_scored(model: TorchEngine) -> None:
    bits, size = model.score(PLACE, "turn ret;", never)
    assert size == len("\treturn ret;")
    assert bits > 0


def test_another_tokenizer_is_refused(folder: Path) -> None:
    manifest = Manifest("x", "x", PROMPT_VERSION, tokenizer_hash(["other"]), 512)
    with pytest.raises(Refused, match="tokenizer"):
        TorchEngine(folder, manifest, None, 1, 0)


def damaged(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def halved(file: Path) -> None:
    """Remove the second layer."""
    weights = safetensors.load_file(file)
    safetensors.save_file({key: weights[key] for key in weights if "layers.1" not in key}, file, {"format": "pt"})


@pytest.mark.parametrize(("harm", "said"), [(damaged, "cannot load it"), (halved, "9 of its weights are not there")])
def test_incomplete_weights_are_refused(
    harm: Any, said: str, vocabulary: TinyVocabulary, tmp_path: Path
) -> None:
    harm(write_folder(tmp_path, vocabulary) / "model.safetensors")
    with pytest.raises(Refused, match=said) as refusal:
        TorchEngine(tmp_path, None, None, 1, 0)
    assert "\n" not in str(refusal.value)


def test_tied_embeddings_are_no_missing_weights(vocabulary: TinyVocabulary, tmp_path: Path) -> None:
    assert text_of(TorchEngine(write_folder(tmp_path, vocabulary, tie_word_embeddings=True), None, None, 1, 0), PLACE)


def test_a_model_too_large_for_the_device_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.LlamaForCausalLM, "to", full)
    with pytest.raises(Refused, match=r"cannot be put on .*out of memory"):
        TorchEngine(folder, None, None, 1, 0)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Refused, match="cannot load it"):
        TorchEngine(tmp_path, None, None, 1, 0)


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    """A LoRA adapter for the model in ``folder``."""
    peft = pytest.importorskip("peft")
    base = transformers.LlamaForCausalLM.from_pretrained(folder)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(base, config).save_pretrained(tmp_path)
    return tmp_path


def test_a_peft_adapter_changes_the_answer(folder: Path, adapter: Path, model: TorchEngine) -> None:
    adapted = TorchEngine(folder, None, adapter, 1, 0)
    assert text_of(adapted, PLACE) != text_of(model, PLACE)


def renamed(file: Path) -> None:
    weights = safetensors.load_file(file)
    safetensors.save_file({key.replace("model.layers", "transformer.h"): weights[key] for key in weights}, file)


def deepened(file: Path) -> None:
    """Add layers that the base does not have."""
    weights = safetensors.load_file(file)
    more = {key.replace("layers.1", "layers.7"): weights[key].clone() for key in weights if "layers.1" in key}
    safetensors.save_file(weights | more, file)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (renamed, r"8 weights .*transformer\.h\.0.* no place in the model"),
        (halved, r"4 weights .*model\.layers\.1.* not there"),
        (deepened, r"4 weights .*model\.layers\.7.* no place in the model"),
        (damaged, "does not go with the model"),
    ],
)
def test_an_adapter_with_missing_or_unexpected_weights_is_refused(
    harm: Any, said: str, folder: Path, adapter: Path
) -> None:
    harm(adapter / "adapter_model.safetensors")
    with pytest.raises(Refused, match=said) as refusal:
        TorchEngine(folder, None, adapter, 1, 0)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("base", "wanted"),
    [("Qwen/Qwen2.5-Coder-0.5B", "qwen/qwen2.5-coder-0.5b"), ("Qwen/Qwen2.5-Coder-0.5B", "/srv/models/qwen"),
     ("", "codellama/CodeLlama-7b-hf"), ("Qwen/Qwen2.5-Coder-0.5B", "somebody/weights")],
)  # fmt: skip
def test_other_spellings_of_the_base_name_are_accepted(
    base: str, wanted: str, vocabulary: TinyVocabulary, adapter: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "weights", vocabulary)
    rewrite(folder / "config.json", "_name_or_path", base)
    rewrite(adapter / "adapter_config.json", "base_model_name_or_path", wanted)
    assert TorchEngine(folder, None, adapter, 1, 0)


def test_an_adapter_for_another_model_of_the_same_shape_is_refused(
    vocabulary: TinyVocabulary, adapter: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "weights", vocabulary)
    rewrite(folder / "config.json", "_name_or_path", "Qwen/Qwen2.5-Coder-0.5B")
    rewrite(adapter / "adapter_config.json", "base_model_name_or_path", "Qwen/Qwen2.5-Coder-0.5B-Instruct")
    with pytest.raises(Refused, match=r"is for Qwen/Qwen2\.5-Coder-0\.5B-Instruct"):
        TorchEngine(folder, None, adapter, 1, 0)


def test_prompt_tuning_is_refused(folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = transformers.LlamaForCausalLM.from_pretrained(folder)
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    peft.get_peft_model(base, config).save_pretrained(tmp_path)
    with pytest.raises(Refused, match="cannot be merged"):
        TorchEngine(folder, None, tmp_path, 1, 0)


def test_an_adapter_for_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    config = transformers.LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    other = transformers.LlamaForCausalLM(config)
    peft.get_peft_model(other, peft.LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(tmp_path)
    with pytest.raises(Refused, match="does not go with the model"):
        TorchEngine(folder, None, tmp_path, 1, 0)


def test_a_pickled_adapter_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(Refused, match=r"no adapter_model\.safetensors"):
        TorchEngine(folder, None, tmp_path, 1, 0)


def test_a_worker_process_gives_the_same_answer(folder: Path, model: TorchEngine) -> None:
    with closing(WorkerProcess(EngineChoice("torch", "", folder), threads=1)) as worker:
        assert "".join(token.text for token in worker.stream(PLACE, 12, never)) == text_of(model, PLACE)


def test_the_byte_alphabet_of_tiny_models_is_that_of_transformers() -> None:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    assert byte_alphabet() == bytes_to_unicode()
