"""``kexpert mcp``: the tools for AI agents as a command."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import Any

#: Seconds that a thread may keep the interpreter while another waits: a question must not wait for indexing.
_SWITCH_INTERVAL_SECONDS = 0.001


def add_arguments(commands: argparse._SubParsersAction[Any]) -> None:
    what = "serve AI agents by the Model Context Protocol on stdin and stdout"
    command = commands.add_parser("mcp", help=what, description=f"{what[:1].upper()}{what[1:]}.")
    tree = "the kernel tree (default: the one around this directory)"
    command.add_argument("--tree", metavar="DIR", type=Path, help=tree)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from kexpert.workspace.find_tree import NotFound, find_tree

    try:
        root = find_tree(args.tree)
    except NotFound as problem:
        return _complain(str(problem))
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    gc.disable()  # only while loading: the collector would look through the SDK's classes again and again
    try:
        import anyio

        from kexpert.mcp.server import serve_stdio
        from kexpert.mcp.tree import Tree
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in ("mcp", "mcp_types", "anyio"):
            raise
        return _complain(f"the Python package {package} is missing; install it with: pip install 'kexpert[mcp]'")
    from kexpert.workspace.live_tree import LiveTree

    tree = LiveTree(root, _say)
    gc.freeze()
    gc.enable()
    tree.start()
    try:
        anyio.run(serve_stdio, Tree(root, tree.snapshot, tree.activity))
    except KeyboardInterrupt:
        return 130
    finally:
        tree.close()
    return 0


def _complain(message: str) -> int:
    _say(message)
    return 1


def _say(message: str) -> None:
    print("kexpert:", " ".join(message.split()), file=sys.stderr, flush=True)
