"""The protocol: revisions old and new, what is listed, nonsense, several processes, ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kexpert.mcp.instructions import INSTRUCTIONS
from kexpert.mcp.server import listed_tools
from tests.mcp.conftest import new_user
from tests.support.gate_tree import GATE_FILES
from tests.support.mcp_client import Agent, command, connected
from tests.support.toy_tree import write_tree
from tests.support.waiting import eventually

#: Tokenizers of models give three to four and a half bytes of such JSON a token: this counts too many rather than
#: too few.
BYTES_PER_TOKEN = 3.5
TOOLS = (
    "find_function", "find_type", "find_symbol", "find_callers", "find_calls", "find_callchain", "grep_functions",
    "vgrep_functions", "diff_functions", "find_references", "find_implementations", "find_config", "struct_layout",
    "lock_rules", "kernel_doc", "explain_function", "maintainers", "ask", "indexing_status", "list_branches",
)  # fmt: skip


def test_the_list_of_tools_and_the_instructions_are_short(agent: Agent) -> None:
    listed = agent.tools()
    assert sorted(tool["name"] for tool in listed) == sorted(TOOLS)
    assert len(json.dumps(listed)) / BYTES_PER_TOKEN < 2500
    assert len(INSTRUCTIONS) / BYTES_PER_TOKEN < 400


def test_every_tool_is_said_to_read_only_and_has_a_schema_that_is_one() -> None:
    from jsonschema import Draft202012Validator

    for tool in listed_tools():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        Draft202012Validator.check_schema(tool.input_schema)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_the_client_of_the_sdk_speaks_both_eras(tree: Path, environment: dict[str, str], mode: str) -> None:
    with connected(command(tree, environment), mode) as client:
        assert client.ask("find_function", name="wing_all").startswith("wing_all: function")
        assert "no function or macro named wing_none" in client.refused("find_function", name="wing_none")


class Raw:
    """A client that writes what a test says, line by line."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kexpert", "mcp", "--tree", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )

    def send(self, message: Any) -> None:
        assert self.process.stdin
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the server ended with {self.process.wait(10)}"
        found: dict[str, Any] = json.loads(line)
        return found

    def request(self, number: int, method: str, params: Any) -> dict[str, Any]:
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while (answer := self.receive()).get("id") != number:
            pass
        return answer

    def initialize(self, version: str) -> dict[str, Any]:
        client = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
        answer = self.request(1, "initialize", client)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer


@contextmanager
def raw_client(root: Path, environment: dict[str, str]) -> Iterator[Raw]:
    client = Raw(root, environment)
    try:
        yield client
    finally:
        client.process.kill()
        client.process.wait()
        for pipe in (client.process.stdin, client.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_clients_of_older_revisions_are_answered(tree: Path, environment: dict[str, str], version: str) -> None:
    with raw_client(tree, environment) as client:
        hello = client.initialize(version)["result"]
        assert hello["protocolVersion"] == version
        assert hello["instructions"].startswith("Facts about the Linux kernel tree linux")
        assert set(hello["capabilities"]) == {"tools"}
        listed = client.request(2, "tools/list", {})["result"]["tools"]
        assert {tool["name"] for tool in listed} == set(TOOLS)
        call = {"name": "find_callers", "arguments": {"name": "gate_swing"}}
        assert "wing_swing()" in client.request(3, "tools/call", call)["result"]["content"][0]["text"]


def test_nonsense_does_not_end_the_server(tree: Path, environment: dict[str, str]) -> None:
    with raw_client(tree, environment) as client:
        client.initialize("2025-06-18")
        for line in (
            b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"jsonrpc": "2.0"}', b'{"jsonrpc": "1.0", "id": 9}',
            b'{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": 3}}', b"x" * 300_000,
            b"[" * 5000,
        ):  # fmt: skip
            client.send(line)
        deep: Any = "x"
        for _ in range(50):
            deep = [deep]
        call = {"name": "find_function", "arguments": {"name": deep}}
        assert client.request(20, "tools/call", call)["result"]["isError"]
        call = {"name": "find_function", "arguments": {"name": "gate_swing\x00\x1b[2J"}}
        assert "is no C name" in client.request(21, "tools/call", call)["result"]["content"][0]["text"]
        call = {"name": "find_function", "arguments": {"name": "gate_swing"}}
        assert "gate_swing: function" in client.request(22, "tools/call", call)["result"]["content"][0]["text"]


def test_text_of_the_tree_cannot_break_the_protocol(tmp_path: Path) -> None:
    odd = b"/**\n * odd - \x1b[31mred\x1b[0m \xff\xfe \xe2\x80\xae txet\n */\nint odd(void)\n{\n\treturn 0;\n}\n"
    root, environment = write_tree(tmp_path / "linux", {"kernel/odd.c": odd}), new_user(tmp_path)
    with connected(command(root, environment)) as client:
        eventually(lambda: "complete" in client.ask("indexing_status"))
        answer = client.ask("find_function", name="odd")
    assert "odd: function, kernel/odd.c:4" in answer
    assert "red" in answer
    assert not {"\x1b", "\u202e", "\udcff"} & set(answer)


def test_two_processes_share_one_index_and_the_other_goes_on_when_the_writer_is_killed(tmp_path: Path) -> None:
    root, environment = write_tree(tmp_path / "linux", GATE_FILES), new_user(tmp_path)
    with raw_client(root, environment) as writer:
        writer.initialize("2025-06-18")

        def status(client: Agent) -> str:
            return client.ask("indexing_status")

        with connected(command(root, environment)) as reader:
            said = eventually(lambda: status(reader), lambda text: "complete" in text)
            first = writer.process.pid
            assert f"Kept up to date by process {first}" in said
            assert reader.ask("find_function", name="gate_swing")
            writer.process.send_signal(signal.SIGKILL)
            (root / "drivers/gate/late.c").write_text("int gate_late(void)\n{\n\treturn 1;\n}\n")
            eventually(lambda: "Kept up to date by this process" in status(reader))
            eventually(lambda: not reader.call("find_function", {"name": "gate_late"})[1])


def test_an_index_that_is_removed_while_it_is_served_is_made_anew(tmp_path: Path) -> None:
    root, environment = write_tree(tmp_path / "linux", GATE_FILES), new_user(tmp_path)
    with connected(command(root, environment)) as client:
        eventually(lambda: "7 files, complete" in client.ask("indexing_status"))
        shutil.rmtree(tmp_path / "cache" / "kexpert")
        eventually(lambda: not client.call("find_function", {"name": "gate_swing"})[1])
        assert "Kept up to date by this process" in client.ask("indexing_status")


def test_answers_are_of_the_files_as_they_are_while_these_are_replaced(tmp_path: Path) -> None:
    root, environment = write_tree(tmp_path / "linux", GATE_FILES), new_user(tmp_path)
    path = root / "drivers/gate/moving.c"

    def replace(turn: int) -> None:
        new = path.with_suffix(".new")
        new.write_text("\n" * (turn % 7) + f"int gate_moving(void)\n{{\n\treturn {turn};\n}}\n")
        new.rename(path)

    replace(0)
    with connected(command(root, environment)) as client:
        eventually(lambda: "8 files, complete" in client.ask("indexing_status"))
        for turn in range(30):
            replace(turn)
            answer = client.ask("find_function", name="gate_moving", body=True)
            assert f"drivers/gate/moving.c:{turn % 7 + 1}" in answer and f"return {turn};" in answer


def test_it_ends_when_its_client_leaves(tree: Path, environment: dict[str, str]) -> None:
    with raw_client(tree, environment) as client:
        client.initialize("2025-06-18")
        assert client.process.stdin
        client.process.stdin.close()
        assert client.process.wait(30) == 0


def test_a_client_that_dies_leaves_no_traceback(tree: Path, environment: dict[str, str], tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    command = [sys.executable, "-m", "kexpert", "mcp", "--tree", str(tree)]
    with said.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, env={**os.environ, **environment}
        )
    assert process.stdin and process.stdout
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        process.stdin.close()
    assert process.wait(60) == 0
    assert "Traceback" not in said.read_text()


def test_without_a_tree_it_says_so_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kexpert", "mcp", "--tree", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"kexpert: {tmp_path}: not inside a Linux kernel tree; name one with --tree DIR\n"


def test_without_the_sdk_it_says_what_to_install(tree: Path) -> None:
    program = "import sys; sys.modules['mcp'] = None; from kexpert.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command_line = [sys.executable, "-c", program, "mcp", "--tree", str(tree)]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "kexpert: the Python package mcp is missing; install it with: pip install 'kexpert[mcp]'\n"
