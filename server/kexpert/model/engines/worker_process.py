"""A model in a process of its own, so that neither its memory nor its death is the server's: the parent's end.

Both ends speak JSON, one object a line. The child (``model.worker_child``) reads what it is to load, answers
``ready`` or ``refused``, then takes ``ask`` (numbered) and ``cancel`` and answers with tokens. A newer question ends
the one before it. A neighbour's text goes to the child once, for as long as it is a neighbour.
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
from kexpert.model.engine import EngineChoice
from kexpert.prompt.fim import Context
from kexpert.prompt.manifest import dump_manifest

Message = dict[str, Any]

#: Seconds between two looks at whether anybody still waits.
_POLL = 0.01
#: Seconds that loading may take, that may pass without a token, and that the child may leave unread what it is sent:
#: it reads on a thread of its own, whatever else it does.
_LOADING = 180.0
_SILENCE = 60.0
_UNREAD = 10.0
#: So many deaths in so many seconds, and the worker is left alone for as long.
_DEATHS, _MINUTE = 3, 60.0
#: OpenMP's threads wait for one another hundreds of times a token. While a kernel is being built they must give the
#: processor away soon: spinning as long as they do by themselves, two threads beside a busy third took 20 times longer.
_SHARING = {"GOMP_SPINCOUNT": "2000"}
#: A longer line is none of ours.
_MOST_LINE = 8 << 20


class WorkerProcess(Completer):
    """The parent's end: an ``Completer``. The process is started when first needed."""

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
        self._process: _Process | None = None
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._refusal = ""
        self._numbers = itertools.count(1)
        self._newest = 0
        self._busy = threading.Lock()

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        question = {"context": asdict(context), "max_tokens": max_tokens}
        with contextlib.closing(self._ask(question, cancelled, neighbours)) as replies:
            for reply in replies:
                if "text" in reply:
                    yield Token(reply["text"], reply["logprob"], reply["last"])

    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Wait until the model is loaded."""
        self.read(NO_NEIGHBOURS, cancelled)

    def read(self, neighbours: Neighbours, cancelled: Callable[[], bool]) -> None:
        """Wait until the model has read all neighbours; without this it does so between two questions."""
        with contextlib.closing(self._ask({}, cancelled, neighbours)) as replies:
            for _ in replies:
                pass

    def score(
        self, context: Context, middle: str, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> tuple[float, int]:
        """(bits, bytes) that the model needs for a middle that is known."""
        question = {"context": asdict(context), "middle": middle}
        with contextlib.closing(self._ask(question, cancelled, neighbours)) as replies:
            for reply in replies:
                if "bits" in reply:
                    return reply["bits"], reply["bytes"]
        raise Failed("the model gave no score")

    def close(self) -> None:
        self._newest = next(self._numbers)  # whoever is being answered stops
        if process := self._process:
            process.kill()
        with self._busy:
            if self._process:
                self._process.end()
                self._process = None

    def _ask(
        self, question: Message, cancelled: Callable[[], bool], neighbours: Neighbours
    ) -> Generator[Message, None, None]:
        self._newest = number = next(self._numbers)

        def obsolete() -> bool:
            return self._newest != number or cancelled()

        while not self._busy.acquire(timeout=_POLL):
            if obsolete():
                raise Cancelled
        asked = answered = False
        try:
            process = self._loaded(obsolete)
            process.settle(obsolete)
            process.send({"ask": number, **question, "neighbours": process.told(neighbours)})
            asked = True
            while not answered:
                reply = process.receive(_SILENCE, obsolete)
                if reply.get("ask") == number:
                    if "failed" in reply:
                        raise Failed(reply["failed"])
                    answered = "done" in reply
                    yield reply
        except _Died as death:
            self._bury()
            raise (Cancelled if obsolete() else Failed(str(death))) from None
        finally:
            if asked and not answered and self._process:
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
        self._unsent = bytearray()
        self._taken = 0.0  # since when the child takes nothing of it
        self._held: frozenset[str] = frozenset()  # keys of the neighbours that the child has
        command = [sys.executable, "-P", "-m", "kexpert.model.engines.worker_child"]
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
        assert self._child.stdin
        assert self._child.stdout
        self._to, self._from = self._child.stdin, self._child.stdout
        os.set_blocking(self._to.fileno(), False)
        self.send(load)

    def send(self, message: Message) -> None:
        """Does not wait: what the child does not take at once it is given in ``receive`` or ``settle``."""
        if not self._unsent:
            self._taken = time.monotonic()
        self._unsent += json.dumps(message).encode() + b"\n"
        self._write()

    def settle(self, obsolete: Callable[[], bool]) -> None:
        """Wait until the child has taken all that was sent. Raises Cancelled or _Died."""
        while self._unsent:
            if obsolete():
                raise Cancelled
            self._exchange()

    def _write(self) -> None:
        """Send as much as fits. A child that is gone is noticed when it is read from."""
        try:
            written = self._to.write(self._unsent)  # None: nothing fits
        except OSError:
            written = len(self._unsent)
        del self._unsent[: written or 0]
        if written:
            self._taken = time.monotonic()

    def _exchange(self) -> bool:
        """Write and read what can be now, or wait for a moment; whether anything was read. Raises _Died."""
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        if self._unsent:
            poll.register(self._to, select.POLLOUT)
        able = {file for file, _ in poll.poll(_POLL * 1000)}
        if self._to.fileno() in able:
            self._write()
        elif self._unsent and time.monotonic() - self._taken > _UNREAD:
            raise _Died(f"the model's process took nothing for {_UNREAD:g} s")
        if self._from.fileno() not in able:
            return False
        data = self._from.read(1 << 16)
        if not data:
            raise _Died(f"the model's process ended ({_how(self._child.wait())})")
        self._buffer += data
        if len(self._buffer) > _MOST_LINE:
            raise _Died("the model's process talks nonsense")
        return True

    def told(self, neighbours: Neighbours) -> Message:
        """Neighbours as they are sent: each text once for as long as it is a neighbour."""
        held, self._held = self._held, frozenset(text.key for text in neighbours.texts)
        texts = [[text.key, text.proximity, None if text.key in held else text.text] for text in neighbours.texts]
        return {"before": neighbours.before, "after": neighbours.after, "texts": texts}

    def receive(self, patience: float, obsolete: Callable[[], bool]) -> Message:
        """The next message. Raises Cancelled, or _Died also for a child that is silent or talks nonsense."""
        until = time.monotonic() + patience
        while b"\n" not in self._buffer:
            if obsolete():
                raise Cancelled
            if not self._exchange() and time.monotonic() > until:
                raise _Died(f"the model's process said nothing for {patience:g} s")
        if obsolete():
            raise Cancelled
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise _Died("the model's process talks nonsense")
        return message

    def kill(self) -> None:
        """The child holds nothing that could be lost."""
        self._child.kill()

    def end(self) -> None:
        self.kill()
        self._child.wait()
        for pipe in (self._to, self._from):
            with contextlib.suppress(OSError):
                pipe.close()


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
