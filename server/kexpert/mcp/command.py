"""``kexpert mcp``: the tools for AI agents as a command."""

from __future__ import annotations

import argparse
import gc
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kexpert.workspace.live_tree import LiveTree

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
    gc.freeze()
    gc.enable()
    opening = Opening(root)
    try:
        anyio.run(serve_stdio, Tree(root, lambda: opening.tree().snapshot(), lambda: opening.tree().activity()))
    except KeyboardInterrupt:
        return 130
    finally:
        opening.tree().close()
    return 0


class Opening:
    """Opens the tree on a thread, so that the client's first requests need not wait for it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tree: LiveTree | None = None
        self._thread = threading.Thread(target=self._open, name="kexpert-open", daemon=True)
        self._thread.start()

    def tree(self) -> LiveTree:
        """The tree, after waiting for it."""
        self._thread.join()
        if self._tree is None:
            raise RuntimeError(f"{self._root} could not be opened")
        return self._tree

    def _open(self) -> None:
        from kexpert.workspace.live_tree import LiveTree

        tree = LiveTree(self._root, _say)
        tree.start()
        self._tree = tree
        import kexpert.render.named  # noqa: F401  # the first answer needs it


def _complain(message: str) -> int:
    _say(message)
    return 1


def _say(message: str) -> None:
    print("kexpert:", " ".join(message.split()), file=sys.stderr, flush=True)
