"""The protocol: the tools of a tree as a server of the official SDK, over stdio or as an ASGI application.

The SDK's low-level ``Server`` and not its ``MCPServer``: the latter makes the schemas from signatures (twice as long),
words errors of arguments over several lines, and announces prompts and resources, which clients then ask for. The
protocol itself, the stateless revision 2026-07-28 and the handshake of older clients, is the same code in both.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ListedTool

from kexpert import __version__
from kexpert.mcp.call import Caller, shown
from kexpert.mcp.instructions import INSTRUCTIONS
from kexpert.mcp.tool import ToolFailure
from kexpert.mcp.tools import ALL
from kexpert.mcp.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette

_TOOLS = {tool.name: tool for tool in ALL}
#: A request of the largest argument, a patch, in JSON.
_MAX_REQUEST_BYTES = 4 << 20


def listed_tools() -> list[ListedTool]:
    """The tools as a client lists them."""
    read_only = ToolAnnotations(read_only_hint=True)
    return [
        ListedTool(name=tool.name, description=tool.description, input_schema=tool.schema(), annotations=read_only)
        for tool in ALL
    ]


def make_server(tree: Tree) -> Server[Any]:
    """A server of the tools for one tree."""
    caller = Caller(tree)
    tools = listed_tools()

    async def list_tools(_: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(_: Any, params: CallToolRequestParams) -> CallToolResult:
        tool = _TOOLS.get(params.name)
        try:
            if tool is None:
                raise ToolFailure(f"no tool {params.name[:60]!r}; there are {', '.join(_TOOLS)}")
            text = await caller.call(tool, params.arguments or {})
        except ToolFailure as failure:
            return CallToolResult(content=[TextContent(type="text", text=shown(str(failure)))], is_error=True)
        return CallToolResult(content=[TextContent(type="text", text=text)])

    return Server(
        "kexpert",
        version=__version__,
        instructions=INSTRUCTIONS.format(root=shown(tree.root.name)),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(tree: Tree) -> None:
    """Serve the client at stdin and stdout until it leaves."""
    logging.getLogger("mcp").setLevel(logging.ERROR)
    server = make_server(tree)
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


def asgi_app(tree: Tree, path: str = "/mcp", allowed_hosts: Sequence[str] = (), host: str = "127.0.0.1") -> Starlette:
    """The same tools over streamable HTTP, as an application to mount or to serve. It keeps no sessions, so any
    replica may answer.

    Its lifespan must run: whoever mounts it enters ``app.router.lifespan_context(app)`` in a lifespan of its own.
    Authentication, rates and times are the business of the application around it. ``allowed_hosts``: values of the
    Host header, ``name:*`` for any port; those of the loopback if ``host`` is one and none are given.
    """
    security = None
    if allowed_hosts:
        security = TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=list(allowed_hosts),
            allowed_origins=[f"{scheme}://{name}" for name in allowed_hosts for scheme in ("http", "https")],
        )
    return make_server(tree).streamable_http_app(
        streamable_http_path=path,
        json_response=True,
        stateless_http=True,
        max_request_body_size=_MAX_REQUEST_BYTES,
        transport_security=security,
        host=host,
    )
