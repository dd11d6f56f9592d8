"""The chunks and stems that the search database stores of a fixed tree, ``golden/tree``.

``KEXPERT_GOLDEN=write pytest tests/search/test_golden_chunks.py`` writes ``golden/chunks.json`` anew, and refuses to
do so for other chunks of the same SEARCH_VERSION.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kexpert.background.tree import scan
from kexpert.core.retrieval.chunk import ChunkKind, chunks
from kexpert.core.retrieval.words import stems
from kexpert.search.schema import SEARCH_VERSION, stems_of

FOLDER = Path(__file__).parent / "golden"
TREE = FOLDER / "tree"
GOLDEN = FOLDER / "chunks.json"
_BUMP = "other chunks or stems are stored: bump kexpert.search.schema.SEARCH_VERSION, then write the golden file"


def stored() -> dict[str, Any]:
    """All that the search database stores, by file."""
    return {
        path.relative_to(TREE).as_posix(): stored_of(path) for path in sorted(TREE.rglob("*")) if path.is_file()
    }


def stored_of(path: Path) -> dict[str, Any]:
    name = path.relative_to(TREE).as_posix()
    found = []
    for chunk in chunks(name, path.read_bytes()):
        name_stems, documentation_stems, body_stems = stems_of(chunk)
        found.append(
            {
                "name": chunk.name,
                "kind": chunk.kind.name,
                "line": chunk.line,
                "range": f"{chunk.start}-{chunk.end}",
                "id": chunk.id,
                "summary": chunk.summary,
                "name_stems": name_stems,
                "documentation_stems": documentation_stems,
                "body_stems": body_stems,
            }
        )
    return {"path_stems": " ".join(stems(name)), "chunks": found}


def test_other_chunks_need_a_new_search_version() -> None:
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {"version": 0}
    files = stored()
    if os.environ.get("KEXPERT_GOLDEN") == "write":
        assert golden["version"] != SEARCH_VERSION or golden["files"] == files, _BUMP
        text = json.dumps({"version": SEARCH_VERSION, "files": files}, indent=1, ensure_ascii=False)
        GOLDEN.write_text(text + "\n")
        return
    assert golden["version"] == SEARCH_VERSION, "the golden file is of another version: write it anew"
    for name in golden["files"] | files:
        assert files.get(name) == golden["files"].get(name), _BUMP


def test_every_kind_of_chunk_is_in_the_golden_file() -> None:
    kinds = {chunk["kind"] for file in json.loads(GOLDEN.read_text())["files"].values() for chunk in file["chunks"]}
    assert kinds == {kind.name for kind in ChunkKind}


@pytest.mark.parametrize("path", ["drivers/gizmo/Makefile", "drivers/gpu/drm/amd/include/regs.h"])
def test_files_without_chunks_stay_without(path: str) -> None:
    assert json.loads(GOLDEN.read_text())["files"][path]["chunks"] == []


def test_all_files_that_the_index_reads_are_in_the_golden_file() -> None:
    assert {file.path for file in scan(TREE)} <= json.loads(GOLDEN.read_text())["files"].keys()
