"""The reference inspector of the Model Context Protocol, on its command line: a client that is not ours and not the
SDK's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
_INSTALL_SECONDS, _CALL_SECONDS, _CONNECT_MILLISECONDS = 400, 120, 90_000


@pytest.fixture(scope="module")
def inspector() -> list[str]:
    """The command; fetched by npx, kept in npm's cache."""
    if (npx := shutil.which("npx")) is None:
        pytest.skip("no npx here: the reference inspector is not run")
    command = [npx, "--yes", INSPECTOR, "--cli"]
    try:
        done = subprocess.run(
            [*command, "--help"], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{INSPECTOR} could not be fetched within {_INSTALL_SECONDS} s")
    if done.returncode:
        pytest.skip(f"{INSPECTOR} cannot be had or run: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    return command


def ask(inspector: list[str], tree: Path, environment: dict[str, str], *arguments: str) -> tuple[int, Any]:
    variables = {**environment, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    settings = [part for name, value in variables.items() if value for part in ("-e", f"{name}={value}")]
    server = [sys.executable, "-m", "kexpert", "mcp", "--tree", str(tree)]
    command = [*inspector, "--connect-timeout", str(_CONNECT_MILLISECONDS), *settings, *server, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_CALL_SECONDS, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_inspector_lists_the_tools(inspector: list[str], tree: Path, environment: dict[str, str]) -> None:
    _, found = ask(inspector, tree, environment, "--method", "tools/list")
    assert {"find_function", "diff_functions", "ask"} <= {tool["name"] for tool in found["tools"]}
    assert all(tool["annotations"]["readOnlyHint"] for tool in found["tools"])


def test_the_inspector_calls_a_tool_and_sees_its_failure(
    inspector: list[str], tree: Path, environment: dict[str, str]
) -> None:
    call = ["--method", "tools/call", "--tool-name", "find_callers", "--tool-arg"]
    _, found = ask(inspector, tree, environment, *call, "name=gate_swing")
    assert "drivers/gate/user.c:5 wing_swing()" in found["content"][0]["text"]
    assert not found.get("isError")
    _, failed = ask(inspector, tree, environment, *call, "name=gate_swnig")
    assert failed["isError"]
    assert "nearest names: gate_swing" in failed["content"][0]["text"]
