"""One call of a tool: on a thread, for a bounded time, its answer bounded and free of what does not belong in JSON."""

from __future__ import annotations

import re
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import anyio.to_thread

from kexpert.mcp.tool import Arguments, Question, Tool, ToolFailure
from kexpert.mcp.tree import Tree
from kexpert.workspace.answering import answering
from kexpert.workspace.refusal import Refusal

_MAX_SECONDS = 20.0
#: After this time the caller gets an answer even if the work does not look at its flag.
_MAX_WAIT_SECONDS = 30.0
_MAX_ANSWER_CHARS = 24_000
#: Calls that run at the same time; the others wait.
_MAX_THREADS = 4
#: Control characters could change what a terminal shows; lone surrogates cannot be written as UTF-8.
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


class Caller:
    """Calls the tools of one tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._limiter: anyio.CapacityLimiter | None = None

    async def call(self, tool: Tool, given: Mapping[str, Any]) -> str:
        """The answer as text. Raises ToolFailure."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_MAX_THREADS)
        nobody_waits = threading.Event()
        try:
            with anyio.fail_after(_MAX_WAIT_SECONDS):
                return await anyio.to_thread.run_sync(
                    answered, self._tree, tool, given, nobody_waits, abandon_on_cancel=True, limiter=self._limiter
                )
        except TimeoutError:
            raise ToolFailure(_too_long(tool)) from None
        finally:
            nobody_waits.set()
            self._tree.answered()


def answered(tree: Tree, tool: Tool, given: Mapping[str, Any], nobody_waits: threading.Event) -> str:
    """The answer of a tool to arguments as a client sends them. Raises ToolFailure."""
    deadline = time.monotonic() + _MAX_SECONDS
    arguments, ignored = tool.check(given)
    with answering():
        return _answered(tree, tool, arguments, ignored, nobody_waits, deadline)


def _answered(
    tree: Tree, tool: Tool, arguments: Arguments, ignored: Sequence[str], nobody_waits: threading.Event, deadline: float
) -> str:
    snapshot = tree.snapshot()
    question = Question(snapshot, tree, arguments, lambda: nobody_waits.is_set() or time.monotonic() > deadline)
    growing = "" if snapshot.view.complete else "index still growing: not all of the tree is known yet"
    try:
        text = tool.answer(question)
    except (ToolFailure, Refusal) as failure:
        raise ToolFailure(shown(" ".join(str(failure).split()) + (f" ({growing})" if growing else ""))) from None
    except Exception as defect:
        traceback.print_exc(file=sys.stderr)
        raise ToolFailure(f"{tool.name} failed ({type(defect).__name__}); this is a defect of kexpert") from None
    if time.monotonic() > deadline:
        raise ToolFailure(_too_long(tool))
    notes = [f"({growing})"] if growing and tool.params else []
    if ignored:
        notes.append(f"(not known here and ignored: {', '.join(ignored)}; answers are of the working tree)")
    return shown("\n".join([bounded(text.rstrip("\n")), *notes]))


def bounded(text: str) -> str:
    """At most ``_MAX_ANSWER_CHARS`` of an answer, cut at a line."""
    if len(text) <= _MAX_ANSWER_CHARS:
        return text
    kept = text[:_MAX_ANSWER_CHARS].rpartition("\n")[0]
    return f"{kept}\n({text.count(chr(10), len(kept)):,} more lines; narrow with path= or limit=)"


def shown(text: str) -> str:
    """Text that may be put into JSON and onto a screen."""
    return _UNWANTED.sub("\ufffd", text)


def _too_long(tool: Tool) -> str:
    return f"{tool.name} took longer than {_MAX_SECONDS:.0f} s; narrow it with path= or a rarer name"
