"""Search in a tree as it is: some functions have comments, most have none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from kexpert.background.file_identity import FileIdentity
from kexpert.core.retrieval.chunk import chunks
from kexpert.core.retrieval.comment_features import best_openings
from kexpert.core.retrieval.words import query_stems
from kexpert.search.chunk_store import ChunkStore, FileChunks
from kexpert.search.posting_lists import PostingLists, write_posting_lists
from kexpert.search.schema import MatchIn
from kexpert.workspace.tree_index import SearchSettings, build, build_search, open_view

#: Functions whose comments share words with the questions below, and whose code does something else.
SAID = {
    "probe": "Allocate the state of an SFP device and get its name from the firmware node.",
    "module_start": "Called when the module of a device is there; the name of the SFP device is logged.",
    "attach": "Attach a network device to the SFP cage, by its name.",
    "check_state": "Get the state of the device.",
    "poll": "Look at the pins of the device again and again.",
    "remove": "Release all that the device holds, under its name.",
}


def driver(prefix: str) -> bytes:
    functions = (
        f"/**\n * {prefix}_{name}() - {said}\n * @dev: the device\n */\nint {prefix}_{name}(struct {prefix} *dev)\n{{\n"
        f"\tmutex_lock(&dev->lock);\n\tdev->{name} = {prefix}_{name}_once(dev);\n\treturn dev->{name};\n}}\n\n"
        for name, said in SAID.items()
    )
    return "".join(["#include <linux/device.h>\n\n", *functions]).encode()


FILES = {
    "Kconfig": b"", "Makefile": b"", "MAINTAINERS": b"",
    **{f"drivers/net/{prefix}.c": driver(prefix) for prefix in ("sfp", "qsfp", "xfp", "gbic", "cage", "phy", "mac")},
    "drivers/net/bus.c": b"const char *sfp_get_name(struct sfp *sfp)\n{\n\treturn dev_name(sfp->dev);\n}\n",
}  # fmt: skip


@pytest.mark.parametrize("query", ["get the SFP device name", "get the name of an SFP device"])
def test_an_undocumented_function_is_not_buried_by_documented_ones_that_share_words(
    make_tree: Callable[[Mapping[str, bytes]], Path], query: str
) -> None:
    root = make_tree(FILES)
    build(root)
    build_search(root, SearchSettings(vectors=False))
    assert open_view(root).search(query)[0].name == "sfp_get_name"


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[ChunkStore]:
    with contextlib.closing(ChunkStore(tmp_path / "search.db")) as store:
        store.create(tmp_path)
        for path, data in FILES.items():
            store.write([FileChunks(path, FileIdentity(len(data), 1), chunks(path, data))], [], 0, 1000)
        code = b"int plain_start(int a)\n{\n\t/* the firmware is slow */\n\treturn a;\n}\n"
        store.write([FileChunks("a.c", FileIdentity(len(code), 1), chunks("a.c", code))], [], 0, 1000)
        store.finish()
        yield store


def test_words_of_code_and_of_comments_are_matched_apart(filled: ChunkStore, tmp_path: Path) -> None:
    for _ in write_posting_lists(filled, tmp_path / "postings"):
        pass
    postings = PostingLists(tmp_path / "postings")

    def names(found: list[tuple[int, float]]) -> set[str]:
        return {row.title for row in filled.chunks([number for number, _ in found]).values()}

    for lists in (filled.match, postings.match):
        assert "plain_start" in names(lists(query_stems("firmware"), 50, match_in=MatchIn.COMMENTS))
        assert names(lists(query_stems("firmware"), 50, match_in=MatchIn.CODE)) == set()
        assert names(lists(query_stems("mutex"), 50, match_in=MatchIn.COMMENTS)) == set()
        assert "sfp_probe" in names(lists(query_stems("mutex"), 50, match_in=MatchIn.CODE))


def commented(name: str, comment: str) -> bytes:
    return f"/* {comment} */\nint {name}(int a)\n{{\n\treturn helper(a, a);\n}}\n\n".encode()


def test_a_comment_in_other_words_is_found_behind_many_that_end_with_the_words_of_the_question(
    make_tree: Callable[[Mapping[str, bytes]], Path],
) -> None:
    padding = "Called from the timer once in a while after the ring was full and before the others are woken"
    others = b"".join(
        commented(f"frob{at}", f"{padding}. {'Disable the DMA channel' if at % 6 == 0 else 'Nothing'}, case {at}.")
        for at in range(420)
    )
    wanted = commented("zap", "Stop a channel. Its bandwidth stays, and so do its weight, burst, group and colour.")
    root = make_tree({"Kconfig": b"", "Makefile": b"", "MAINTAINERS": b"", "a.c": others, "b.c": wanted})
    build(root)
    build_search(root, SearchSettings(vectors=False))
    assert "zap" in [hit.name for hit in open_view(root).search("disable a DMA channel", limit=5)]


def lexicon(words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """``halt`` and ``stop`` are alike; every other word is like none."""
    vectors = np.eye(len(words), 64 + len(words), 64, dtype=np.float32)
    for at, word in enumerate(words):
        if word in ("halt", "stop"):
            vectors[at] = np.eye(1, vectors.shape[1], 0 if word == "halt" else 1)[0] * 0.6
            vectors[at, 2] = 0.8
    return vectors, np.ones(len(words), np.float32)


def test_openings_are_compared_by_similar_words() -> None:
    comments = [[f"pad{at}", "channel"] for at in range(20)] + [["halt", "channel"]]
    assert 20 in best_openings(["stop", "channel"], comments, lexicon, 11)


def test_the_best_comments_by_their_words_are_kept_whatever_their_opening_says() -> None:
    comments = [["other"] * 12 + ["stop", "channel"]] + [["stop", "channel"]] * 40
    assert 0 in best_openings(["stop", "channel"], comments, lexicon, 20)


def test_words_after_the_opening_do_not_count() -> None:
    late, early = ["pad"] * 12 + ["stop", "channel"], ["pad"] * 4 + ["stop"]
    comments = [["pad"]] * 10 + [late, early]
    assert 11 in best_openings(["stop", "channel"], comments, lexicon, 11)
