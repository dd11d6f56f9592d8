"""A tree much like an indexed one begins with a copy of its index, and then has the index that it would have anyway."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kexpert.background.database import IndexState, cache_directory
from kexpert.index.schema import SymbolStore
from kexpert.index.seeding import SeedingCancelled, seed
from kexpert.index.service import IndexService, build, open_view
from tests.index.test_incremental import NAMES, bring_up, contents, dump, paths
from tests.support.killed import index_until_killed
from tests.support.toy_tree import ROOT_FILES
from tests.support.waiting import eventually

#: More files than a tree must have for its index to be copied.
FILES = 1100


def text(number: int) -> bytes:
    return b"int alpha_%d(int a)\n{\n\treturn beta_%d(a);\n}\n" % (number, number + 1)


def path(number: int) -> str:
    return f"drivers/d{number % 20}/f{number}.c"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(a tree of many files, the XDG_CACHE_HOME with its index)"""
    folder = tmp_path_factory.mktemp("original")
    root, cache = folder / "linux", folder / "cache"
    for name, data in ROOT_FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(data)
    for number in range(FILES):
        (root / path(number)).parent.mkdir(parents=True, exist_ok=True)
        (root / path(number)).write_bytes(text(number))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        build(root)
    return root, cache


@pytest.fixture
def trees(original: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """(the indexed tree, a copy of it whose files have other times), with an index that this test may change."""
    root, cache = original
    shutil.copytree(cache, tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(root, tmp_path / "worktree", copy_function=shutil.copyfile)
    return root, tmp_path / "worktree"


def begun(root: Path) -> tuple[str, int]:
    """Index a tree: (how it began, or "", the number of files that were read)."""
    said: list[str] = []
    report = build(root, on_message=said.append)
    return next((line for line in said if "begins with" in line), ""), report.changed


def named(root: Path, name: str) -> list[str]:
    return sorted(symbol.path for symbol in open_view(root).lookup(name))


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_only_the_files_that_differ_are_read(trees: tuple[Path, Path]) -> None:
    root, worktree = trees
    (worktree / path(7)).write_bytes(text(7) + b"int omega(void)\n{\n\treturn alpha_1(2);\n}\n")
    (worktree / path(8)).unlink()
    (worktree / "drivers/d0/new.c").write_bytes(b"int zeta(void)\n{\n\treturn alpha_9(1);\n}\n")
    before = digest(cache_directory(root) / "index.db")
    message, files_read = begun(worktree)
    assert f"begins with the index of {root}: {FILES:,} of {FILES + 2:,} files are the same" in message
    assert files_read == 2
    assert named(worktree, "omega") == [path(7)]
    assert named(worktree, "zeta") == ["drivers/d0/new.c"]
    assert named(worktree, "alpha_8") == []
    assert [symbol.name for symbol in open_view(worktree).callers("alpha_9")] == ["zeta"]
    assert digest(cache_directory(root) / "index.db") == before, "the other tree's index was changed"
    assert build(worktree).changed == 0


def test_a_file_of_the_same_size_and_time_is_compared_byte_by_byte(trees: tuple[Path, Path]) -> None:
    root, worktree = trees
    (worktree / path(7)).write_bytes(text(7).replace(b"alpha_7", b"omega_7"))
    stat = (root / path(7)).stat()
    os.utime(worktree / path(7), ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert begun(worktree)[1] == 1
    assert named(worktree, "omega_7") == [path(7)]
    assert named(worktree, "alpha_7") == []


def test_a_file_that_the_other_tree_changed_since_is_read(trees: tuple[Path, Path], tmp_path: Path) -> None:
    """The index has the other tree's text of yesterday; both files have today's."""
    root, worktree = trees
    shutil.copytree(root, tmp_path / "own", copy_function=shutil.copy2)
    build(tmp_path / "own")
    shutil.rmtree(cache_directory(root))
    for each in (tmp_path / "own", worktree):
        (each / path(7)).write_bytes(text(7).replace(b"alpha_7", b"omega_7"))
    message, files_read = begun(worktree)
    assert message
    assert files_read == 1
    assert named(worktree, "omega_7") == [path(7)]


def test_a_tree_that_others_can_write_is_not_believed(trees: tuple[Path, Path]) -> None:
    root, worktree = trees
    database = cache_directory(worktree) / "index.db"
    (cache_directory(root) / "index.db").chmod(0o666)
    assert seed(worktree, database) is None
    (cache_directory(root) / "index.db").chmod(0o644)
    cache_directory(root).chmod(0o777)
    assert seed(worktree, database) is None
    cache_directory(root).chmod(0o700)
    assert seed(worktree, database)


def test_a_tree_that_is_too_unlike_is_read_as_usual(trees: tuple[Path, Path]) -> None:
    _, worktree = trees
    for number in range(FILES // 2):
        (worktree / path(number)).write_bytes(text(number) + b"\n")
    assert begun(worktree) == ("", FILES + 2)


def test_what_a_killed_process_left_is_thrown_away(trees: tuple[Path, Path]) -> None:
    _, worktree = trees
    left = cache_directory(worktree) / "seed.new"
    left.mkdir(parents=True)
    (left / "index.db").write_bytes(b"half a database")
    message, files_read = begun(worktree)
    assert message
    assert files_read == 0
    assert named(worktree, "alpha_7") == [path(7)]
    assert not left.exists()


def test_kill_9_at_any_moment_costs_no_row(trees: tuple[Path, Path], tmp_path: Path) -> None:
    """Each run goes on from what the one before, which was killed a step later than its own predecessor, left."""
    root, worktree = trees
    (worktree / path(7)).write_bytes(text(7) + b"int omega(void)\n{\n\treturn alpha_1(2);\n}\n")
    before = digest(cache_directory(root) / "index.db")
    moments = 0
    while index_until_killed("kexpert.index.seeding", moments, worktree, "--no-vectors"):
        database = cache_directory(worktree) / "index.db"
        assert SymbolStore.state_of(database, worktree) in (IndexState.MISSING, IndexState.READY)
        moments += 1
    assert moments >= 5, "the copying has fewer steps than expected"
    bring_up(worktree, tmp_path / "fresh.db")
    assert dump(cache_directory(worktree) / "index.db") == dump(tmp_path / "fresh.db")
    assert digest(cache_directory(root) / "index.db") == before, "the other tree's index was changed"


def test_when_cancelled_nothing_is_left(trees: tuple[Path, Path]) -> None:
    _, worktree = trees
    database = cache_directory(worktree) / "index.db"
    with pytest.raises(SeedingCancelled):
        seed(worktree, database, cancelled=lambda: True)
    assert list(database.parent.iterdir()) == []
    assert begun(worktree)[1] == 0


def test_two_trees_in_one_server(trees: tuple[Path, Path]) -> None:
    """One process has the first tree's index open, writes it while the second is begun with it, and goes on."""
    root, worktree = trees
    own = worktree.with_name("own")
    shutil.copytree(root, own, copy_function=shutil.copyfile)
    said: list[str] = []
    first = IndexService(own, on_message=said.append)
    first.start()
    assert first.wait_idle(60)
    (own / path(7)).write_bytes(text(7) + b"int omega(void)\n{\n\treturn 1;\n}\n")
    first.files_changed([path(7)])
    second = IndexService(worktree, on_message=said.append)
    second.start()
    try:
        assert second.wait_idle(60)
        assert sum("begins with the index of" in line for line in said) == 2, said
        eventually(lambda: [symbol.path for symbol in first.view().lookup("omega")] == [path(7)])
        assert second.view().lookup("omega") == []
        (worktree / path(9)).write_bytes(text(9) + b"int zeta(void)\n{\n\treturn 1;\n}\n")
        second.files_changed([path(9)])
        eventually(lambda: [symbol.path for symbol in second.view().lookup("zeta")] == [path(9)])
        assert first.view().lookup("zeta") == []
    finally:
        second.close()
        first.close()


edits = st.lists(
    st.tuples(st.sampled_from(["ours", "theirs", "both", "delete", "same time"]), paths, contents), max_size=6
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.dictionaries(paths, contents, min_size=3, max_size=7), steps=edits)
def test_an_index_begun_with_a_copy_equals_one_built_anew(start: dict[str, bytes], steps: list[tuple]) -> None:
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        folder = Path(temporary)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        theirs, ours = folder / "theirs", folder / "ours"
        for name in NAMES:
            (theirs / name).parent.mkdir(parents=True, exist_ok=True)
        for name, data in (start | {f"lib/l{n}.c": b"int l%d;\n" % n for n in range(20)}).items():
            (theirs / name).parent.mkdir(exist_ok=True)
            (theirs / name).write_bytes(data)
        cache_directory(theirs).mkdir(parents=True, mode=0o700)
        bring_up(theirs, cache_directory(theirs) / "index.db")
        shutil.copytree(theirs, ours, copy_function=random.Random(len(steps)).choice([shutil.copy2, shutil.copyfile]))
        for what, name, data in steps:
            before = (theirs / name).stat() if (theirs / name).exists() else None
            if what == "delete":
                (ours / name).unlink(missing_ok=True)
            for tree in {"ours": [ours], "theirs": [theirs], "both": [theirs, ours], "same time": [ours]}.get(what, []):
                (tree / name).write_bytes(data)
            if what == "same time" and before:
                os.utime(ours / name, ns=(before.st_atime_ns, before.st_mtime_ns))
        database = cache_directory(ours) / "index.db"
        assert seed(ours, database, min_files=1)
        bring_up(ours, database)
        bring_up(ours, folder / "fresh.db")
        assert dump(database) == dump(folder / "fresh.db")
