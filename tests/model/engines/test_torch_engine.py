"""Models through torch and transformers, on the CPU; tiny and of random weights."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kexpert.abilities import Cancelled, Refused
from kexpert.model.engine import EngineChoice
from kexpert.model.engines.worker_process import WorkerProcess
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


def write_folder(folder: Path, vocabulary: TinyVocabulary, blank: str = "", **more: Any) -> Path:
    """A Llama of random weights as Hugging Face keeps one. ``blank`` is how SentencePiece sets its own."""
    made = sentencepiece(vocabulary, blank) if blank else byte_level(vocabulary)
    made.add_special_tokens(vocabulary.markers)
    end = vocabulary.markers[2] if blank else Marker.END.value
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


def sentencepiece(vocabulary: TinyVocabulary, blank: str) -> Any:
    merges = [tuple(merge.split(" ")) for merge in vocabulary.merges]
    tokens = {token: at for at, token in enumerate(vocabulary.tokens)}
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(tokens, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if blank == "normalizer":
        made.normalizer = tokenizers.normalizers.Sequence(
            [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
        )
    else:
        made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme=blank, split=False)
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


def text_of(model: TorchEngine, context: Context, most: int = 12) -> str:
    return "".join(token.text for token in model.stream(context, most, never))


def test_a_folder_of_hugging_face_is_loaded_with_its_markers(model: TorchEngine) -> None:
    assert model.markers.family == "Qwen2.5-Coder"
    assert model.context == 512


def test_answers_are_the_same_with_and_without_what_is_cached(model: TorchEngine) -> None:
    code = "int foo(struct bar *bar)\n{\n\tif (bar->count > 4)\n\t\treturn"
    places = [Context("a.c", code[:end], "\n}\n") for end in (20, 34, 35, 36, 50, 35, len(code))]
    warm = [text_of(model, place) for place in places]
    cold = []
    for place in places:
        model._cached.clear()
        cold.append(text_of(model, place))
    assert warm == cold
    assert len(set(warm)) > 2


def test_what_is_typed_is_written_first(model: TorchEngine) -> None:
    for typed in ("", "\tr", "\treturn", "\tif (a"):
        first = next(iter(model.stream(Context("a.c", "{\n" + typed, "\n}\n"), 30, never)))
        assert isinstance(first.text, str)


def test_the_same_tokens_as_llama_cpps(model: TorchEngine, vocabulary: TinyVocabulary, tmp_path: Path) -> None:
    from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine

    llama = LlamaCppEngine(write_model(tmp_path / "m.gguf", vocabulary), None, None, 1, 0)
    for text in ("\treturn ret;\n", "a\t\tb\n\n\tc(1, 22);", "naïve <|fim_middle|> ☃", "struct structure"):
        assert model.encode(text) == llama.encode(text)
    count = len(vocabulary.tokens)
    assert model.vocabulary.pieces[:count] == llama.vocabulary.pieces[:count]


@pytest.mark.parametrize("blank", ["first", "always", "normalizer"])
def test_sentencepieces_blank_stands_in_no_text(blank: str, tmp_path: Path) -> None:
    from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine

    vocabulary = SentencePieceVocabulary(["return", " ret", "int", " int"])
    model = TorchEngine(write_folder(tmp_path, vocabulary, blank), None, None, 1, 0)
    llama = LlamaCppEngine(write_model(tmp_path / "m.gguf", vocabulary, end="</s>"), None, None, 1, 0)
    assert model.markers == llama.markers
    assert model.vocabulary.pieces == llama.vocabulary.pieces
    for text in ("int x", " int x", "  x", "\treturn", ";\n", "", "☺ naïve ☃", "é"):
        assert b"".join(model.vocabulary.pieces[token] for token in model.encode(text)).decode() == text
        assert model.encode(text) == llama.encode(text)


def test_what_codellamas_tokenizer_takes_for_a_hole_is_text(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, SentencePieceVocabulary(["return"]), "normalizer")
    rewrite(folder / "tokenizer_config.json", "tokenizer_class", "CodeLlamaTokenizer")
    model = TorchEngine(folder, None, None, 1, 0)
    for text in ("<FILL_ME>", "a <FILL_ME> b <FILL_ME>"):
        assert b"".join(model.vocabulary.pieces[token] for token in model.encode(text)).decode() == text


def test_a_gguf_says_the_same_through_torch_and_through_llama_cpp(vocabulary: TinyVocabulary, tmp_path: Path) -> None:
    from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine

    path = write_model(tmp_path / "m.gguf", vocabulary)
    one, other = TorchEngine(path, None, None, 1, 0), LlamaCppEngine(path, None, None, 1, 0)
    for left, right in zip(one.stream(PLACE, 8, never), other.stream(PLACE, 8, never), strict=True):
        assert left.text == right.text
        assert left.logprob == pytest.approx(right.logprob, abs=0.05)


def test_a_cancelled_question_ends(model: TorchEngine) -> None:
    with pytest.raises(Cancelled):
        list(model.stream(PLACE, 30, lambda: True))


def test_bits_are_counted(model: TorchEngine) -> None:
    bits, size = model.score(PLACE, "turn ret;", never)
    assert size == len("\treturn ret;")
    assert bits > 0


def test_a_mismatch_is_refused(folder: Path) -> None:
    manifest = Manifest("x", "x", PROMPT_VERSION, tokenizer_hash(["other"]), 512)
    with pytest.raises(Refused, match="tokenizer"):
        TorchEngine(folder, manifest, None, 1, 0)


def damaged(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def halved(file: Path) -> None:
    """Without the second layer."""
    weights = safetensors.load_file(file)
    safetensors.save_file({key: weights[key] for key in weights if "layers.1" not in key}, file, {"format": "pt"})


@pytest.mark.parametrize(("harm", "said"), [(damaged, "cannot load it"), (halved, "9 of its weights are not there")])
def test_weights_that_are_not_all_there_are_refused(
    harm: Any, said: str, vocabulary: TinyVocabulary, tmp_path: Path
) -> None:
    harm(write_folder(tmp_path, vocabulary) / "model.safetensors")
    with pytest.raises(Refused, match=said) as refusal:
        TorchEngine(tmp_path, None, None, 1, 0)
    assert "\n" not in str(refusal.value)


def test_one_matrix_may_be_both_ends_of_a_model(vocabulary: TinyVocabulary, tmp_path: Path) -> None:
    assert text_of(TorchEngine(write_folder(tmp_path, vocabulary, tie_word_embeddings=True), None, None, 1, 0), PLACE)


def test_a_model_for_which_there_is_no_memory_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.LlamaForCausalLM, "to", full)
    with pytest.raises(Refused, match=r"cannot be put on .*out of memory"):
        TorchEngine(folder, None, None, 1, 0)


def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Refused, match="cannot load it"):
        TorchEngine(tmp_path, None, None, 1, 0)


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    """A LoRA of the model in ``folder``."""
    peft = pytest.importorskip("peft")
    base = transformers.LlamaForCausalLM.from_pretrained(folder)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(base, config).save_pretrained(tmp_path)
    return tmp_path


def test_an_adapter_of_pefts_changes_what_is_written(folder: Path, adapter: Path, model: TorchEngine) -> None:
    adapted = TorchEngine(folder, None, adapter, 1, 0)
    assert text_of(adapted, PLACE) != text_of(model, PLACE)


def renamed(file: Path) -> None:
    weights = safetensors.load_file(file)
    safetensors.save_file({key.replace("model.layers", "transformer.h"): weights[key] for key in weights}, file)


def deepened(file: Path) -> None:
    """With layers that the base has not."""
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
def test_an_adapter_that_does_not_fit_in_every_weight_is_refused(
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
def test_an_adapters_base_may_be_spelled_otherwise(
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


def test_an_adapter_that_is_only_a_prompt_is_refused(folder: Path, tmp_path: Path) -> None:
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


def test_an_adapter_that_is_a_pickle_is_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(Refused, match=r"no adapter_model\.safetensors"):
        TorchEngine(folder, None, tmp_path, 1, 0)


def test_it_serves_from_a_process_of_its_own(folder: Path, model: TorchEngine) -> None:
    with closing(WorkerProcess(EngineChoice("torch", "", folder), threads=1)) as worker:
        assert "".join(token.text for token in worker.stream(PLACE, 12, never)) == text_of(model, PLACE)


def test_bytes_are_what_gpt2s_alphabet_says() -> None:
    from kexpert.model.engines.torch_engine import _BYTE_OF

    assert {character: byte for byte, character in byte_alphabet().items()} == _BYTE_OF
