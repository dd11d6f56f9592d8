"""Two replicas of the web server and a real Chroma server, from the same settings, on one index."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.toy_embedder import make_embedder
from tests.support.toy_tree import TOY_FILES, WRITEBACK_FILES, write_tree
from tests.support.waiting import eventually
from tests.support.web_server import address_of, index, start, stop

#: Shares no word with the function that it means; only vectors find it.
MEANING = "sleep flush"


@dataclass(frozen=True)
class Replica:
    process: subprocess.Popen[bytes]
    address: str


@pytest.fixture
def replicas(tmp_path: Path, chroma_server: str) -> Iterator[list[Replica]]:
    """As in ``deploy/``: an indexer ran, both replicas read its index, which they cannot write."""
    tree = write_tree(tmp_path / "linux", {**TOY_FILES, **WRITEBACK_FILES})
    config = tmp_path / "config/kexpert/config.toml"
    config.parent.mkdir(parents=True)
    embedder = make_embedder(tmp_path / "embedder")
    config.write_text(f'[vectors]\nurl = "{chroma_server}"\nembedder = "{embedder}"\n')
    index(tmp_path, tree)
    found: list[Replica] = []
    try:
        for number in range(2):
            folder = tmp_path / f"replica-{number}"
            folder.mkdir()
            for name in ("cache", "config", "data"):
                (folder / name).symlink_to(tmp_path / name)
            process = start(folder, tree, ("--read-only", "--no-model", "--rate", "0"))
            found.append(Replica(process, address_of(process, folder)))
        yield found
    finally:
        for replica in found:
            stop(replica.process)


def names(address: str, query: str) -> list[str]:
    found = httpx.get(f"{address}/v1/search", params={"q": query}, timeout=60).json()
    return [hit["name"] for hit in found["results"]]


def test_both_replicas_search_the_vectors_of_the_chroma_server(replicas: list[Replica]) -> None:
    for replica in replicas:
        eventually(lambda at=replica.address: "folio_wait_writeback" in names(at, MEANING), seconds=90)
    found = eventually(  # a replica has the vectors of all files when its last worker is ready
        lambda: [names(replica.address, "wait until writeback is over") for replica in replicas],
        lambda found: found[0] == found[1],
        seconds=90,
    )
    assert found[0][0] == "folio_wait_writeback"


def test_a_killed_replica_loses_no_more_than_what_it_was_answering(replicas: list[Replica]) -> None:
    """Clients behave as a proxy does: they take turns and ask the other replica when one is gone."""
    clients, rounds = 6, 60
    lost: list[str] = []  # requests that one replica did not answer
    answers: list[int] = []
    killed = threading.Event()

    def ask(number: int) -> None:
        with httpx.Client(timeout=30) as client:
            for turn in range(rounds):
                if number == 0 and turn == rounds // 3:
                    os.kill(replicas[0].process.pid, signal.SIGKILL)
                    killed.set()
                for replica in (replicas[turn % 2], replicas[(turn + 1) % 2]):
                    was_killed = killed.is_set()
                    try:
                        found = client.get(f"{replica.address}/v1/symbols/toy_wind")
                    except httpx.TransportError as error:
                        lost.append("refused" if was_killed else type(error).__name__)
                        continue
                    assert found.json()["symbols"][0]["path"] == "drivers/toy/core.c"
                    answers.append(found.status_code)
                    break

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replicas[0].process.wait(10) == -signal.SIGKILL
    assert answers == [200] * (clients * rounds), "every question was answered, by the other replica if need be"
    assert len([each for each in lost if each != "refused"]) <= clients, "one request in flight a client"
    address = replicas[1].address
    eventually(lambda: "folio_wait_writeback" in names(address, MEANING), seconds=90)
