"""Selection of source files, FIM spans, the documents of a corpus, and resuming an interrupted build."""

from __future__ import annotations

import random
import timeit
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.prompt.fim import Marker
from kexpert_trainer.data import corpus as corpora
from kexpert_trainer.data import fim_spans, shards, sources
from kexpert_trainer.data import tokenizer as tokenizers
from tests.support.small_training import HEADER, driver, make_corpus, tokenizer

MARKERS = tokenizers.markers(tokenizer())


def documents(folder: Path, split: str = "train") -> list[str]:
    tokens = shards.load(folder / "corpus", split)
    ends = np.flatnonzero(tokens == MARKERS[Marker.END]) + 1
    return [tokenizer().decode(ids.tolist(), skip_special_tokens=False) for ids in np.split(tokens, ends) if len(ids)]


def test_generated_headers_and_other_files_are_left_out(tmp_path: Path) -> None:
    for path in ("drivers/a.c", "drivers/gpu/drm/amd/include/reg.h", "drivers/notes.txt", "drivers/gpu/b.h"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(driver(1))
    assert sorted(sources.paths(tmp_path)) == ["drivers/a.c", "drivers/gpu/b.h"]


def test_a_file_has_its_licence(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(driver(1))
    (tmp_path / "b.h").write_text(HEADER)
    (tmp_path / "c.c").write_text("int x;\n" * 100)
    found = {path: sources.read(tmp_path, path) for path in ("a.c", "b.h", "c.c")}
    assert [file and file.licence for file in found.values()] == ["GPL-2.0-only", "GPL-2.0", ""]


def test_files_that_are_not_text_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "latin.c").write_bytes(driver(1).encode() + b"/* \xe9 */\n")
    (tmp_path / "binary.c").write_bytes(driver(1).encode() + b"\0")
    (tmp_path / "short.c").write_text("int x;\n")
    assert [sources.read(tmp_path, name) for name in ("latin.c", "binary.c", "short.c", "absent.c")] == [None] * 4


def test_only_the_first_rows_of_a_lookup_table_are_kept() -> None:
    rows = "".join(f"\t0x{at:02x}, 0x{at + 1:02x}, {at},\n" for at in range(100))
    table = f"static const u8 crc[] = {{\n{rows}}};\n"
    kept = sources.without_tables(driver(1) + table + driver(2))
    assert kept.startswith(driver(1)) and kept.endswith(driver(2))
    assert 3 < kept.removeprefix(driver(1)).count("0x") < 12


def test_code_is_not_taken_for_a_lookup_table() -> None:
    text = driver(1) + "\n".join("\tx = y + 1;" for _ in range(50))
    assert sources.without_tables(text) == text


def test_time_to_reject_a_row_grows_with_its_length_alone() -> None:
    """A regex that backtracked into each number would take time exponential in their count."""

    def seconds(numbers: int) -> float:
        row = "\t" + "0x00000000, " * numbers + "LAST\n"
        assert sources.without_tables(driver(1) + row) == driver(1) + row
        return min(timeit.repeat(lambda: sources.without_tables(row), number=20, repeat=5))

    assert seconds(80) < 16 * seconds(20)


def test_a_header_of_register_numbers_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "reg.h").write_text("".join(f"#define REG_{at} 0x{at:04x}\n" for at in range(300)))
    assert sources.read(tmp_path, "reg.h") is None


def test_near_duplicates_are_left_out() -> None:
    first = sources.SourceFile("a.c", "", driver(1))
    nearly = sources.SourceFile("b.c", "", driver(1).replace("return 0;", "return 1;"))
    other = sources.SourceFile("c.c", "", driver(2))
    signed = [(file.path, sources.signature(file)) for file in (first, nearly, other)]
    assert list(sources.distinct(signed)) == ["a.c", "c.c"]


@settings(deadline=None)
@given(st.text(alphabet="ab {};\n\tü()=", max_size=400), st.integers(0, 1000))
def test_a_span_is_within_its_text(text: str, seed: int) -> None:
    span = fim_spans.choose_span(text, random.Random(seed))
    if span is not None:
        start, end = span
        assert 0 <= start < end <= len(text)


@pytest.mark.parametrize("kind", [fim_spans.rest_of_line, fim_spans.whole_lines])
@settings(deadline=None)
@given(seed=st.integers(0, 1000))
def test_spans_of_lines_end_at_the_end_of_a_line(kind: fim_spans.SpanKind, seed: int) -> None:
    text = driver(3)
    span = kind(text, random.Random(seed))
    assert span is not None
    start, end = span
    assert text[end] == "\n"
    if kind is fim_spans.rest_of_line:
        assert "\n" not in text[start:end]
    else:
        assert not text[text.rfind("\n", 0, start) + 1 : start].strip() and not text[start].isspace()


@settings(deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_span_of_syntax_is_a_node(seed: int) -> None:
    text = "int f(void)\n{\n\treturn größe(1);\n}\n"
    span = fim_spans.syntax_node(text, random.Random(seed))
    assert span is not None
    assert text[span[0] : span[1]] in {
        text, text.rstrip(), "int", "f(void)", "(void)", "void", "{\n\treturn größe(1);\n}", "return größe(1);",
        "größe(1)", "größe", "(1)",
    }  # fmt: skip


def test_windows_left_to_right_are_the_whole_file(tmp_path: Path) -> None:
    make_corpus(tmp_path, fim_rate=0.0, excerpt_rate=0.0)
    paths = {path.relative_to(tmp_path / "tree").as_posix() for path in (tmp_path / "tree").rglob("*.c")}
    found = dict.fromkeys(paths, "")
    for document in documents(tmp_path):
        path, _, text = document.removeprefix("<|file_sep|>").removesuffix("<|endoftext|>").partition("\n")
        found[path] = found.get(path, "") + text
    for path in paths:
        if not sources.is_held_out(path):
            assert found[path] == (tmp_path / "tree" / path).read_text()


def test_documents_with_spans_have_both_orders_and_fit_a_row(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path, fim_rate=1.0, psm_rate=0.5)
    found = documents(tmp_path)
    with_span = [document for document in found if "<|fim_middle|>" in document]
    suffix_first = [document for document in with_span if "<|fim_prefix|><|fim_suffix|>" in document]
    assert len(with_span) > 0.9 * len(found)
    assert 0.2 < len(suffix_first) / len(with_span) < 0.8
    tokens = shards.load(tmp_path / "corpus", "train")
    ends = np.flatnonzero(tokens == corpus.end)
    assert np.diff(ends, prepend=-1).max() <= corpus.sequence


def test_declarations_of_headers_precede_a_window(tmp_path: Path) -> None:
    make_corpus(tmp_path, sequence=256, excerpt_rate=1.0)
    found = [document for document in documents(tmp_path) if "<|file_sep|>include/linux/widget.h\n" in document]
    assert any("int widget_enable(struct widget *w, unsigned long flags);" in document for document in found)
    assert all(document.count("<|file_sep|>") <= 2 for document in found)


def test_held_out_files_are_not_trained_on(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    assert corpus.tokens["held-out"] > 0
    assert not any("driver/widget/held" in document for document in documents(tmp_path))
    held_out = documents(tmp_path, "held-out")
    assert any("fim_middle" in document for document in held_out)
    assert any("fim_middle" not in document for document in held_out)


def test_shards_name_their_files_and_licences(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    lines = (tmp_path / "corpus" / "train-000.tsv").read_text().splitlines()
    path, licence, count, tokens = lines[0].split("\t")
    assert (tmp_path / "tree" / path).exists()
    assert licence in ("GPL-2.0", "GPL-2.0-only")
    assert int(tokens) > int(count) > 0
    assert corpus.provenance["licences"] == {"GPL-2.0-only": 44, "GPL-2.0": 1}
    assert corpus.provenance["tree"] == "tree, Linux 6.1.27"
    assert corpus.tokens["train"] == len(shards.load(tmp_path / "corpus", "train"))


def test_an_interrupted_corpus_continues_with_the_missing_shards(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    folder = tmp_path / "corpus"
    full = {path.name: path.read_bytes() for path in folder.iterdir()}
    done, lost = folder / "train-000.xz", folder / "train-001.xz"
    before = done.stat().st_mtime_ns
    lost.unlink()
    lost.with_suffix(".tsv").unlink()
    (folder / "corpus.json").unlink()
    make_corpus(tmp_path)
    assert done.stat().st_mtime_ns == before
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == full


def test_another_config_makes_another_corpus(tmp_path: Path) -> None:
    make_corpus(tmp_path, fim_rate=0.0)
    make_corpus(tmp_path, fim_rate=1.0)
    assert any("<|fim_middle|>" in document for document in documents(tmp_path))


def test_a_packed_corpus_stays_within_its_size(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    folder = tmp_path / "corpus"
    room = sum(path.stat().st_size for path in folder.glob("*.xz")) + (folder / "tokenizer.json").stat().st_size
    room += corpora.MANIFEST_BYTES - (folder / "train-000.xz").stat().st_size // 2
    packed = corpora.pack(folder, tmp_path / "packed", room)
    assert 0 < len(packed.shards["train"]) < len(corpus.shards["train"])
    assert sum(path.stat().st_size for path in (tmp_path / "packed").iterdir()) <= room
    assert len(shards.load(tmp_path / "packed", "train")) == packed.tokens["train"]


def test_a_folder_without_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no corpus"):
        shards.read_manifest(tmp_path)
