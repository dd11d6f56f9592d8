"""The same tools over streamable HTTP, as a team's server mounts them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from kexpert.mcp.server import asgi_app
from kexpert.mcp.tree import Tree
from kexpert.workspace.saved_tree import SavedTree
from tests.support.mcp_client import connected
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def address(tree: Path, environment: dict[str, str]) -> Iterator[str]:
    """A server that mounts the tools at /agents/mcp; its own URL."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        saved = SavedTree(tree, lambda message: None)
    inner = asgi_app(Tree(tree, saved.snapshot), allowed_hosts=["127.0.0.1:*"])

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = Starlette(routes=[Mount("/agents", app=inner)], lifespan=lifespan)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_tools_are_listed_and_called(address: str, mode: str) -> None:
    with connected(f"{address}/agents/mcp", mode) as agent:
        assert "find_callers" in {tool["name"] for tool in agent.tools()}
        assert "wing_swing()" in agent.ask("find_callers", name="gate_swing")
        assert "no function or macro named zebra" in agent.refused("find_calls", name="zebra")


def test_other_hosts_and_large_requests_are_refused(address: str) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Accept": "application/json, text/event-stream"}
    url = f"{address}/agents/mcp"
    assert httpx.post(url, json=ping, headers={**headers, "Host": "evil.example.org"}).status_code == 421
    assert httpx.post(url, json=ping, headers={**headers, "Origin": "http://evil.example.org"}).status_code == 403
    large = {**ping, "params": {"_meta": {"x": "x" * (5 << 20)}}}
    assert httpx.post(url, json=large, headers=headers).status_code == 413
