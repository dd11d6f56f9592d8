"""The process that holds a model: the child's end of ``model.worker``.

It looks for a cancellation before every token and between batches of a prompt, and reads neighbours while nobody asks.
Run with ``python -m kexpert.model.engines.worker_child``, which imports a model's library and nothing of the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from kexpert.abilities import NO_NEIGHBOURS, Cancelled, Failed, Neighbour, Neighbours, Proximity, Refused, Token
from kexpert.prompt.fim import Context, Excerpt
from kexpert.prompt.manifest import Manifest, parse_manifest

Message = dict[str, Any]

#: Bytes of memory beside the weights: caches, buffers, Python.
_SPARE = 2 << 30
#: What weights become in memory beside their size on the disk: torch makes 32 bits of 16, and holds both for a while.
_GROWTH = {"llama": 2, "torch": 4}


class Model(Protocol):
    """A model in this process."""

    context: int

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]: ...

    def score(
        self, context: Context, middle: str, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> tuple[float, int]: ...

    def read(self, neighbours: Neighbours, should_stop: Callable[[], bool]) -> bool: ...


class Inbox:
    """What the parent sends, read on a thread of its own so that a cancellation is seen at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._questions: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._over = 0  # questions up to this number are of no interest any more
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Message:
        return self._questions.get()

    def is_asked(self) -> bool:
        """Whether a question waits."""
        return not self._questions.empty()

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
    neighbours = NO_NEIGHBOURS
    while True:
        question = inbox.next()
        neighbours = _neighbours(question["neighbours"], neighbours)
        _answer(model, question, neighbours, inbox, send)
        model.read(neighbours, inbox.is_asked)


def _neighbours(told: Message, before: Neighbours) -> Neighbours:
    """What the parent tells of neighbours; the texts that it does not send again are those of ``before``."""
    held = {text.key: text.text for text in before.texts}
    texts = (Neighbour(key, Proximity(kin), held[key] if text is None else text) for key, kin, text in told["texts"])
    return Neighbours(told["before"], told["after"], tuple(texts))


def _answer(model: Model, question: Message, neighbours: Neighbours, inbox: Inbox, send: Callable[..., None]) -> None:
    number = question["ask"]

    def cancelled() -> bool:
        return inbox.is_over(number)

    try:
        if "middle" in question:
            bits, size = model.score(_context(question["context"]), question["middle"], cancelled, neighbours)
            send(ask=number, bits=bits, bytes=size)
        elif "context" in question:
            for token in model.stream(_context(question["context"]), question["max_tokens"], cancelled, neighbours):
                send(ask=number, text=token.text, logprob=token.logprob, last=token.last)
        else:
            model.read(neighbours, cancelled)
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
    if not wanted["on_gpu"]:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # torch would take one that the settings say to leave alone
        _limit_memory(path, _GROWTH[wanted["kind"]])
    try:
        if wanted["kind"] == "torch":
            from kexpert.model.engines.torch_engine import TorchEngine

            return TorchEngine(path, manifest, adapter, wanted["threads"], wanted["context"])
        from kexpert.model.engines.llama_cpp_engine import LlamaCppEngine

        return LlamaCppEngine(path, manifest, adapter, wanted["threads"], wanted["context"])
    except ImportError as problem:
        raise Refused(f"a library that the model needs cannot be loaded: {problem}") from None


def _limit_memory(path: Path, growth: int) -> None:
    """A bound on what this process may take, so that a bad model cannot take all there is. Not for one on a GPU:
    CUDA's driver maps far more into a process than it uses, and fails within such a bound."""
    weights = path.glob("*.safetensors") if path.is_dir() else [path]
    most = growth * sum(file.stat().st_size for file in weights) + _SPARE
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _make_way() -> None:
    """When memory is short the kernel is to end the model, not the editor."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    sys.exit(main())
