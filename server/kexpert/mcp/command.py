"""``kexpert mcp``: the tools for AI agents as a command."""

from __future__ import annotations

import argparse
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kexpert.workspace.live_tree import LiveTree

#: Seconds that a thread may keep the interpreter while another waits: a question must not wait for indexing.
_SWITCH_INTERVAL_SECONDS = 0.001
#: The tree is compared with its index after the first answer, or after this time: on a warm tree that answer needs
#: only the index, and both together would take the processor from each other.
_MAX_START_DELAY_SECONDS = 1.5


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
    gc.disable()  # until all is loaded: the collector would look through the SDK's classes again and again
    try:
        import anyio

        with _models_built_when_used():
            from kexpert.mcp.server import serve_stdio
        from kexpert.mcp.tree import Tree
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in ("mcp", "mcp_types", "anyio"):
            raise
        return _complain(f"the Python package {package} is missing; install it with: pip install 'kexpert[mcp]'")
    opening = Opening(root)
    tree = Tree(root, lambda: opening.tree().snapshot(), lambda: opening.tree().activity(), opening.answered)
    try:
        anyio.run(serve_stdio, tree)
    except KeyboardInterrupt:
        return 130
    except ExceptionGroup as problems:
        if (others := problems.split(BrokenPipeError)[1]) is not None:  # a client that ends may read no more
            raise others from None
    finally:
        opening.close()
    return 0


class Opening:
    """Opens the tree on a thread, so that the client's first requests need not wait for it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tree: LiveTree | None = None
        self._is_open = threading.Event()
        self._answered = threading.Event()
        threading.Thread(target=self._open, name="kexpert-open", daemon=True).start()

    def tree(self) -> LiveTree:
        """The tree, after waiting for it."""
        self._is_open.wait()
        if self._tree is None:
            raise RuntimeError(f"{self._root} could not be opened")
        return self._tree

    def answered(self) -> None:
        """A question has its answer."""
        self._answered.set()

    def close(self) -> None:
        self._answered.set()
        self.tree().close()

    def _open(self) -> None:
        try:
            from kexpert.workspace.live_tree import LiveTree

            self._tree = tree = LiveTree(self._root, _say)
        finally:
            self._is_open.set()
        is_warm = tree.warm_up()
        import kexpert.render.named  # noqa: F401  # the first answer needs it
        from kexpert.workspace.collector import collect_between_questions

        collect_between_questions()
        if is_warm:
            self._answered.wait(_MAX_START_DELAY_SECONDS)
        tree.start()


@contextmanager
def _models_built_when_used() -> Iterator[None]:
    """pydantic builds the validators of a class when it is first used, not when its module is loaded.

    The SDK defines several hundred classes for all revisions of the protocol; a session uses a dozen.
    """
    from pydantic import BaseModel

    config = BaseModel.model_config
    BaseModel.model_config = {**config, "defer_build": True}
    try:
        yield
    finally:
        BaseModel.model_config = config


def _complain(message: str) -> int:
    _say(message)
    return 1


def _say(message: str) -> None:
    print("kexpert:", " ".join(message.split()), file=sys.stderr, flush=True)
