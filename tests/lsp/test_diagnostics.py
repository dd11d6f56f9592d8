"""checkpatch's diagnostics, by the real server over stdin and stdout."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lsp_client import Client, RequestFailed
from tests.support.toy_tree import home_environment, make_toy_tree
from tests.support.waiting import eventually


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


def items_of(client: Client, path: Path) -> list[tuple[int, int]]:
    """(line, severity) of what is shown on a saved file."""
    answer = client.request("textDocument/diagnostic", {"textDocument": {"uri": path.as_uri()}})
    return [(item["range"]["start"]["line"], item["severity"]) for item in answer["items"]]


def test_without_git_what_checkpatch_says_is_a_hint(client: Client, checked_tree: Path) -> None:
    client.initialize(checked_tree, textDocument={"diagnostic": {}})
    path = checked_tree / "drivers/toy/user.c"
    client.open(path.as_uri(), path.read_text())
    assert items_of(client, path) == [(1, 4)]


def test_under_git_changed_lines_alone_are_reported_and_no_error_is_red(client: Client, checked_tree: Path) -> None:
    script = checked_tree / "scripts/checkpatch.pl"
    script.write_text(script.read_text().replace("WARNING", "ERROR"))
    for command in ("init -q", "add -A", "-c user.name=a -c user.email=a@b commit -q -m a"):
        subprocess.run(["git", *command.split()], cwd=checked_tree, check=True)
    client.initialize(checked_tree, textDocument={"diagnostic": {}})
    path, new = checked_tree / "drivers/toy/user.c", checked_tree / "drivers/toy/new.c"
    client.open(path.as_uri(), path.read_text())
    assert items_of(client, path) == []
    path.write_text("int a;\nint foo;\nint foo_b;\n")
    client.notify("textDocument/didSave", {"textDocument": {"uri": path.as_uri()}})
    assert items_of(client, path) == [(1, 2), (2, 2)]
    new.write_text("int foo;\n")
    client.open(new.as_uri(), new.read_text())
    assert items_of(client, new) == [(0, 2)]


def test_a_file_closed_while_checkpatch_runs_is_checked_when_it_is_opened_again(
    client: Client, checked_tree: Path
) -> None:
    script, text = checked_tree / "scripts/checkpatch.pl", CHECKPATCH
    script.write_text(f"open(my $f, '>', '{checked_tree.parent}/began'); close($f); sleep 60;")
    client.initialize(checked_tree, textDocument={"diagnostic": {}})
    path = checked_tree / "drivers/toy/user.c"
    client.open(path.as_uri(), path.read_text())
    running = client.send("textDocument/diagnostic", {"textDocument": {"uri": path.as_uri()}})
    assert eventually((checked_tree.parent / "began").exists)
    client.close(path.as_uri())
    client.notify("$/cancelRequest", {"id": running})
    with pytest.raises(RequestFailed):
        client.wait(running)
    script.write_text(text)
    client.open(path.as_uri(), path.read_text())
    assert items_of(client, path) == [(1, 4)]
    assert not [params for method, params in client.notifications if method == "window/logMessage"]


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
    assert "diagnostics.timeout_seconds" in client.wait_for("window/logMessage")["message"]
    assert not [method for method, _ in client.notifications if method == "window/showMessage"]
