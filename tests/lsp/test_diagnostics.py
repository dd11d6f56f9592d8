"""checkpatch's diagnostics, by the real server over stdin and stdout."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lsp_client import Client, RequestFailed
from tests.support.toy_tree import home_environment, make_toy_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_toy_tree(tmp_path / "linux")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(env=home_environment(tmp_path)) as client:
        yield client


CHECKPATCH = """#!/usr/bin/perl
my $file = $ARGV[-1];
open(my $in, '<', $file);
while (<$in>) { print "$file:$.: WARNING:BAD_WORD: do not say $1\\n" if /(foo)/; }
exit 1;
"""


@pytest.fixture
def checked_tree(tree: Path) -> Path:
    script = tree / "scripts/checkpatch.pl"
    script.write_text(CHECKPATCH)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (tree / "drivers/toy/user.c").write_text("int a;\n\tint foo; \n")
    return tree


def test_diagnostics_are_published_when_a_file_is_opened_and_saved(client: Client, checked_tree: Path) -> None:
    client.initialize(checked_tree)
    path = checked_tree / "drivers/toy/user.c"
    client.open(path.as_uri(), path.read_text())
    (found,) = client.wait_for("textDocument/publishDiagnostics")["diagnostics"]
    assert (found["code"], found["message"], found["source"]) == ("BAD_WORD", "do not say foo", "checkpatch")
    assert found["range"] == {"start": {"line": 1, "character": 1}, "end": {"line": 1, "character": 9}}
    path.write_text("int a;\n")
    os.utime(path, ns=(1, 1))
    client.notify("textDocument/didSave", {"textDocument": {"uri": path.as_uri()}})
    assert client.wait_for("textDocument/publishDiagnostics")["diagnostics"] == []


def test_diagnostics_on_demand(client: Client, checked_tree: Path) -> None:
    client.initialize(checked_tree, textDocument={"diagnostic": {}})
    path = checked_tree / "drivers/toy/user.c"
    client.open(path.as_uri(), path.read_text())
    document = {"textDocument": {"uri": path.as_uri()}}
    first = client.request("textDocument/diagnostic", document)
    assert [item["code"] for item in first["items"]] == ["BAD_WORD"]
    again = client.request("textDocument/diagnostic", {**document, "previousResultId": first["resultId"]})
    assert again == {"kind": "unchanged", "resultId": first["resultId"]}


def test_checkpatch_leaves_nothing_in_the_tree(client: Client, checked_tree: Path) -> None:
    script = checked_tree / "scripts/checkpatch.pl"
    script.write_text("open(my $f, '>', '.checkpatch-camelcase.date.1') or die; print $f 'x';\n" + CHECKPATCH)
    before = sorted(checked_tree.rglob("*"))
    client.initialize(checked_tree, textDocument={"diagnostic": {}})
    uri = (checked_tree / "drivers/toy/user.c").as_uri()
    client.open(uri, "")
    assert client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})["items"]
    assert sorted(checked_tree.rglob("*")) == before


def test_the_trees_own_script_is_not_run_when_that_is_turned_off(client: Client, checked_tree: Path) -> None:
    (checked_tree / "scripts/checkpatch.pl").write_text(f"open(F, '>', '{checked_tree}/ran'); print F 1;")
    client.initialize(checked_tree, options={"diagnostics": {"checkpatch": False}}, textDocument={"diagnostic": {}})
    path = checked_tree / "drivers/toy/user.c"
    client.open(path.as_uri(), path.read_text())
    assert client.request("textDocument/diagnostic", {"textDocument": {"uri": path.as_uri()}})["items"] == []
    assert not (checked_tree / "ran").exists()


# Long requests


def test_a_long_request_delays_no_short_one_and_can_be_cancelled(client: Client, checked_tree: Path) -> None:
    (checked_tree / "scripts/checkpatch.pl").write_text("sleep 60;")
    client.initialize(checked_tree, textDocument={"diagnostic": {}})
    uri = (checked_tree / "drivers/toy/user.c").as_uri()
    client.open(uri, "int a;\n")
    running = client.send("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    queued = client.send("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    assert client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    for request in (queued, running):
        client.notify("$/cancelRequest", {"id": request})
        with pytest.raises(RequestFailed) as cancelled:
            client.wait(request)
        assert cancelled.value.code == -32800
    assert client.leave() == 0


def test_checkpatch_is_ended_after_its_timeout(client: Client, checked_tree: Path) -> None:
    (checked_tree / "scripts/checkpatch.pl").write_text("sleep 60;")
    client.initialize(checked_tree, options={"diagnostics.timeout_seconds": 0.2}, textDocument={"diagnostic": {}})
    uri = (checked_tree / "drivers/toy/user.c").as_uri()
    client.open(uri, "int a;\n")
    assert client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})["items"] == []
    assert "diagnostics.timeout_seconds" in client.wait_for("window/showMessage")["message"]
