"""Search in a tree as it is: some functions have comments, most have none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from kexpert.background.file_identity import FileIdentity
from kexpert.core.retrieval.chunk import chunks
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
