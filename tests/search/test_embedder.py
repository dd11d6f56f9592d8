"""Chunks and questions as vectors of one space."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kexpert.core.retrieval.chunk import Chunk, ChunkKind, chunks
from kexpert.core.retrieval.words import stems
from kexpert.search.embedder import SHIPPED, EmbedderError, load_embedder, shipped

CODE = b"""\
static int widget_alloc(struct widget **w)
{
	*w = kzalloc(sizeof(**w), GFP_KERNEL);
	return *w ? 0 : -ENOMEM;
}

void widget_wait_writeback(struct folio *folio)
{
	while (folio_test_writeback(folio))
		io_schedule();
}

static void widget_irq_off(struct widget *w)
{
	free_irq(w->irq, w);
	synchronize_irq(w->irq);
}
"""


def code() -> list[Chunk]:
    return chunks("drivers/widget/core.c", CODE)


def test_a_question_finds_a_function_described_in_other_words() -> None:
    embedder = load_embedder()
    vectors = embedder.encode_chunks(code())
    for question, name in (
        ("allocates memory for a new device structure", "widget_alloc"),
        ("sleep until pages have been written to disk", "widget_wait_writeback"),
        ("releases the interrupt line", "widget_irq_off"),
    ):
        best = int(np.argmax(vectors @ embedder.encode_query(question)))
        assert code()[best].name == name


@pytest.mark.parametrize("dimensions", [0, 128, 64])
def test_vectors_have_unit_length_also_with_fewer_dimensions(dimensions: int) -> None:
    embedder = load_embedder("", dimensions)
    vectors = embedder.encode_chunks(code())
    assert vectors.shape == (3, embedder.dimensions) and vectors.dtype == np.float32
    assert embedder.dimensions == (dimensions or shipped().dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(embedder.encode_query("a device")), 1, rtol=1e-5)


def test_text_without_a_known_word_is_zero() -> None:
    embedder = load_embedder()
    empty = Chunk("", ChunkKind.FILE, "", 0, 0, 0)
    assert not embedder.encode_chunks([empty]).any()
    assert not embedder.encode_query("\udce4 0x17 ?!").any()
    assert embedder.encode_chunks([]).shape == (0, embedder.dimensions)


def test_the_vector_of_a_chunk_does_not_depend_on_its_batch() -> None:
    embedder = load_embedder()
    alone = np.concatenate([embedder.encode_chunks([chunk]) for chunk in code()])
    np.testing.assert_allclose(embedder.encode_chunks(code() * 300)[:3], alone, atol=1e-5)


def test_text_and_its_stems_make_the_same_vectors() -> None:
    """These words are spelled like the stem of a rare word ("registerer" gives "register") but have another stem."""
    said = "register a function that groups buffers by their format, bytes and pages"
    chunk = Chunk("drivers/buffer/groups.c", ChunkKind.SECTION, "register_function", 0, 0, 0, said, "regs = bits;")
    names, paths = stems(chunk.name), stems("drivers/buffer/groups")
    embedder = shipped()
    by_stems = embedder.encode_stems([[names], [paths], [stems(said)], [stems(chunk.body)]])
    np.testing.assert_allclose(embedder.encode_chunks([chunk]), by_stems, atol=1e-5)
    words, _ = embedder.lexicon(stems("register"))
    np.testing.assert_allclose(embedder.encode_query("register"), words[0], atol=1e-5)


def test_a_comment_does_not_move_the_vector_of_code() -> None:
    embedder = load_embedder()
    bare = Chunk("mm/a.c", ChunkKind.FUNCTION, "frob_start", 0, 0, 0, "", "return start(frob);")
    told = Chunk("mm/a.c", ChunkKind.FUNCTION, "frob_start", 0, 0, 0, "Free a page.", "return start(frob);", "/* x */")
    np.testing.assert_array_equal(*embedder.encode_chunks([bare, told]))


def test_identities_differ_if_vectors_differ() -> None:
    assert load_embedder().identity == load_embedder().identity != load_embedder("", 64).identity


def test_the_shipped_model_fits_the_package_and_has_a_card() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 16 << 20
    card = (SHIPPED / "README.md").read_text()
    for said in ("GPL-2.0-or-later", "linux-source-6.1", "kexpert-train embedder"):
        assert said in card


def test_model2vec_reads_the_shipped_model() -> None:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(SHIPPED)
    rows = model.encode(["folio_wait_writeback", "waitForWriteback of folios", "usb descriptor"])
    assert model.dim == shipped().dimensions
    assert rows[0] @ rows[1] > rows[0] @ rows[2]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"not tensors"),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b'{"model": {"vocab": {"a": 0}}}'),
        ("config.json", b'{"kexpert": {"fields": {}}}'),
        ("config.json", b"[]"),
    ],
)
def test_a_broken_model_is_named_in_the_error(tmp_path: Path, file: str, content: bytes) -> None:
    for each in SHIPPED.iterdir():
        (tmp_path / each.name).symlink_to(each)
    (tmp_path / file).unlink()
    (tmp_path / file).write_bytes(content)
    with pytest.raises(EmbedderError, match=str(tmp_path)):
        load_embedder(str(tmp_path))


def test_other_model2vec_folders_are_read_by_model2vec(tmp_path: Path) -> None:
    from model2vec import StaticModel

    StaticModel(np.eye(4, dtype=np.float32), word_tokenizer(), {}).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()).get("kexpert") is None
    check_reads_text(tmp_path)


def test_a_sentence_transformers_model_can_be_named(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.models import StaticEmbedding

    static = StaticEmbedding(word_tokenizer(), embedding_weights=torch.eye(4).numpy())
    library.SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path))
    check_reads_text(tmp_path)


def check_reads_text(folder: Path) -> None:
    """``lock`` and ``unlock`` have orthogonal vectors: texts are similar only if they share a word."""
    embedder = load_embedder(str(folder))
    found = [Chunk("", ChunkKind.FUNCTION, name, 0, 0, 1) for name in ("lock", "unlock")]
    vectors = embedder.encode_chunks(found)
    assert vectors.shape == (2, 4)
    np.testing.assert_allclose(vectors @ embedder.encode_query("unlock"), [0, 1], atol=1e-6)
    assert embedder.encode_chunks([]).shape == (0, 4)


def word_tokenizer():  # type: ignore[no-untyped-def]
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "lock": 2, "unlock": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def test_a_missing_model_is_an_error_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EmbedderError, match="no-such-model"):
        load_embedder(str(tmp_path / "no-such-model"))
