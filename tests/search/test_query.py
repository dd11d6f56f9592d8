"""Search by words and vectors: results, their order, and filters."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.background.database import cache_directory
from kexpert.background.file_identity import FileIdentity
from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import ChunkKind, chunks
from kexpert.core.retrieval.words import query_stems
from kexpert.index.disk_view import DiskView
from kexpert.search import schema, sync_plan
from kexpert.search.chunk_store import ChunkStore, FileChunks
from kexpert.search.filters import FilterError, parse
from kexpert.search.posting_lists import PostingLists, write_posting_lists
from kexpert.search.query import Searcher
from kexpert.view import SearchMethod
from kexpert.workspace.tree_index import SearchSettings, VectorReader, build, build_search, open_view
from tests.support.toy_embedder import make_embedder
from tests.support.toy_tree import write_tree

FILES = {
    "Kconfig": b'config SMP\n\tbool "Symmetric multi-processing"\n\thelp\n\t  Use more than one processor.\n',
    "Makefile": b"obj-y += mm/ drivers/\n",
    "MAINTAINERS": b"MEMORY MANAGEMENT\nM:\tA <a@b.c>\nF:\tmm/\nX:\tmm/probe.c\n\nTHE REST\nF:\t*\n",
    "mm/Makefile": b"obj-$(CONFIG_SMP) += writeback.o\nobj-y += probe.o\n",
    "mm/writeback.c": b"/* Wait until writeback of a folio is over. */\n"
    b"void folio_wait_writeback(void)\n{\n\tint waited;\n\twait_on_bit(folio);\n\tflush_dirty(folio);\n}\n"
    b"EXPORT_SYMBOL(folio_wait_writeback);\n",
    "mm/probe.c": b"int probe_list(int list)\n{\n\tfree_table(list);\n\treturn device_start(list);\n}\n",
    "drivers/frob.c": b"struct frob_device {\n\tint size;\n\tint count;\n};\n\n"
    b"int frob_probe(struct frob_device *d)\n{\n\tfree_table(d);\n\treturn device_start(d->count);\n}\n",
    "drivers/ring.c": b"int ring_ceq(void)\n{\n\treturn ring_start();\n}\n",
    "Documentation/mm/page.rst": b"Page tables\n===========\n\nHow a page table is copied.\n",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tree indexed with real vectors, in a cache of this module."""
    folder = tmp_path_factory.mktemp("search")
    root = write_tree(folder / "linux", FILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        build(root)
        build_search(root, SearchSettings(embedder=str(make_embedder(folder / "embedder"))))
        yield root


@pytest.fixture(scope="module")
def vectors(tree: Path) -> Iterator[VectorReader]:
    reader = VectorReader(tree, SearchSettings(embedder=str(tree.parent / "embedder")), print)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def view(tree: Path, vectors: VectorReader) -> DiskView:
    return open_view(tree, vectors)


def names(view: DiskView, query: str, method: SearchMethod | None = None) -> list[str]:
    return [hit.name for hit in view.search(query, method=method)]


def test_words_find_chunks_that_hold_them(view: DiskView) -> None:
    assert names(view, "writeback of a folio", SearchMethod.BM25)[0] == "folio_wait_writeback"
    assert names(view, "sleep", SearchMethod.BM25) == []


@pytest.mark.parametrize("method", [SearchMethod.BM25, SearchMethod.FUSED, SearchMethod.RERANKED])
def test_a_name_that_abbreviates_the_words_of_a_query_is_found(view: DiskView, method: SearchMethod) -> None:
    assert names(view, "create the completion event queue", method)[0] == "ring_ceq"


def test_vectors_find_chunks_of_the_same_meaning(view: DiskView) -> None:
    assert names(view, "sleep flush", SearchMethod.VECTORS)[0] == "folio_wait_writeback"
    assert names(view, "sleep flush", SearchMethod.FUSED)[0] == "folio_wait_writeback"
    assert "folio_wait_writeback" in names(view, "sleep flush", SearchMethod.RERANKED)


def test_all_kinds_are_found(view: DiskView) -> None:
    found = {(hit.kind, hit.name) for query in ("page table", "processor", "frob") for hit in view.search(query)}
    assert found >= {
        (ChunkKind.SECTION, "Page tables"), (ChunkKind.CONFIG, "CONFIG_SMP"), (ChunkKind.STRUCT, "frob_device"),
        (ChunkKind.FUNCTION, "frob_probe"),
    }  # fmt: skip


@pytest.mark.parametrize("method", SearchMethod)
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("free table path:mm", {"probe_list"}),
        ("free table path:drivers/frob.c", {"frob_probe"}),
        ("free table path:*.c path:mm", {"probe_list", "frob_probe"}),
        ('writeback subsystem:"memory management"', {"folio_wait_writeback"}),
        ("free table subsystem:memory", set()),
        ("folio config:SMP", {"folio_wait_writeback"}),
        ("free table config:CONFIG_SMP", set()),
        ("frob kind:struct", {"frob_device"}),
        ("free table path:mm kind:struct", set()),
        ("free table path:nowhere", set()),
    ],
)
def test_filters_leave_only_matching_chunks(view: DiskView, query: str, found: set[str], method: SearchMethod) -> None:
    every = set(names(view, query, method))
    assert found <= every or method is SearchMethod.VECTORS  # a vector search need not find a word
    allowed = {"path:mm": "mm/", "path:drivers/frob.c": "drivers/frob.c", "path:nowhere": "nowhere"}
    for hit in view.search(query, method=method):
        for part, prefix in allowed.items():
            if part in query.split() and "path:*.c" not in query:
                assert hit.path.startswith(prefix)
        assert "kind:struct" not in query or hit.kind is ChunkKind.STRUCT
        assert "subsystem" not in query or hit.path == "mm/writeback.c"
        assert "config:" not in query or hit.path in ("mm/writeback.c", "Kconfig")


def test_an_unknown_kind_is_refused(view: DiskView) -> None:
    with pytest.raises(FilterError, match="kind:verb is none of"):
        view.search("x kind:verb")


def test_a_query_is_split_into_text_and_filters() -> None:
    question = parse('where is path:"fs/ext4" a lock kind:function taken config:SMP see http://x/path:y')
    assert question.text == "where is a lock taken see http://x/path:y"
    assert (question.paths, question.kinds, question.configs) == (("fs/ext4",), (ChunkKind.FUNCTION,), ("SMP",))


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_query_raises(view: DiskView, query: str) -> None:
    with contextlib.suppress(FilterError):
        view.search(query, method=SearchMethod.BM25)


def test_hits_in_an_open_buffer_have_its_positions(tree: Path, vectors: VectorReader) -> None:
    from kexpert.index.reader import IndexReader

    moved = b"\n" * 7 + FILES["mm/writeback.c"]
    cache = cache_directory(tree)
    searcher = Searcher(cache / "search.db", vectors)
    edited = DiskView(
        IndexReader(tree, cache / "index.db"), {"mm/writeback.c": Source("mm/writeback.c", moved)}, searcher=searcher
    )
    hit = edited.search("writeback folio", method=SearchMethod.FUSED)[0]
    assert hit.line == 8
    assert moved[hit.start : hit.end].startswith(b"void folio_wait_writeback")
    gone = DiskView(
        IndexReader(tree, cache / "index.db"), {"mm/writeback.c": Source("mm/writeback.c", b"\n")}, searcher=searcher
    )
    assert "folio_wait_writeback" not in names(gone, "writeback folio")


def test_similar_code_is_found_in_other_files(view: DiskView) -> None:
    probe = next(chunk for chunk in chunks("mm/probe.c", FILES["mm/probe.c"]) if chunk.name == "probe_list")
    found = view.similar(probe, 3, timeout=20)
    assert found[0].name == "frob_probe"
    assert all(hit.name != "probe_list" for hit in found)
    assert view.similar(probe, 3, timeout=0.0) or view.similar(probe, 3, timeout=20)


# -- posting lists -------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[ChunkStore]:
    with contextlib.closing(ChunkStore(tmp_path / "search.db")) as store:
        store.create(tmp_path)
        words = ["page", "lock", "list", "free", "device", "probe"]
        for number in range(300):
            text = " ".join(words[(number * step) % 6] + "_" + words[step] for step in range(1 + number % 5))
            code = f"int f{number}_{words[number % 6]}(int a)\n{{\n\treturn {text.replace(' ', ' + ')};\n}}\n".encode()
            path = f"drivers/{words[number % 4]}/f{number}.c"
            store.write([FileChunks(path, FileIdentity(len(code), 1), chunks(path, code))], [], 0, 1000)
        store.finish()
        yield store


def test_posting_lists_score_as_fts5_does(filled: ChunkStore, tmp_path: Path) -> None:
    for _ in write_posting_lists(filled, tmp_path / "postings"):
        pass
    postings = PostingLists(tmp_path / "postings")
    assert postings.last == filled.last()
    for query in ("free page", "probe device list", "lock", "nothing of the kind", "page lock list free device probe"):
        words = query_stems(query)
        slow, quick = filled.match(words, 300), postings.match(words, 300)
        assert {number for number, _ in slow} == {number for number, _ in quick}
        scores = dict(quick)
        for number, score in slow:
            assert scores[number] == pytest.approx(score, rel=0.05, abs=0.05)
        few = [number for number, _ in slow[:3]]
        assert {number for number, _ in postings.match(words, 10, few)} == set(few)
        assert len(postings.match(words, 2)) == min(2, len(slow))


def test_a_truncated_file_of_posting_lists_is_refused(filled: ChunkStore, tmp_path: Path) -> None:
    path = tmp_path / "postings"
    for _ in write_posting_lists(filled, path):
        pass
    data = path.read_bytes()
    for size in (0, 5, 30, 60, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError):
            PostingLists(path)


def test_chunks_newer_than_the_posting_lists_are_found(
    make_tree: Callable[[Mapping[str, bytes]], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_plan, "_MAX_NEW_CHUNKS", 1)
    root = make_tree(FILES)
    embedder = SearchSettings(embedder=str(make_embedder(tmp_path / "embedder")))
    build(root)
    build_search(root, embedder)
    directory = cache_directory(root)
    assert PostingLists(directory / "search.postings").last > 1
    monkeypatch.setattr(sync_plan, "_MAX_NEW_CHUNKS", 1000)
    (root / "mm/new.c").write_bytes(b"int omega_writeback(int a)\n{\n\treturn wait_on_bit(a);\n}\n")
    (root / "mm/probe.c").unlink()
    build(root)
    build_search(root, embedder)
    view = open_view(root)
    assert set(names(view, "writeback wait", SearchMethod.BM25)) == {"folio_wait_writeback", "omega_writeback"}
    assert "probe_list" not in names(view, "free table", SearchMethod.BM25)
    (directory / "search.postings").write_bytes(b"damaged")
    assert "omega_writeback" in names(open_view(root), "writeback wait", SearchMethod.BM25)


def test_another_version_rebuilds_the_database(
    make_tree: Callable[[Mapping[str, bytes]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(FILES)
    build(root)
    build_search(root, SearchSettings(vectors=False))
    monkeypatch.setattr(schema, "SEARCH_VERSION", schema.SEARCH_VERSION + 1)
    messages: list[str] = []
    build_search(root, SearchSettings(vectors=False), on_message=messages.append)
    assert "another version" in messages[0]
