"""A model in a process of its own, so that neither its memory nor its death is the server's.

Both ends speak JSON, one object a line. The child reads what it is to load, answers ``ready`` or ``refused``,
then takes ``ask`` (numbered) and ``cancel`` and answers with tokens. It looks for a cancellation before every
token and between batches of a prompt; a newer question ends the one before it. Run with
``python -m kexpert.model.worker``, which imports a model's library and nothing of the server.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import resource
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from kexpert.core.manifest import Manifest, dump_manifest, parse_manifest
from kexpert.core.prompt import Context, Excerpt
from kexpert.model.engine import Cancelled, Choice, Failed, Refused, Token

Message = dict[str, Any]

#: Seconds between two looks at whether anybody still waits.
_POLL = 0.01
#: Seconds that loading may take, and that may pass without a token.
_LOADING = 180.0
_SILENCE = 60.0
#: So many deaths in so many seconds, and the worker is left alone for as long.
_DEATHS, _MINUTE = 3, 60.0
#: OpenMP's threads wait for one another hundreds of times a token. While a kernel is being built they must give the
#: processor away soon: spinning as long as they do by themselves, two threads beside a busy third took 20 times longer.
_SHARING = {"GOMP_SPINCOUNT": "2000"}
#: A longer line is none of ours.
_MOST_LINE = 8 << 20
#: Bytes of memory beside the weights: caches, buffers, Python.
_SPARE = 2 << 30


class Worker:
    """The parent's end: an ``Engine``. The process is started when first needed."""

    def __init__(self, choice: Choice, *, threads: int = 0, context: int = 0) -> None:
        self.context = 0
        self._load = {
            "kind": choice.kind,
            "path": str(choice.path),
            "manifest": dump_manifest(choice.manifest) if choice.manifest else None,
            "adapter": str(choice.adapter) if choice.adapter else None,
            "threads": threads or default_threads(),
            "context": context,
        }
        self._process: _Process | None = None
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._refusal = ""
        self._numbers = itertools.count(1)
        self._newest = 0
        self._busy = threading.Lock()

    def stream(self, context: Context, most: int, cancelled: Callable[[], bool]) -> Generator[Token, None, None]:
        with contextlib.closing(self._ask({"context": asdict(context), "most": most}, cancelled)) as replies:
            for reply in replies:
                if "text" in reply:
                    yield Token(reply["text"], reply["logprob"], reply["last"])

    def score(self, context: Context, middle: str, cancelled: Callable[[], bool]) -> tuple[float, int]:
        """(bits, bytes) that the model needs for a middle that is known."""
        with contextlib.closing(self._ask({"context": asdict(context), "middle": middle}, cancelled)) as replies:
            for reply in replies:
                if "bits" in reply:
                    return reply["bits"], reply["bytes"]
        raise Failed("the model gave no score")

    def close(self) -> None:
        self._newest = next(self._numbers)  # whoever is being answered stops
        with self._busy:
            if self._process:
                self._process.end()
                self._process = None

    def _ask(self, question: Message, cancelled: Callable[[], bool]) -> Generator[Message, None, None]:
        self._newest = number = next(self._numbers)

        def obsolete() -> bool:
            return self._newest != number or cancelled()

        while not self._busy.acquire(timeout=_POLL):
            if obsolete():
                raise Cancelled
        answered = False
        try:
            process = self._loaded(obsolete)
            process.send({"ask": number, **question})
            while not answered:
                reply = process.receive(_SILENCE, obsolete)
                if reply.get("ask") == number:
                    if "failed" in reply:
                        raise Failed(reply["failed"])
                    answered = "done" in reply
                    yield reply
        except _Died as death:
            self._bury()
            raise Failed(str(death)) from None
        finally:
            if not answered and self._process:
                self._process.send({"cancel": number})
            self._busy.release()

    def _loaded(self, obsolete: Callable[[], bool]) -> _Process:
        process = self._running()
        while not process.ready:
            reply = process.receive(_LOADING, obsolete)
            if "refused" in reply:
                self._refusal = str(reply["refused"])
                self._bury(violent=False)
                raise Refused(self._refusal)
            process.ready = "ready" in reply
            self.context = int(reply.get("context", 0))
        return process

    def _running(self) -> _Process:
        if self._refusal:
            raise Refused(self._refusal)
        if self._process is None:
            if len(self._deaths) == _DEATHS and time.monotonic() - self._deaths[0] < _MINUTE:
                raise Failed(f"the model's process died {_DEATHS} times within a minute; it rests for a while")
            self._process = _Process(self._load)
        return self._process

    def _bury(self, violent: bool = True) -> None:
        if violent:
            self._deaths.append(time.monotonic())
        if self._process:
            self._process.end()
            self._process = None


def default_threads() -> int:
    """One for each CPU that this process may use, but few: a small model is bound by memory."""
    return min(len(os.sched_getaffinity(0)), 4)


class _Died(Exception):
    """The child is gone; the message says how."""


class _Process:
    """A child that runs, and the pipes to it."""

    def __init__(self, load: Message) -> None:
        self.ready = False
        self._buffer = b""
        command = [sys.executable, "-P", "-m", "kexpert.model.worker"]
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd="/",
                env=_SHARING | os.environ,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as problem:
            raise Failed(f"the model's process cannot be started: {problem}") from None
        self.send(load)

    def send(self, message: Message) -> None:
        """A child that is gone is noticed when it is read from."""
        assert self._child.stdin
        data = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(OSError):
            while data:
                data = data[self._child.stdin.write(data) or 0 :]

    def receive(self, patience: float, obsolete: Callable[[], bool]) -> Message:
        """The next message. Raises Cancelled, or _Died also for a child that is silent or talks nonsense."""
        assert self._child.stdout
        poll = select.poll()
        poll.register(self._child.stdout, select.POLLIN)
        until = time.monotonic() + patience
        while not obsolete():
            if b"\n" in self._buffer:
                break
            if poll.poll(_POLL * 1000):
                data = self._child.stdout.read(1 << 16)
                if not data:
                    raise _Died(f"the model's process ended ({_how(self._child.wait())})")
                self._buffer += data
            elif time.monotonic() > until:
                raise _Died(f"the model's process said nothing for {patience:g} s")
            if len(self._buffer) > _MOST_LINE:
                raise _Died("the model's process talks nonsense")
        else:
            raise Cancelled
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise _Died("the model's process talks nonsense")
        return message

    def end(self) -> None:
        """End the child; it holds nothing that could be lost."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


# The child


class Model(Protocol):
    """A model in this process."""

    context: int

    def stream(self, context: Context, most: int, cancelled: Callable[[], bool]) -> Generator[Token, None, None]: ...
    def score(self, context: Context, middle: str, cancelled: Callable[[], bool]) -> tuple[float, int]: ...


class Inbox:
    """What the parent sends, read on a thread of its own so that a cancellation is seen at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._questions: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._over = 0  # questions up to this number are of no interest any more
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Message:
        return self._questions.get()

    def is_over(self, number: int) -> bool:
        return number <= self._over

    def _read(self) -> None:
        for line in self._stream:
            message = json.loads(line)
            if "cancel" in message:
                self._over = max(self._over, message["cancel"])
            else:
                self._over = max(self._over, message["ask"] - 1)
                self._questions.put(message)
        os._exit(0)  # the parent is gone


def main() -> int:
    """Serve questions until the parent goes away."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up between two messages

    def send(**message: Any) -> None:
        out.write(json.dumps(message).encode() + b"\n")
        out.flush()

    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    try:
        model = load(json.loads(line))
    except Refused as reason:
        send(refused=str(reason))
        return 1
    send(ready=True, context=model.context)
    inbox = Inbox(sys.stdin.buffer)
    while True:
        _answer(model, inbox.next(), inbox, send)


def _answer(model: Model, question: Message, inbox: Inbox, send: Callable[..., None]) -> None:
    number = question["ask"]

    def cancelled() -> bool:
        return inbox.is_over(number)

    try:
        if "middle" in question:
            bits, size = model.score(_context(question["context"]), question["middle"], cancelled)
            send(ask=number, bits=bits, bytes=size)
        else:
            for token in model.stream(_context(question["context"]), question["most"], cancelled):
                send(ask=number, text=token.text, logprob=token.logprob, last=token.last)
        send(ask=number, done=True)
    except Cancelled:
        pass  # the parent does not listen for this number any more
    except Failed as problem:
        send(ask=number, failed=str(problem))


def _context(found: Message) -> Context:
    excerpts = tuple(Excerpt(**excerpt) for excerpt in found["excerpts"])
    return Context(found["path"], found["prefix"], found["suffix"], excerpts)


def load(wanted: Message) -> Model:
    """The model that the parent names. Raises Refused."""
    path = Path(wanted["path"])
    manifest: Manifest | None = parse_manifest(wanted["manifest"]) if wanted["manifest"] else None
    adapter = Path(wanted["adapter"]) if wanted["adapter"] else None
    _make_way()
    try:
        if wanted["kind"] == "torch":
            from kexpert.model.torch import Torch

            return Torch(path, manifest, adapter, wanted["threads"], wanted["context"])
        _limit_memory(path)
        from kexpert.model.llama import Llama

        return Llama(path, manifest, adapter, wanted["threads"], wanted["context"])
    except ImportError as problem:
        raise Refused(f"a library that the model needs cannot be loaded: {problem}") from None


def _limit_memory(path: Path) -> None:
    """A bound on what this process may take, so that a bad model cannot take all there is."""
    most = 2 * path.stat().st_size + _SPARE
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _make_way() -> None:
    """When memory is short the kernel is to end the model, not the editor."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    sys.exit(main())
