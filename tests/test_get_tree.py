"""scripts/get_tree.py prints complete trees only, and reports a failure in one line."""

from __future__ import annotations

import importlib.util
import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "get_tree.py"
TREE_FILES = ("MAINTAINERS", "Kbuild", "include/linux/kernel.h")


@pytest.fixture(scope="module")
def get_tree() -> ModuleType:
    spec = importlib.util.spec_from_file_location("get_tree", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.NEEDED_BYTES = 0
    return module


def make_tree(root: Path) -> Path:
    for name in TREE_FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.fixture(params=[True, False], ids=["data filter", "Python 3.11.2"])
def data_filter(request: pytest.FixtureRequest, get_tree: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpack with tarfile's data filter, where this Python has it, and without."""
    monkeypatch.setattr(get_tree, "HAS_DATA_FILTER", request.param and get_tree.HAS_DATA_FILTER)


def make_archive(path: Path, *names: str) -> Path:
    """Write an archive of files and, for a name ``link -> target``, symbolic links."""
    with tarfile.open(path, "w:xz") as tar:
        for name in names:
            data = b"x" * 100
            name, _, target = name.partition(" -> ")
            member = tarfile.TarInfo(name)
            if target:
                member.type, member.linkname = tarfile.SYMTYPE, target
            else:
                member.size = len(data)
            tar.addfile(member, None if target else io.BytesIO(data))
    return path


def test_a_tree_named_by_the_environment_comes_first(
    get_tree: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREE", str(make_tree(tmp_path / "mine")))
    assert get_tree.get_tree() == tmp_path / "mine"


def test_an_environment_that_names_no_tree_is_an_error(
    get_tree: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TREE", str(tmp_path))
    assert get_tree.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert str(tmp_path) in err
    assert err.count("\n") == 1


def test_an_unpacked_tree_is_reused_and_the_preferred_tree_comes_first(
    get_tree: ModuleType, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TREE", raising=False)
    trees = cache_home / "kexpert" / "trees"
    make_tree(trees / "linux-source-6.12")
    assert get_tree.get_tree() == trees / "linux-source-6.12"
    make_tree(trees / "linux-source-6.1")
    assert get_tree.get_tree() == trees / "linux-source-6.1"


@pytest.mark.usefixtures("data_filter")
def test_an_archive_is_unpacked_completely(get_tree: ModuleType, tmp_path: Path) -> None:
    names = (*TREE_FILES, "scripts/dtc/include-prefixes/arm -> ../../../include")
    archive = make_archive(tmp_path / "linux-source-9.9.tar.xz", *(f"linux-source-9.9/{name}" for name in names))
    trees = tmp_path / "trees"
    trees.mkdir()
    assert get_tree.unpack(archive, trees) == trees / "linux-source-9.9"
    assert [p.name for p in trees.iterdir()] == ["linux-source-9.9"]
    assert get_tree.unpacked(trees) == trees / "linux-source-9.9"
    assert (trees / "linux-source-9.9/scripts/dtc/include-prefixes/arm/linux/kernel.h").is_file()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["../escaped"], id="member outside the folder"),
        pytest.param(["linux/link -> ../../.."], id="link to the outside"),
        pytest.param(["linux/link -> ..", "linux/link/link -> ..", "linux/link/link/escaped"], id="links in a row"),
        pytest.param(["linux-source-9.9/README"], id="contains no tree"),
    ],
)
@pytest.mark.usefixtures("data_filter")
def test_a_bad_archive_leaves_nothing(get_tree: ModuleType, tmp_path: Path, names: list[str]) -> None:
    archive = make_archive(tmp_path / "linux-source-9.9.tar.xz", *names)
    trees = tmp_path / "trees"
    trees.mkdir()
    with pytest.raises((get_tree.NoTree, tarfile.TarError)):
        get_tree.unpack(archive, trees)
    assert not list(trees.iterdir())
    assert not (tmp_path / "escaped").exists()


def test_temporary_folders_of_killed_runs_are_removed(get_tree: ModuleType, tmp_path: Path) -> None:
    gone, alive = tmp_path / ".linux.999999999.part", get_tree.part_of(tmp_path, "linux")
    gone.mkdir()
    alive.mkdir()
    get_tree.remove_leftovers(tmp_path)
    assert not gone.exists()
    assert alive.exists()
