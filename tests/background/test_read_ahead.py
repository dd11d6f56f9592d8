"""Texts read ahead on threads come in order, and no more are read than somebody asks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kexpert.background.read_ahead import wanted_texts

PATHS = [f"file{number}.c" for number in range(1000)]


def text_of(path: str) -> bytes | None:
    return None if path.endswith("7.c") else path.encode()


@pytest.mark.parametrize("can_join", [False, True])
def test_each_path_comes_once_and_in_order_with_the_texts_that_are_wanted(can_join: bool) -> None:
    found = list(wanted_texts(PATHS, text_of, lambda data: b"5" in data, can_join=can_join))
    assert [path for path, _ in found] == PATHS
    assert {path for path, data in found if data is not None} == {
        path for path in PATHS if "5" in path and not path.endswith("7.c")
    }
    assert all(data == path.encode() for path, data in found if data is not None)


def test_a_few_files_need_no_thread_and_none_are_nothing() -> None:
    assert list(wanted_texts(["a", "b7.c"], text_of, lambda _: True)) == [("a", b"a"), ("b7.c", None)]
    assert list(wanted_texts([], text_of, lambda _: True)) == []


def test_texts_that_can_be_joined_are_asked_about_together() -> None:
    asked: list[bytes] = []

    def holds(data: bytes) -> bool:
        asked.append(data)
        return b"file605.c" in data

    found = dict(wanted_texts(PATHS, text_of, holds, can_join=True))
    assert [path for path, data in found.items() if data] == ["file605.c"] and len(asked) < 200


def test_who_stops_asking_stops_the_reading() -> None:
    read: list[str] = []

    def noted(path: str) -> bytes:
        read.append(path)
        return b""

    texts = wanted_texts(PATHS * 20, noted, lambda _: True)
    for _ in range(10):
        next(texts)
    texts.close()  # type: ignore[attr-defined]
    assert len(read) < 1000


@pytest.mark.parametrize("broken", ["read", "wanted"])
def test_an_error_on_a_thread_reaches_who_asks(broken: str) -> None:
    def fails(_: object) -> bytes:
        raise ZeroDivisionError

    read: Callable[[str], bytes | None] = fails if broken == "read" else text_of
    with pytest.raises(ZeroDivisionError):
        list(wanted_texts(PATHS, read, lambda data: bool(fails(data)) if broken == "wanted" else True))
