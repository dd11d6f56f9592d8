"""Several processes on one tree: workers of a server, a server that indexes, an index that nobody may write."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.toy_tree import TOY_FILES, write_tree
from tests.support.waiting import eventually
from tests.support.web_server import environment, web_server


def figure(text: str, name: str) -> float:
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} "))


def workers_of(address: str) -> set[int]:
    """The processes that listen on the server's port and are no parents of others."""
    port = address.rpartition(":")[2]
    listening = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{int(port):04X}") and line.split()[3] == "0A"
    }
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if _open_files(folder) & {f"socket:[{inode}]" for inode in listening}:
                found[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    return {pid for pid, parent in found.items() if parent in found}


def _open_files(process: Path) -> set[str]:
    """What its descriptors lead to, without those that are closed while they are read."""
    found = set()
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):
            found.add(os.readlink(descriptor))
    return found


def test_workers_answer_together_and_one_that_dies_is_replaced(web_folder: Path) -> None:
    options = ("--read-only", "--no-model", "--rate", "0", "--workers", "2")
    with web_server(web_folder, web_folder / "linux", *options) as address:
        eventually(lambda: figure(httpx.get(f"{address}/metrics", timeout=30).text, "kexpert_workers") == 2)
        before = eventually(lambda: workers_of(address), lambda found: len(found) == 2)
        counter = 'kexpert_requests_total{endpoint="symbols_name",status="200"}'
        for _ in range(20):  # each on a connection of its own: any worker may take it
            assert httpx.get(f"{address}/v1/symbols/toy_wind", timeout=30).status_code == 200
        eventually(lambda: figure(httpx.get(f"{address}/metrics", timeout=30).text, counter) == 20)
        os.kill(min(before), signal.SIGKILL)
        eventually(lambda: len(workers_of(address) - before) == 1 and len(workers_of(address)) == 2, seconds=60)
        assert eventually(lambda: _answers(address))


def _answers(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{address}/v1/symbols/toy_wind", timeout=30).status_code == 200
    return False


def test_a_server_reads_the_tree_itself_and_follows_it(tmp_path: Path) -> None:
    """Two of them: one writes the index, the other sees the same."""
    tree = write_tree(tmp_path / "linux", TOY_FILES)
    config = tmp_path / "config/kexpert/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[vectors]\nenabled = false\n")
    with web_server(tmp_path, tree, "--no-model") as one:
        health = eventually(lambda: httpx.get(f"{one}/health").json(), lambda found: found["status"] == "ready")
        assert health["index"]["writer"] is True
        other = tmp_path / "other"
        other.mkdir()
        for name in ("cache", "config", "data"):
            (tmp_path / name).mkdir(exist_ok=True)
            (other / name).symlink_to(tmp_path / name)
        with web_server(other, tree, "--no-model") as two:
            assert httpx.get(f"{two}/health").json()["index"]["writer"] is False
            (tree / "drivers/toy/new.c").write_text("int brand_new_toy;\n")
            for address in (one, two):
                eventually(lambda at=address: httpx.get(f"{at}/v1/symbols/brand_new_toy").status_code == 200)


def test_an_index_on_a_volume_that_nobody_may_write_is_read(web_folder: Path, tmp_path: Path) -> None:
    """As a replica in a cluster has it: a read-only mount, and no side files of a database that somebody has open."""
    cache = tmp_path / "cache"
    shutil.copytree(web_folder / "cache", cache)
    (folder,) = (cache / "kexpert").iterdir()
    for path in (*folder.glob("*-shm"), *folder.glob("*-wal"), *folder.glob("*.lock")):
        path.unlink()
    before = sorted(path.name for path in folder.iterdir())
    mount = f"mount --bind {cache} {cache} && mount -o remount,ro,bind {cache}"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from kexpert.http.api import find, files\n"
        "from kexpert.workspace.served_tree import ServedTree\n"
        "tree = ServedTree(Path(sys.argv[1]), print, writes=False, use_model=False)\n"
        "tree.start()\n"
        "found = find.symbol(tree, {'name': 'toy_wind'}, bool)\n"
        "by_meaning = find.search(tree, {'q': 'wind a toy up', 'mode': 'auto', 'limit': 5}, bool)\n"
        "print(found['symbols'][0]['path'], by_meaning['results'][0]['name'], files.health(tree, {}, bool)['status'])\n"
        "tree.close()"
    )
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", script,
         str(web_folder / "linux")],
        env={**environment(web_folder), "XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stdout.splitlines()[-1:] == ["drivers/toy/core.c toy_wind ready"], ran.stdout + ran.stderr
    assert sorted(path.name for path in folder.iterdir()) == before
