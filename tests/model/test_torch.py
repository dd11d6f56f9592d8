"""Models through torch and transformers, on the CPU; tiny and of random weights."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from kexpert.core.manifest import Manifest, tokenizer_hash
from kexpert.core.prompt import PROMPT_VERSION, Context, Marker
from kexpert.model.engine import Cancelled, Choice, Refused
from kexpert.model.worker import Worker
from tests.model.tiny import TinyVocabulary, byte_alphabet, write_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from kexpert.model.torch import Torch  # noqa: E402

PLACE = Context("a.c", "int f(void)\n{\n\tre", "\n}\n")
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def never() -> bool:
    return False


def write_folder(folder: Path, vocabulary: TinyVocabulary) -> Path:
    """A Llama of random weights as Hugging Face keeps one."""
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
    made.add_special_tokens(vocabulary.markers)
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token=Marker.END.value).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary.tokens), hidden_size=64, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=512, initializer_range=0.5, tie_word_embeddings=False,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vocabulary() -> TinyVocabulary:
    return TinyVocabulary(["\treturn", " ret", "struct"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, vocabulary: TinyVocabulary) -> Path:
    return write_folder(tmp_path_factory.mktemp("model"), vocabulary)


@pytest.fixture(scope="module")
def model(folder: Path) -> Torch:
    return Torch(folder, None, None, 1, 0)


def text_of(model: Torch, context: Context, most: int = 12) -> str:
    return "".join(token.text for token in model.stream(context, most, never))


def test_a_folder_of_hugging_face_is_loaded_with_its_markers(model: Torch) -> None:
    assert model.markers.family == "Qwen2.5-Coder"
    assert model.context == 512


def test_answers_are_the_same_with_and_without_what_is_cached(model: Torch) -> None:
    code = "int foo(struct bar *bar)\n{\n\tif (bar->count > 4)\n\t\treturn"
    places = [Context("a.c", code[:end], "\n}\n") for end in (20, 34, 35, 36, 50, 35, len(code))]
    warm = [text_of(model, place) for place in places]
    cold = []
    for place in places:
        model._cached.clear()
        cold.append(text_of(model, place))
    assert warm == cold
    assert len(set(warm)) > 2


def test_what_is_typed_is_written_first(model: Torch) -> None:
    for typed in ("", "\tr", "\treturn", "\tif (a"):
        first = next(iter(model.stream(Context("a.c", "{\n" + typed, "\n}\n"), 30, never)))
        assert isinstance(first.text, str)


def test_the_same_tokens_as_llama_cpps(model: Torch, vocabulary: TinyVocabulary, tmp_path: Path) -> None:
    from kexpert.model.llama import Llama

    llama = Llama(write_model(tmp_path / "m.gguf", vocabulary), None, None, 1, 0)
    for text in ("\treturn ret;\n", "a\t\tb\n\n\tc(1, 22);", "naïve <|fim_middle|> ☃", "struct structure"):
        assert model.encode(text) == llama.encode(text)
    count = len(vocabulary.tokens)
    assert model.vocabulary.pieces[:count] == llama.vocabulary.pieces[:count]


def test_a_gguf_says_the_same_through_torch_and_through_llama_cpp(vocabulary: TinyVocabulary, tmp_path: Path) -> None:
    from kexpert.model.llama import Llama

    path = write_model(tmp_path / "m.gguf", vocabulary)
    one, other = Torch(path, None, None, 1, 0), Llama(path, None, None, 1, 0)
    for left, right in zip(one.stream(PLACE, 8, never), other.stream(PLACE, 8, never), strict=True):
        assert left.text == right.text
        assert left.logprob == pytest.approx(right.logprob, abs=0.05)


def test_a_cancelled_question_ends(model: Torch) -> None:
    with pytest.raises(Cancelled):
        list(model.stream(PLACE, 30, lambda: True))


def test_bits_are_counted(model: Torch) -> None:
    bits, size = model.score(PLACE, "turn ret;", never)
    assert size == len("\treturn ret;")
    assert bits > 0


def test_a_mismatch_is_refused(folder: Path) -> None:
    manifest = Manifest("x", "x", PROMPT_VERSION, tokenizer_hash(["other"]), 512)
    with pytest.raises(Refused, match="tokenizer"):
        Torch(folder, manifest, None, 1, 0)


def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Refused, match="cannot load it"):
        Torch(tmp_path, None, None, 1, 0)


def test_an_adapter_of_pefts_changes_what_is_written(folder: Path, tmp_path: Path, model: Torch) -> None:
    peft = pytest.importorskip("peft")
    base = transformers.LlamaForCausalLM.from_pretrained(folder)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(base, config).save_pretrained(tmp_path)
    adapted = Torch(folder, None, tmp_path, 1, 0)
    assert text_of(adapted, PLACE) != text_of(model, PLACE)


def test_an_adapter_for_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    config = transformers.LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    other = transformers.LlamaForCausalLM(config)
    peft.get_peft_model(other, peft.LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(tmp_path)
    with pytest.raises(Refused, match="does not go with the model"):
        Torch(folder, None, tmp_path, 1, 0)


def test_an_adapter_that_is_a_pickle_is_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(Refused, match=r"no adapter_model\.safetensors"):
        Torch(folder, None, tmp_path, 1, 0)


def test_it_serves_from_a_process_of_its_own(folder: Path, model: Torch) -> None:
    with closing(Worker(Choice("torch", "", folder), threads=1)) as worker:
        assert "".join(token.text for token in worker.stream(PLACE, 12, never)) == text_of(model, PLACE)


def test_bytes_are_what_gpt2s_alphabet_says() -> None:
    from kexpert.model.torch import _BYTE_OF

    assert {character: byte for byte, character in byte_alphabet().items()} == _BYTE_OF
