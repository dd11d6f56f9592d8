"""``kexpert``, also as ``python -m kexpert``: the shell's commands and those that start the servers.

This is the only module that knows more than one front end. It puts the tools for AI agents into the team's server.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kexpert.cli.main import main as shell
from kexpert.http import command as web
from kexpert.lsp import command as serve
from kexpert.mcp import command as mcp

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from kexpert.cli.arguments import Commands
    from kexpert.http.options import WebOptions
    from kexpert.workspace.served_tree import ServedTree


def main(argv: Sequence[str] | None = None) -> int:
    return shell(argv, [serve, mcp, _Web()])


class _Web:
    """``kexpert web`` with the tools at ``/mcp``."""

    def add_arguments(self, commands: Commands) -> None:
        web.add_arguments(commands, agents_of, "kexpert.__main__:web_worker")


def agents_of(tree: ServedTree, options: WebOptions) -> Starlette | None:
    """The tools for AI agents over HTTP; None without their SDK."""
    try:
        from kexpert.mcp.server import asgi_app
    except ModuleNotFoundError:
        return None
    from kexpert.mcp.tree import Tree

    names = [f"[{name}]" if ":" in name else name for name in options.host_names]
    return asgi_app(Tree(tree.root, tree.snapshot), "/mcp", [*names, *(f"{name}:*" for name in names)])


def web_worker() -> ASGIApp:
    """The application in a worker process of ``kexpert web``."""
    from kexpert.http.app import worker_application

    return worker_application(agents_of)


if __name__ == "__main__":
    sys.exit(main())
