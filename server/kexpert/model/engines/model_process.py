"""Run a model in a child process, so that its memory and its crashes are not the server's: the parent's end.

Both ends exchange JSON objects, one a line, over the child's stdin and stdout. ``worker_child`` is the other end.

Parent to child:

========================================================  ====================================================
``{kind, ability, on_gpu, path, manifest, adapter,        The first line: the model to load, and what for.
threads, context}``                                       ``manifest`` is the text of a model.json or null,
                                                          ``adapter`` a path or null.
``{ask: N}``                                              Nothing: the answer comes when the model is loaded.
``{ask: N, neighbours}``                                  Ingest all neighbours.
``{ask: N, neighbours, context, max_tokens}``             Fill the hole of a ``Context``.
``{ask: N, neighbours, context, middle}``                 Score a known middle.
``{ask: N, messages, max_tokens, beginning, stop}``       Answer messages, each ``[role, text]``.
``{cancel: N}``                                           Stop request N. A newer request does so too.
========================================================  ====================================================

``neighbours`` is ``{before, after, texts: [[key, proximity, text], …]}``; ``proximity`` is the number of a
``Proximity``. ``text`` is null if the request before had the same key: the child keeps its texts for the next request.

Child to parent:

========================================================  ====================================================
``{ready: true, context: TOKENS}``                        The model is loaded.
``{refused: REASON}``                                     It cannot be used. The child exits.
``{ask: N, text, logprob, last, origin}``                 A ``Token``; ``logprob`` may be NaN.
``{ask: N, bits, bytes}``                                 The score.
``{ask: N, done: true}``                                  The end of an answer.
``{ask: N, failed: REASON}``                              The end of an answer that failed.
========================================================  ====================================================

A cancelled request gets no ``done``. Replies that are under way may still arrive; the parent skips old numbers.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator

from kexpert.abilities import Cancelled, Failed, Refused
from kexpert.model.engines.child_pipes import POLL_SECONDS, Child, ChildDied, Message
from kexpert.model.types import EngineChoice
from kexpert.prompt.manifest import dump_manifest

_MAX_LOAD_SECONDS = 180.0
#: Maximum time between two replies.
_MAX_REPLY_SECONDS = 60.0
#: After ``_MAX_CRASHES`` crashes within ``_CRASH_WINDOW_SECONDS``, do not restart until the first is that long ago.
_MAX_CRASHES, _CRASH_WINDOW_SECONDS = 3, 60.0
#: Maximum time that ``close`` gives the reader of an answer to notice.
_MAX_CLOSE_SECONDS = 2.0
_MAX_DEFAULT_THREADS = 4


class ModelProcess:
    """The model in a child process, which starts with the first request and restarts after a crash.

    A crash fails the request that is being answered, and no other one.
    """

    def __init__(self, choice: EngineChoice, *, threads: int = 0, context: int = 0) -> None:
        self.context = 0
        self._load = {
            "kind": choice.kind,
            "ability": choice.ability,
            "on_gpu": choice.on_gpu,
            "path": str(choice.path),
            "manifest": dump_manifest(choice.manifest) if choice.manifest else None,
            "adapter": str(choice.adapter) if choice.adapter else None,
            "threads": threads or default_threads(),
            "context": context,
        }
        self._child: Child | None = None
        self._crashes: deque[float] = deque(maxlen=_MAX_CRASHES)
        self._refusal = ""
        self._numbers = itertools.count(1)
        self._newest = 0
        self._answering = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        child = self._child
        return child.pid if child else None

    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Load the model. Raises Refused, Failed or Cancelled."""
        with contextlib.closing(self._ask(lambda child: {}, cancelled)) as replies:
            for _ in replies:
                pass

    def close(self) -> None:
        """Cancel the current request and end the child."""
        self._newest = next(self._numbers)
        child = self._child
        if child:
            child.kill()
        if self._answering.acquire(timeout=_MAX_CLOSE_SECONDS):
            self._drop_child()
            self._answering.release()
        elif child:
            child.wait()  # an answer that nobody reads on: its reader closes the pipes

    def _ask(
        self, request: Callable[[Child], Message], cancelled: Callable[[], bool]
    ) -> Generator[Message, None, None]:
        """Send a request, made for the child, and yield its replies. Supersedes older requests, which raise Cancelled.

        Raises Refused, Failed or Cancelled.
        """
        self._newest = number = next(self._numbers)

        def obsolete() -> bool:
            return self._newest != number or cancelled()

        while not self._answering.acquire(timeout=POLL_SECONDS):
            if obsolete():
                raise Cancelled
        sent = answered = False
        try:
            child = self._loaded_child(obsolete)
            child.flush(obsolete)
            child.send({"ask": number, **request(child)})
            sent = True
            while not answered:
                reply = child.receive(_MAX_REPLY_SECONDS, obsolete)
                if reply.get("ask") == number:
                    if "failed" in reply:
                        raise Failed(reply["failed"])
                    answered = "done" in reply
                    yield reply
        except ChildDied as death:
            self._crashes.append(time.monotonic())
            self._drop_child()
            raise (Cancelled if obsolete() else Failed(str(death))) from None
        finally:
            if sent and not answered and self._child:
                self._child.send({"cancel": number})
            self._answering.release()

    def _loaded_child(self, obsolete: Callable[[], bool]) -> Child:
        """Start the child if necessary, and wait until it has loaded the model."""
        if self._refusal:
            raise Refused(self._refusal)
        if self._child is None:
            if len(self._crashes) == _MAX_CRASHES and time.monotonic() - self._crashes[0] < _CRASH_WINDOW_SECONDS:
                raise Failed(f"the model's process died {_MAX_CRASHES} times within a minute; it rests for a while")
            self._child = Child(self._load)
        child = self._child
        while not child.ready:
            reply = child.receive(_MAX_LOAD_SECONDS, obsolete)
            if "refused" in reply:
                self._refusal = str(reply["refused"])
                self._drop_child()
                raise Refused(self._refusal)
            child.ready = "ready" in reply
            self.context = int(reply.get("context", 0))
        return child

    def _drop_child(self) -> None:
        if self._child:
            self._child.end()
            self._child = None


def default_threads() -> int:
    """One thread for each usable CPU, up to four: a small model is bound by memory bandwidth."""
    return min(len(os.sched_getaffinity(0)), _MAX_DEFAULT_THREADS)
