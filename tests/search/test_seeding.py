"""Search of a tree much like another begins with a copy of that one's chunks and vectors."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kexpert.background.database import cache_directory
from kexpert.index.indexed_files import SymbolIndexFiles
from kexpert.search import worker as worker_module
from kexpert.search.chunk_store import ChunkStore
from kexpert.search.indexer import prepare
from kexpert.search.seeding import seed
from kexpert.search.sync_plan import make_sync_plan
from kexpert.search.vectors import _HNSW, VectorStore
from kexpert.search.worker import SearchWorker, WorkerSettings, vectors_folder
from kexpert.workspace.tree_index import SearchSettings, TreeIndex, build, build_search
from tests.support.killed import index_until_killed
from tests.support.toy_embedder import make_embedder
from tests.support.toy_tree import ROOT_FILES

FILES = 1010
#: (path, title, line, body) of each chunk -> its vector
Stored = dict[tuple[str, str, int, str], tuple[float, ...]]
WAIT = b"/* Wait until writeback of a folio is over. */\nvoid folio_wait_writeback(void)\n{\n\twait_on_bit(folio);\n}\n"


def path(number: int) -> str:
    return f"drivers/d{number % 20}/f{number}.c"


def text(number: int) -> bytes:
    return b"int alpha_%d(int list)\n{\n\treturn copy_thing(list, %d);\n}\n" % (number, number)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_embedder(tmp_path_factory.mktemp("embedder")))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, embedder: str) -> Path:
    """A folder with a tree, ``linux``, and the XDG_CACHE_HOME that has its index and its vectors, ``cache``."""
    folder = tmp_path_factory.mktemp("original")
    files = ROOT_FILES | {path(number): text(number).decode() for number in range(FILES)}
    for name, data in (files | {"mm/writeback.c": WAIT.decode()}).items():
        (folder / "linux" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "linux" / name).write_text(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        build(folder / "linux")
        assert not build_search(folder / "linux", SearchSettings(embedder=embedder)).failure
    return folder


def make_worktree(original: Path, worktree: Path) -> Path:
    """A copy of the indexed tree with three other files."""
    shutil.copytree(original / "linux", worktree, copy_function=shutil.copyfile)
    (worktree / path(7)).write_bytes(b"int omega(int zeta)\n{\n\treturn spin(zeta);\n}\n")
    (worktree / path(8)).unlink()
    (worktree / "mm/new.c").write_bytes(b"\n\n" + text(9))
    return worktree


@pytest.fixture
def trees(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """(the tree that was indexed, a copy with three other files), with an index that this test may change."""
    shutil.copytree(original / "cache", tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return original / "linux", make_worktree(original, tmp_path / "worktree")


@pytest.fixture(scope="module")
def built_anew(original: Path, embedder: str, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """The search of the copy, made without that of the other tree."""
    folder = tmp_path_factory.mktemp("anew")
    worktree = make_worktree(original, folder / "worktree")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        build(worktree)
        build_search(worktree, SearchSettings(embedder=embedder))
        return stored(worktree)


def open_worker(root: Path, embedder: str) -> SearchWorker:
    """The only worker of a tree, in this process, brought up to date."""
    directory = cache_directory(root)
    build(root)
    prepare(root, directory, 1)
    worker = SearchWorker(WorkerSettings(root, directory, 0, embedder=embedder, open_index=SymbolIndexFiles))
    plan = make_sync_plan(root, directory, SymbolIndexFiles, None, True)
    for _ in worker.index(plan.todo, plan.gone):
        pass
    worker.store.finish()
    return worker


@pytest.fixture
def full(make_tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree whose first collection of vectors will be full."""
    monkeypatch.setattr(worker_module, "SHARD_CAPACITY", 5)
    monkeypatch.setattr("kexpert.search.vectors._HNSW", _HNSW | {"sync_threshold": 2, "batch_size": 2})
    return make_tree({path(number): text(number) for number in range(8)})


def test_nothing_is_deleted_from_a_full_collection_until_it_is_made_anew(full: Path, embedder: str) -> None:
    with contextlib.closing(open_worker(full, embedder)):
        pass
    superseded = [b"omega_%d" % number for number in range(5)]
    for number in range(2):
        (full / path(number)).write_bytes(text(number).replace(b"alpha_%d" % number, superseded[number]))
        with contextlib.closing(open_worker(full, embedder)) as worker:
            assert worker.vectors is not None
            held = worker.vectors.held(1).keys()
            rows = worker.store.chunks([*held])
            names = {worker.store.chunks([found])[found].title for found, _ in worker.nearest("alpha omega", 50)
                     if worker.store.chunks([found])}  # fmt: skip
        assert "omega_0" in names
        assert "alpha_0" not in names
        # one of five is left where it is; two are more than a quarter
        assert len(held) - len(rows) == (1 if number == 0 else 2)
    with contextlib.closing(open_worker(full, embedder)) as worker:
        assert any("superseded; made anew" in note for note in worker.notes)
        assert worker.vectors is not None
        held = worker.vectors.held(1).keys()
        assert worker.store.chunks([*held]).keys() == held
    assert {key[1] for key in stored(full)} >= {"omega_0", "omega_1", "alpha_2", "alpha_7"}


def test_files_that_nobody_writes_are_shared(full: Path, embedder: str, tmp_path: Path) -> None:
    with contextlib.closing(open_worker(full, embedder)):
        pass
    worktree = tmp_path / "worktree"
    shutil.copytree(full, worktree)
    build(worktree)
    before = stored(full)
    directory = cache_directory(worktree)
    assert seed(worktree, directory, SymbolIndexFiles, True, print, lambda: False, min_files=1, capacity=5)
    links = {file.stat().st_nlink for file in (directory / "vectors").rglob("data_level0.bin")}
    assert links == {1, 2}
    (worktree / path(0)).write_bytes(text(0).replace(b"alpha_0", b"omega_0"))
    (full / path(1)).write_bytes(text(1).replace(b"alpha_1", b"omega_1"))
    for root in (worktree, full):
        with contextlib.closing(open_worker(root, embedder)) as worker:
            assert worker.notes == []
    changed = {key[1]: vector for key, vector in before.items()}
    assert {key[1] for key in stored(worktree)} == changed.keys() - {"alpha_0"} | {"omega_0"}
    assert {key[1] for key in stored(full)} == changed.keys() - {"alpha_1"} | {"omega_1"}


def stored(root: Path) -> Stored:
    """All chunks of a tree with their vectors."""
    directory = cache_directory(root)
    held = {}
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        assert store.counts()[1] == 0
        for (worker,) in store.db.execute("SELECT DISTINCT worker FROM shards").fetchall():
            with contextlib.closing(VectorStore(vectors_folder(directory, worker), store.collections_prefix)) as opened:
                for shard in store.shards(worker):
                    held |= opened.held(shard.number)
        rows = store.chunks(list(held))
        assert len(rows) == store.counts()[0]
    return {
        (row.path, row.title, row.line, row.body): tuple(np.round(held[number], 5)) for number, row in rows.items()
    }


def test_search_begun_with_a_copy_equals_search_built_anew(
    trees: tuple[Path, Path], embedder: str, built_anew: Stored
) -> None:
    root, worktree = trees
    before = stored(root)
    said: list[str] = []
    build(worktree)
    report = build_search(worktree, SearchSettings(embedder=embedder), on_message=said.append)
    assert report.failure == ""
    assert any(f"begins with the search of {root}" in line for line in said), said
    assert not any("made anew" in line for line in said), said
    assert stored(worktree) == built_anew
    assert stored(root) == before, "the other tree's search was changed"


def test_kill_9_at_any_moment_costs_no_vector(
    trees: tuple[Path, Path], embedder: str, built_anew: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run goes on from what the one before left, killed a step later than its own predecessor."""
    root, worktree = trees
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config/kexpert").mkdir(parents=True)
    (tmp_path / "config/kexpert/config.toml").write_text(f'[vectors]\nembedder = "{embedder}"\n')
    before = stored(root)
    moments = 0
    while index_until_killed("kexpert.search.seeding", moments, worktree):
        moments += 1
    assert moments >= 7, "the copying has fewer steps than expected"
    assert stored(worktree) == built_anew
    assert stored(root) == before, "the other tree's search was changed"


def test_the_other_tree_may_be_open_in_a_server(trees: tuple[Path, Path], embedder: str) -> None:
    root, worktree = trees
    said: list[str] = []
    settings = SearchSettings(embedder=embedder)
    services = [TreeIndex(each, search=settings, watch=False, on_message=said.append) for each in (root, worktree)]
    try:
        for service in services:
            service.start()
            assert service.wait_idle(90), said
            assert service.search_indexer is not None
            assert service.search_indexer.nearest("sleep flush", 1), said
        assert any(f"begins with the search of {root}" in line for line in said), said
    finally:
        for service in services:
            service.close()
    assert ("mm/new.c", "alpha_9") in {key[:2] for key in stored(worktree)}
    assert ("mm/new.c", "alpha_9") not in {key[:2] for key in stored(root)}


def test_without_vectors_the_words_alone_are_copied(trees: tuple[Path, Path], embedder: str) -> None:
    _, worktree = trees
    build(worktree)
    report = build_search(worktree, SearchSettings(vectors=False))
    assert (report.chunks > FILES, report.vectors) == (True, 0)
    assert not (cache_directory(worktree) / "vectors").exists()
    assert build_search(worktree, SearchSettings(embedder=embedder)).vectors == report.chunks
