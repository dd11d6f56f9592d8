"""The tools for AI agents at ``/mcp`` of the team's server, behind the same guard."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.mcp_client import connected
from tests.support.web_server import web_server


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_an_agent_asks_the_team_server(address: str, mode: str) -> None:
    with connected(f"{address}/mcp", mode) as agent:
        assert "drivers/toy/core.c:14" in agent.ask("find_function", name="toy_wind")


def test_several_processes_answer_agents_and_each_needs_a_token(web_folder: Path) -> None:
    tokens = web_folder / "tokens"
    tokens.write_text("alice a-token-of-more-than-thirty-two-characters\n")
    tokens.chmod(0o600)
    options = ("--read-only", "--no-model", "--tokens", str(tokens), "--workers", "2")
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    with web_server(web_folder, web_folder / "linux", *options) as address:
        assert httpx.post(f"{address}/mcp", json=listing, headers=headers).status_code == 401
        headers["Authorization"] = "Bearer a-token-of-more-than-thirty-two-characters"
        answer = httpx.post(f"{address}/mcp", json=listing, headers=headers, timeout=30)
        assert "find_callers" in {tool["name"] for tool in answer.json()["result"]["tools"]}
