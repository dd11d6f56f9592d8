"""A child process with a model, and the lines of JSON that go to it and come from it. ``model_process`` says which."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from kexpert.abilities import Cancelled, Failed

Message = dict[str, Any]

#: Interval at which a waiting request looks at ``cancelled()``.
POLL_SECONDS = 0.01
#: Maximum time in which the child reads nothing although something was sent. Its reader is a thread of its own.
_MAX_UNREAD_SECONDS = 10.0
#: Make OpenMP threads yield the CPU early when they wait for one another, hundreds of times a token. With the default,
#: two threads beside a kernel build (three busy threads on two CPUs) took 20 times longer.
_OPENMP_SETTINGS = {"GOMP_SPINCOUNT": "2000"}
#: Bytes of a longer line are not from our child.
_MAX_LINE_BYTES = 8 << 20


class ChildDied(Exception):
    """The child exited, hangs, or breaks the protocol; the message says which."""


class Child:
    """A running child and the pipes to it. Sending never blocks."""

    def __init__(self, load: Message) -> None:
        self.ready = False
        self.held: frozenset[str] = frozenset()  # keys of texts that it holds, for the caller
        self._received = b""
        self._unsent = bytearray()
        self._last_write = 0.0  # when the child last took bytes, or had taken all
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
        """Wait until the child has taken all queued messages. Raises Cancelled or ChildDied."""
        while self._unsent:
            if obsolete():
                raise Cancelled
            self._poll()

    def receive(self, max_seconds: float, obsolete: Callable[[], bool]) -> Message:
        """The next message. Raises Cancelled, or ChildDied, also if none comes within ``max_seconds``."""
        deadline = time.monotonic() + max_seconds
        while b"\n" not in self._received:
            if obsolete():
                raise Cancelled
            if not self._poll() and time.monotonic() > deadline:
                raise ChildDied(f"the model's process said nothing for {max_seconds:g} s")
        if obsolete():
            raise Cancelled
        line, _, self._received = self._received.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise ChildDied("the model's process talks nonsense")
        return message

    def _poll(self) -> bool:
        """Wait for at most ``POLL_SECONDS``, then write and read what is possible. Returns True if bytes were read.
        Raises ChildDied."""
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        if self._unsent:
            poll.register(self._stdin, select.POLLOUT)
        ready = {file for file, _ in poll.poll(POLL_SECONDS * 1000)}
        if self._stdin.fileno() in ready:
            self._write()
        elif self._unsent and time.monotonic() - self._last_write > _MAX_UNREAD_SECONDS:
            raise ChildDied(f"the model's process took nothing for {_MAX_UNREAD_SECONDS:g} s")
        if self._stdout.fileno() not in ready:
            return False
        data = self._stdout.read(1 << 16)
        if not data:
            raise ChildDied(f"the model's process ended ({_exit_reason(self._process.wait())})")
        self._received += data
        if len(self._received) > _MAX_LINE_BYTES:
            raise ChildDied("the model's process talks nonsense")
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

    def kill(self) -> None:
        """Send SIGKILL: the child has no state worth saving."""
        self._process.kill()

    def wait(self) -> None:
        """Wait until the child, which was killed, is gone."""
        self._process.wait()

    def end(self) -> None:
        """Kill the child, wait for it and close the pipes."""
        self.kill()
        self._process.wait()
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                pipe.close()


def _exit_reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
