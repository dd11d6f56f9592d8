"""Run a model in a worker process, so that its memory and its crashes are not the server's: the parent's end.

Both ends exchange JSON objects, one a line, over the child's stdin and stdout. ``worker_child`` is the other end.

Parent to child:

========================================================  ====================================================
``{kind, on_gpu, path, manifest, adapter, threads,        The first line: the model to load. ``manifest`` is the
context}``                                                text of a model.json or null, ``adapter`` a path or null.
``{ask: N, neighbours}``                                  Ingest all neighbours.
``{ask: N, neighbours, context, max_tokens}``             Fill the hole of a ``Context``.
``{ask: N, neighbours, context, middle}``                 Score a known middle.
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
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import asdict
from typing import Any

from kexpert.abilities import NO_NEIGHBOURS, Cancelled, Completer, Failed, Neighbours, Refused, Token
from kexpert.model.types import EngineChoice
from kexpert.prompt.fim import Context
from kexpert.prompt.manifest import dump_manifest

Message = dict[str, Any]

#: Interval at which a waiting request looks at ``cancelled()``.
_POLL_SECONDS = 0.01
_MAX_LOAD_SECONDS = 180.0
#: Maximum time between two replies.
_MAX_REPLY_SECONDS = 60.0
#: Maximum time in which the child reads nothing although something was sent. Its reader is a thread of its own.
_MAX_UNREAD_SECONDS = 10.0
#: After ``_MAX_CRASHES`` crashes within ``_CRASH_WINDOW_SECONDS``, do not restart until the first is that long ago.
_MAX_CRASHES, _CRASH_WINDOW_SECONDS = 3, 60.0
#: Make OpenMP threads yield the CPU early when they wait for one another, hundreds of times a token. With the default,
#: two threads beside a kernel build (three busy threads on two CPUs) took 20 times longer.
_OPENMP_SETTINGS = {"GOMP_SPINCOUNT": "2000"}
#: Bytes of a longer line are not from our child.
_MAX_LINE_BYTES = 8 << 20
_MAX_DEFAULT_THREADS = 4


class WorkerProcess(Completer):
    """The model in a child process, which starts with the first request and restarts after a crash.

    A crash fails the request that is being answered, and no other one.
    """

    def __init__(self, choice: EngineChoice, *, threads: int = 0, context: int = 0) -> None:
        self.context = 0
        self._load = {
            "kind": choice.kind,
            "on_gpu": choice.on_gpu,
            "path": str(choice.path),
            "manifest": dump_manifest(choice.manifest) if choice.manifest else None,
            "adapter": str(choice.adapter) if choice.adapter else None,
            "threads": threads or default_threads(),
            "context": context,
        }
        self._child: _Child | None = None
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

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        """See ``Completer.stream``."""
        request = {"context": asdict(context), "max_tokens": max_tokens}
        with contextlib.closing(self._ask(request, cancelled, neighbours)) as replies:
            for reply in replies:
                if "text" in reply:
                    yield Token(reply["text"], reply["logprob"], reply["last"], reply.get("origin", "model"))

    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Load the model. Raises Refused, Failed or Cancelled."""
        self.read(NO_NEIGHBOURS, cancelled)

    def read(self, neighbours: Neighbours, cancelled: Callable[[], bool]) -> None:
        """Wait until the child has ingested all neighbours; otherwise it does so between two requests.

        Raises Refused, Failed or Cancelled.
        """
        with contextlib.closing(self._ask({}, cancelled, neighbours)) as replies:
            for _ in replies:
                pass

    def score(
        self, context: Context, middle: str, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> tuple[float, int]:
        """(information content in bits, size in bytes) of a known middle. Raises Refused, Failed or Cancelled."""
        request = {"context": asdict(context), "middle": middle}
        with contextlib.closing(self._ask(request, cancelled, neighbours)) as replies:
            for reply in replies:
                if "bits" in reply:
                    return reply["bits"], reply["bytes"]
        raise Failed("the model gave no score")

    def close(self) -> None:
        """Cancel the current request and end the child."""
        self._newest = next(self._numbers)
        if child := self._child:
            child.kill()
        with self._answering:
            self._drop_child()

    def _ask(
        self, request: Message, cancelled: Callable[[], bool], neighbours: Neighbours
    ) -> Generator[Message, None, None]:
        """Send a request and yield its replies. Supersedes older requests, which raise Cancelled."""
        self._newest = number = next(self._numbers)

        def obsolete() -> bool:
            return self._newest != number or cancelled()

        while not self._answering.acquire(timeout=_POLL_SECONDS):
            if obsolete():
                raise Cancelled
        sent = answered = False
        try:
            child = self._loaded_child(obsolete)
            child.flush(obsolete)
            child.send({"ask": number, **request, "neighbours": child.neighbours_message(neighbours)})
            sent = True
            while not answered:
                reply = child.receive(_MAX_REPLY_SECONDS, obsolete)
                if reply.get("ask") == number:
                    if "failed" in reply:
                        raise Failed(reply["failed"])
                    answered = "done" in reply
                    yield reply
        except _ChildDied as death:
            self._crashes.append(time.monotonic())
            self._drop_child()
            raise (Cancelled if obsolete() else Failed(str(death))) from None
        finally:
            if sent and not answered and self._child:
                self._child.send({"cancel": number})
            self._answering.release()

    def _loaded_child(self, obsolete: Callable[[], bool]) -> _Child:
        """Start the child if necessary, and wait until it has loaded the model."""
        if self._refusal:
            raise Refused(self._refusal)
        if self._child is None:
            if len(self._crashes) == _MAX_CRASHES and time.monotonic() - self._crashes[0] < _CRASH_WINDOW_SECONDS:
                raise Failed(f"the model's process died {_MAX_CRASHES} times within a minute; it rests for a while")
            self._child = _Child(self._load)
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


class _ChildDied(Exception):
    """The child exited, hangs, or breaks the protocol; the message says which."""


class _Child:
    """A running child and the pipes to it. Sending never blocks."""

    def __init__(self, load: Message) -> None:
        self.ready = False
        self._received = b""
        self._unsent = bytearray()
        self._last_write = 0.0  # when the child last took bytes, or had taken all
        self._sent_keys: frozenset[str] = frozenset()  # of the neighbours that the child holds
        command = [sys.executable, "-P", "-m", "kexpert.model.engines.worker_child"]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd="/",
                env=_OPENMP_SETTINGS | os.environ,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as problem:
            raise Failed(f"the model's process cannot be started: {problem}") from None
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self.send(load)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Message) -> None:
        """Queue a message. What does not fit into the pipe is sent during ``flush`` and ``receive``."""
        if not self._unsent:
            self._last_write = time.monotonic()
        self._unsent += json.dumps(message).encode() + b"\n"
        self._write()

    def flush(self, obsolete: Callable[[], bool]) -> None:
        """Wait until the child has taken all queued messages. Raises Cancelled or _ChildDied."""
        while self._unsent:
            if obsolete():
                raise Cancelled
            self._poll()

    def receive(self, max_seconds: float, obsolete: Callable[[], bool]) -> Message:
        """The next message. Raises Cancelled, or _ChildDied, also if none comes within ``max_seconds``."""
        deadline = time.monotonic() + max_seconds
        while b"\n" not in self._received:
            if obsolete():
                raise Cancelled
            if not self._poll() and time.monotonic() > deadline:
                raise _ChildDied(f"the model's process said nothing for {max_seconds:g} s")
        if obsolete():
            raise Cancelled
        line, _, self._received = self._received.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise _ChildDied("the model's process talks nonsense")
        return message

    def _poll(self) -> bool:
        """Wait for at most ``_POLL_SECONDS``, then write and read what is possible. Returns True if bytes were read.
        Raises _ChildDied."""
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        if self._unsent:
            poll.register(self._stdin, select.POLLOUT)
        ready = {file for file, _ in poll.poll(_POLL_SECONDS * 1000)}
        if self._stdin.fileno() in ready:
            self._write()
        elif self._unsent and time.monotonic() - self._last_write > _MAX_UNREAD_SECONDS:
            raise _ChildDied(f"the model's process took nothing for {_MAX_UNREAD_SECONDS:g} s")
        if self._stdout.fileno() not in ready:
            return False
        data = self._stdout.read(1 << 16)
        if not data:
            raise _ChildDied(f"the model's process ended ({_exit_reason(self._process.wait())})")
        self._received += data
        if len(self._received) > _MAX_LINE_BYTES:
            raise _ChildDied("the model's process talks nonsense")
        return True

    def _write(self) -> None:
        """Send as much as the pipe takes. A dead child is noticed when it is read from."""
        try:
            written = self._stdin.write(self._unsent)  # None: the pipe is full
        except OSError:
            written = len(self._unsent)
        del self._unsent[: written or 0]
        if written:
            self._last_write = time.monotonic()

    def neighbours_message(self, neighbours: Neighbours) -> Message:
        """Encode neighbours for the next request: without the texts that the child holds from the last one."""
        held, self._sent_keys = self._sent_keys, frozenset(text.key for text in neighbours.texts)
        texts = [[text.key, text.proximity, None if text.key in held else text.text] for text in neighbours.texts]
        return {"before": neighbours.before, "after": neighbours.after, "texts": texts}

    def kill(self) -> None:
        """Send SIGKILL: the child has no state worth saving."""
        self._process.kill()

    def end(self) -> None:
        """Kill the child, wait for it and close the pipes."""
        self.kill()
        self._process.wait()
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                pipe.close()


def _exit_reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
