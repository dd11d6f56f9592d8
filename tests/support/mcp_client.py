"""An agent's client of ``kexpert mcp``: the SDK's own, one process, asked from ordinary tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from mcp.client.stdio import StdioServerParameters

_TIMEOUT_SECONDS = 60.0


class Agent:
    """A connected client. ``ask`` and ``refused`` call a tool and give the text of its answer or of its error."""

    def __init__(self, client: Client, portal: BlockingPortal) -> None:
        self.client = client
        self._portal = portal

    def ask(self, tool: str, **arguments: Any) -> str:
        text, is_error = self.call(tool, arguments)
        assert not is_error, text
        return text

    def refused(self, tool: str, **arguments: Any) -> str:
        text, is_error = self.call(tool, arguments)
        assert is_error, text
        return text

    def call(self, tool: str, arguments: Mapping[str, Any]) -> tuple[str, bool]:
        found = self._portal.call(lambda: self.client.call_tool(tool, dict(arguments)))
        assert len(found.content) == 1
        return found.content[0].text, bool(found.is_error)

    def tools(self) -> list[dict[str, Any]]:
        """The tools as they are sent."""
        found = self._portal.call(self.client.list_tools)
        return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in found.tools]


@contextmanager
def connected(server: Any, mode: str = "auto") -> Iterator[Agent]:
    """``server``: what the SDK's client takes: the parameters of a command, or a URL."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            Client(server, mode=mode, read_timeout_seconds=_TIMEOUT_SECONDS)
        ) as client,
    ):
        yield Agent(client, portal)


def command(root: Path, env: Mapping[str, str]) -> StdioServerParameters:
    """``kexpert mcp`` for a tree."""
    return StdioServerParameters(
        command=sys.executable, args=["-m", "kexpert", "mcp", "--tree", str(root)], env={**os.environ, **env}
    )
