"""Vectors in a real ChromaDB: in a folder, and on a real Chroma server."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kexpert.search.vectors import DIMENSIONS, VectorStore, VectorsUnavailable


def directions(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


@contextlib.contextmanager
def opened(place: Path | str, prefix: str = "kexpert") -> Iterator[VectorStore]:
    store = VectorStore(place, prefix)
    try:
        yield store
    finally:
        store.close()


def test_the_nearest_of_all_collections_come_first(folder: Path) -> None:
    vectors = directions(40)
    with opened(folder) as store:
        store.upsert(1, range(20), vectors[:20])
        store.upsert(2, range(20, 40), vectors[20:])
        for number in (3, 33):
            found = store.nearest([1, 2], vectors[number], 5)
            assert found[0][0] == number
            assert found[0][1] == pytest.approx(1.0, abs=1e-4)
            assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_a_search_within_some_vectors_finds_only_these(folder: Path) -> None:
    vectors = directions(60)
    with opened(folder) as store:
        store.upsert(1, range(60), vectors)
        assert {number for number, _ in store.nearest([1], vectors[0], 10, within=[7, 8, 9])} == {7, 8, 9}


def test_vectors_survive_closing_and_are_gone_after_deleting(folder: Path) -> None:
    vectors = directions(10)
    with opened(folder) as store:
        store.upsert(1, range(10), vectors)
        store.delete(1, [4, 5])
        store.delete(9, [1])  # a collection that does not exist
    with opened(folder) as store:
        assert store.count(1) == 8
        assert store.nearest([1], vectors[4], 1)[0][0] != 4
        assert sorted(store.held(1)) == [0, 1, 2, 3, 6, 7, 8, 9]


def test_writing_a_number_again_replaces_its_vector(folder: Path) -> None:
    old, new = directions(2)
    with opened(folder) as store:
        store.upsert(1, [7], old[None])
        store.upsert(1, [7], new[None])
        assert store.count(1) == 1
        assert store.nearest([1], new, 1)[0] == (7, pytest.approx(1.0, abs=1e-4))


def test_longer_vectors_are_truncated_and_normalised(folder: Path) -> None:
    long = np.random.default_rng(3).standard_normal((1, 2 * DIMENSIONS)).astype(np.float32)
    with opened(folder) as store:
        store.upsert(1, [1], long)
        assert np.linalg.norm(store.held(1)[1]) == pytest.approx(1.0, abs=1e-5)
        assert store.nearest([1], long[0], 1)[0][1] == pytest.approx(1.0, abs=1e-4)


def test_a_zero_vector_has_no_neighbours(folder: Path) -> None:
    with opened(folder) as store:
        store.upsert(1, [1], directions(1))
        assert store.nearest([1], np.zeros(DIMENSIONS, np.float32), 5) == []


def test_a_damaged_folder_is_reported(folder: Path) -> None:
    with opened(folder) as store:
        store.upsert(1, range(3000), directions(3000))
    database = folder / "chroma.sqlite3"
    data = bytearray(database.read_bytes())
    data[4096 : len(data) // 2] = os.urandom(len(data) // 2 - 4096)
    database.write_bytes(data)
    with pytest.raises(VectorsUnavailable), opened(folder) as store:
        assert store.count(1) == 3000


def test_a_lost_index_shows_in_its_count(folder: Path) -> None:
    with opened(folder) as store:
        store.upsert(1, range(6000), directions(6000))  # more than sync_threshold, so written to disk
    segments = [path for path in folder.iterdir() if path.is_dir()]
    assert segments
    for segment in segments:
        for file in segment.iterdir():
            file.write_bytes(b"\0" * 100)
    with pytest.raises(VectorsUnavailable), opened(folder) as store:
        store.count(1)


def test_a_server_serves_several_trees_and_processes(chroma_server: str) -> None:
    vectors = directions(20)
    with (
        opened(chroma_server, "one") as one,
        opened(chroma_server, "two") as two,
        opened(chroma_server, "one") as reader,
    ):
        one.upsert(1, range(10), vectors[:10])
        two.upsert(1, range(10), vectors[10:])
        assert one.nearest([1], vectors[3], 1)[0] == (3, pytest.approx(1.0, abs=1e-4))
        assert two.nearest([1], vectors[13], 1)[0][0] == 3
        assert reader.nearest([1], vectors[3], 1)[0][0] == 3
        one.delete(1, range(5))
        assert reader.count(1) == 5
        one.drop(1)
        assert one.count(1) == 0


def test_an_unreachable_server_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(VectorsUnavailable, match=str(port)):
        VectorStore(f"http://127.0.0.1:{port}")
