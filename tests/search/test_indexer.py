"""Search in a running server: real processes, real ChromaDB, changing files, kills and damage."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kexpert.background.database import cache_directory
from kexpert.core.retrieval.chunk import chunks
from kexpert.index.indexed_files import SymbolIndexFiles
from kexpert.search.chunk_store import ChunkStore
from kexpert.search.indexer import prepare
from kexpert.search.sync_plan import make_sync_plan
from kexpert.search.vectors import VectorStore
from kexpert.search.worker import SearchWorker, WorkerSettings, vectors_folder, worker_of
from kexpert.view import SearchMethod
from kexpert.workspace.tree_index import SearchSettings, TreeIndex, VectorReader, build, build_search, open_view
from tests.support.toy_embedder import make_embedder
from tests.support.waiting import eventually

Maker = Callable[[Mapping[str, bytes]], Path]

WAIT = b"/* Wait until writeback of a folio is over. */\nvoid folio_wait_writeback(void)\n{\n\twait_on_bit(folio);\n}\n"
FREE = b"static int probe_device(int list)\n{\n\tfree_table(list);\n\treturn device_start(list);\n}\n"
TREE = {"mm/writeback.c": WAIT, "drivers/probe.c": FREE}


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_embedder(tmp_path_factory.mktemp("embedder")))


@pytest.fixture
def serve(make_tree: Maker, embedder: str) -> Iterator[Callable[..., TreeIndex]]:
    """Start the index of a tree with search, and wait until both know the tree."""
    running: list[TreeIndex] = []

    def begin(root: Path, messages: list[str] | None = None, **search: Any) -> TreeIndex:
        said = messages if messages is not None else []
        service = TreeIndex(root, search=SearchSettings(**{"embedder": embedder, **search}), on_message=said.append)
        running.append(service)
        service.start()
        assert service.wait_idle(90), said
        return service

    yield begin
    for service in running:
        service.close()


def found(service: TreeIndex, query: str) -> list[str]:
    """Names found by words and vectors together. (The trained ranker does not fit trees of three files.)"""
    return [hit.name for hit in service.view().search(query, method=SearchMethod.FUSED)]


def near(service: TreeIndex, query: str) -> list[str]:
    """Names found by vectors alone with a cosine above 0.2, nearest first."""
    assert service.search_indexer is not None
    with contextlib.closing(ChunkStore(service.directory / "search.db", readonly=True)) as store:
        numbers = [number for number, score in service.search_indexer.nearest(query, 20) if score > 0.2]
        rows = store.chunks(numbers)
        return [rows[number].title for number in numbers if number in rows]


def test_words_of_the_same_meaning_find_each_other(make_tree: Maker, serve: Callable[..., TreeIndex]) -> None:
    service = serve(make_tree(TREE))
    assert near(service, "sleep flush")[0] == "folio_wait_writeback"  # the code has neither word
    assert found(service, "folio writeback")[0] == "folio_wait_writeback"


def test_a_saved_file_is_found_within_seconds(make_tree: Maker, serve: Callable[..., TreeIndex]) -> None:
    root = make_tree(TREE)
    service = serve(root)
    (root / "mm/writeback.c").write_bytes(WAIT + b"int omega_spin(int zeta)\n{\n\treturn spin(zeta, omega);\n}\n")
    service.files_changed(["mm/writeback.c"])
    eventually(lambda: "omega_spin" in near(service, "omega spin zeta"), seconds=3)
    assert "folio_wait_writeback" in near(service, "wait writeback folio")
    (root / "mm/writeback.c").unlink()
    service.files_changed(["mm/writeback.c"])
    eventually(lambda: not near(service, "omega spin zeta"), seconds=3)
    assert "folio_wait_writeback" not in found(service, "folio writeback")


def test_documentation_is_found_and_followed(make_tree: Maker, serve: Callable[..., TreeIndex]) -> None:
    root = make_tree({**TREE, "Documentation/mm/zeta.rst": b"Zeta tables\n===========\n\nHow to copy a zeta table.\n"})
    service = serve(root)
    assert near(service, "copy zeta table")[0] == "Zeta tables"
    (root / "Documentation/mm/zeta.rst").write_bytes(b"Omega tables\n============\n\nHow to copy an omega table.\n")
    service.files_changed(["Documentation/mm/zeta.rst"])
    eventually(lambda: near(service, "copy omega table")[:1] == ["Omega tables"], seconds=3)


def test_unchanged_chunks_are_not_embedded_again(make_tree: Maker, embedder: str) -> None:
    root = make_tree(TREE)
    with worker_of_tree(root, embedder) as worker:
        bring_up(root, worker)
        before = numbers(worker)
        (root / "mm/writeback.c").write_bytes(b"\n\n" + WAIT)
        bring_up(root, worker)
        assert numbers(worker) == before  # the same vectors, by the same numbers
        assert next(row.line for row in all_rows(worker) if row.title == "folio_wait_writeback") == 3


def test_another_process_reads_words_while_one_has_the_vectors(
    make_tree: Maker, serve: Callable[..., TreeIndex]
) -> None:
    root = make_tree(TREE)
    first, second = serve(root), serve(root)
    assert first.writer
    assert not second.writer
    assert found(second, "folio writeback")[0] == "folio_wait_writeback"
    (root / "drivers/new.c").write_bytes(b"int omega_copy(int zeta)\n{\n\treturn copy_thing(zeta);\n}\n")
    first.files_changed(["drivers/new.c"])
    eventually(lambda: "omega_copy" in found(second, "omega copy"), seconds=3)
    first.close()
    eventually(lambda: second.writer and near(second, "sleep flush"), seconds=15)


def test_a_command_reports_that_a_server_has_the_vectors(
    make_tree: Maker, serve: Callable[..., TreeIndex], embedder: str
) -> None:
    root = make_tree(TREE)
    serve(root)
    said: list[str] = []
    reader = VectorReader(root, SearchSettings(embedder=embedder), said.append)
    found = open_view(root, reader).search("folio writeback", method=SearchMethod.FUSED)
    assert found[0].name == "folio_wait_writeback"
    assert f"process {os.getpid()} has the vectors" in said[0]
    reader.close()


def test_a_command_reads_vectors_of_another_command(make_tree: Maker, embedder: str) -> None:
    root = make_tree(TREE)
    build(root)
    report = build_search(root, SearchSettings(embedder=embedder))
    assert report.failure == ""
    assert report.vectors == report.chunks > 0
    reader = VectorReader(root, SearchSettings(embedder=embedder), print)
    assert open_view(root, reader).search("sleep flush", method=SearchMethod.VECTORS)[0].name == "folio_wait_writeback"
    reader.close()


def test_another_embedder_makes_all_vectors_anew(
    make_tree: Maker, serve: Callable[..., TreeIndex], tmp_path: Path
) -> None:
    root = make_tree(TREE)
    serve(root).close()
    messages: list[str] = []
    service = serve(root, messages, embedder=str(make_embedder(tmp_path / "other", seed=1)))
    assert any("another embedder" in message for message in messages)
    assert near(service, "sleep flush")[0] == "folio_wait_writeback"


def test_a_missing_embedder_is_reported_and_words_are_compared(
    make_tree: Maker, serve: Callable[..., TreeIndex]
) -> None:
    messages: list[str] = []
    service = serve(make_tree(TREE), messages, embedder="/nowhere/at/all")
    assert any("/nowhere/at/all" in message for message in messages)
    assert found(service, "folio writeback")[0] == "folio_wait_writeback"


def test_without_vectors_words_are_compared(make_tree: Maker, serve: Callable[..., TreeIndex]) -> None:
    service = serve(make_tree(TREE), vectors=False)
    assert found(service, "folio writeback")[0] == "folio_wait_writeback"
    assert not (service.directory / "vectors").exists()
    service.close()
    assert near(serve(service.root), "sleep flush")[0] == "folio_wait_writeback"  # switched on later


@pytest.mark.parametrize("what", ["vectors", "database", "gone"])
def test_damage_is_reported_and_repaired(make_tree: Maker, serve: Callable[..., TreeIndex], what: str) -> None:
    root = make_tree(TREE)
    service = serve(root)
    service.close()
    for worker in (service.directory / "vectors").iterdir():
        if what == "gone":
            shutil.rmtree(worker)
        elif what == "vectors":
            (worker / "chroma.sqlite3").write_bytes(os.urandom(1 << 16))
    if what == "database":
        (service.directory / "search.db").write_bytes(os.urandom(1 << 16))
    messages: list[str] = []
    mended = serve(root, messages)
    assert near(mended, "sleep flush")[:1] == ["folio_wait_writeback"], messages
    assert messages, "nothing was said"


def test_a_killed_worker_is_restarted(make_tree: Maker, serve: Callable[..., TreeIndex]) -> None:
    root = make_tree(TREE)
    service = serve(root)
    assert service.search_indexer is not None
    assert service.search_indexer.pool is not None
    for worker in service.search_indexer.pool.workers:
        assert worker.pid
        os.kill(worker.pid, signal.SIGKILL)
    (root / "drivers/new.c").write_bytes(b"int omega_copy(int zeta)\n{\n\treturn copy_thing(zeta);\n}\n")
    service.files_changed(["drivers/new.c"])
    eventually(lambda: "omega_copy" in near(service, "omega copy zeta"), seconds=30)
    assert near(service, "sleep flush")[0] == "folio_wait_writeback"


def test_a_chroma_server_keeps_the_vectors_of_a_tree(
    make_tree: Maker, serve: Callable[..., TreeIndex], chroma_server: str
) -> None:
    service = serve(make_tree(TREE), url=chroma_server)
    assert near(service, "sleep flush")[0] == "folio_wait_writeback"
    assert not (service.directory / "vectors").exists()


# -- killed at any moment ------------------------------------------------------------------------

_BUILDER = """
    import sys
    from pathlib import Path
    from kexpert.workspace.tree_index import SearchSettings, build, build_search

    if __name__ == "__main__":
        root = Path(sys.argv[1])
        build(root)
        print("go", flush=True)
        build_search(root, SearchSettings(embedder=sys.argv[2]), print, print)
"""


def big_tree(files: int) -> dict[str, bytes]:
    return {
        f"drivers/d{number}.c": b"".join(
            b"int alpha_%d_%d(int list)\n{\n\treturn copy_thing(list, %d);\n}\n" % (number, each, each)
            for each in range(60)
        )
        for number in range(files)
    }


@pytest.mark.parametrize("seconds", [0.0, 1.5, 2.5, 4.0])
def test_after_a_kill_words_vectors_and_symbols_agree(
    make_tree: Maker, embedder: str, tmp_path: Path, seconds: float
) -> None:
    root = make_tree({**TREE, **big_tree(60)})
    script = tmp_path / "builder.py"
    script.write_text(textwrap.dedent(_BUILDER))
    command = [sys.executable, str(script), str(root), embedder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
    (root / "drivers/d0.c").write_bytes(b"int omega_copy(int zeta)\n{\n\treturn copy_thing(zeta);\n}\n")
    (root / "drivers/d1.c").unlink()
    build(root)
    report = build_search(root, SearchSettings(embedder=embedder))
    assert report.failure == ""
    assert report.vectors == report.chunks
    directory = cache_directory(root)
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        known = {path: identity.size for path, identity in store.files().items()}
        wanted = {(path, chunk.name) for path in known for chunk in chunks(path, (root / path).read_bytes())}
        titles = {
            number: (path, title)
            for number, path, title in store.db.execute(
                "SELECT c.id, f.path, c.title FROM chunks c JOIN files f ON f.id = c.file"
            )
        }
        shards = [(number, worker) for number, worker in store.db.execute("SELECT number, worker FROM shards")]
    assert set(titles.values()) == wanted
    assert known.keys() >= {"drivers/d0.c", "mm/writeback.c"}
    assert "drivers/d1.c" not in known
    held: set[int] = set()
    for worker in {worker for _, worker in shards}:
        with contextlib.closing(VectorStore(vectors_folder(directory, worker), directory.name)) as vectors:
            for number, of in shards:
                if of == worker:
                    held |= vectors.held(number).keys()
    assert held == titles.keys()


# -- incremental equals fresh --------------------------------------------------------------------


@contextlib.contextmanager
def worker_of_tree(root: Path, embedder: str) -> Iterator[SearchWorker]:
    """The only worker of a tree, in this process, over real databases."""
    directory = cache_directory(root)
    build(root)
    prepare(root, directory, 1)
    worker = SearchWorker(WorkerSettings(root, directory, 0, embedder=embedder, open_index=SymbolIndexFiles))
    assert not worker.notes, worker.notes
    try:
        yield worker
    finally:
        worker.close()


def bring_up(root: Path, worker: SearchWorker, paths: set[str] | None = None) -> None:
    """Index changed files."""
    build(root)
    plan = make_sync_plan(root, worker.settings.directory, SymbolIndexFiles, paths, True)
    assert all(worker_of(file.path, 1) == 0 for file in plan.todo)
    for _ in worker.index(plan.todo, plan.gone):
        pass


def all_rows(worker: SearchWorker) -> list[Any]:
    every = [row[0] for row in worker.store.db.execute("SELECT id FROM chunks")]
    return list(worker.store.chunks(every).values())


def numbers(worker: SearchWorker) -> dict[str, int]:
    return {row.title: row.id for row in all_rows(worker)}


def stored(worker: SearchWorker) -> dict[tuple[Any, ...], tuple[float, ...]]:
    """All that search stores: each chunk with its words and its vector."""
    assert worker.vectors is not None
    shards = worker.store.shards(0)
    held = {number: vector for shard in shards for number, vector in worker.vectors.held(shard.number).items()}
    rows = {row.id: row for row in all_rows(worker)}
    assert held.keys() == rows.keys()
    assert not any(shard.dirty for shard in shards)
    return {
        (row.path, row.kind, row.title, row.name, row.doc, row.body): tuple(np.round(held[number], 5))
        for number, row in rows.items()
    }


def places(worker: SearchWorker) -> list[tuple[Any, ...]]:
    return sorted((row.path, row.kind, row.title, row.line, row.start, row.end) for row in all_rows(worker))


def matches(worker: SearchWorker) -> list[Any]:
    titles = {row.id: (row.path, row.title, row.start) for row in all_rows(worker)}
    words = ("alpha", "beta", "gamma", "wait", "writeback", "probe", "list", "zeta")
    return [sorted((titles[number], round(score, 4)) for number, score in worker.store.match([word], 99))
            for word in words]  # fmt: skip


NAMES = ["kernel/a.c", "kernel/b.c", "include/linux/c.h", "mm/Kconfig", "Documentation/d.rst"]
PIECES = [
    WAIT, FREE,
    b"/**\n * alpha() - Free a list.\n */\nint alpha(int list)\n{\n\tfree_list(list);\n\treturn 0;\n}\n",
    b"int alpha(int list)\n{\n\tfree_list(list);\n\treturn 0;\n}\n",
    b"struct gamma {\n\tint first;\n\tlong second;\n};\n",
    b"config ZETA\n\tbool \"Zeta devices\"\n\thelp\n\t  Probe zeta devices.\n",
    b"Beta tables\n===========\n\nHow to copy a beta table.\n\n",
    b"int broken( {{{\n", b"\xff\xfe /* \xe9 */\n",
]  # fmt: skip
contents = st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join)
names = st.sampled_from(NAMES)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("write"), names, contents),
        st.tuples(st.just("delete"), names),
        st.tuples(st.just("rename"), names, names),
    ),
    max_size=6,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.dictionaries(names, contents, max_size=4), steps=edits, reported=st.booleans())
def test_following_edits_equals_building_anew(
    embedder: str, start: dict[str, bytes], steps: list[tuple[Any, ...]], reported: bool
) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary, pytest.MonkeyPatch.context() as patch:
        folder = Path(temporary)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        root = folder / "linux"
        for name in [*NAMES, "include/linux/x"]:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        for path, data in start.items():
            (root / path).write_bytes(data)
        clock = 1_700_000_000_000_000_000
        with worker_of_tree(root, embedder) as worker:
            bring_up(root, worker)
            for step in steps:
                match step:
                    case ("write", path, data):
                        (root / path).write_bytes(data)
                        clock += 1_000_000
                        os.utime(root / path, ns=(clock, clock))
                    case ("delete", path):
                        (root / path).unlink(missing_ok=True)
                    case ("rename", old, new) if (root / old).exists():
                        (root / old).rename(root / new)
                bring_up(root, worker, {name for name in step[1:] if name in NAMES} if reported else None)
            patch.setenv("XDG_CACHE_HOME", str(folder / "fresh"))
            with worker_of_tree(root, embedder) as fresh:
                bring_up(root, fresh)
                assert places(worker) == places(fresh)
                assert stored(worker) == stored(fresh)
                assert matches(worker) == matches(fresh)
