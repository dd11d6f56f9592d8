"""The process that holds a model: the child's end of ``model_process``, which describes the messages.

Looks for a cancellation before every token and between the batches of a prompt. Ingests neighbours between requests.
Started with ``python -m kexpert.model.engines.worker_child``; imports one model library and nothing of the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kexpert.abilities import NO_NEIGHBOURS, Cancelled, Chat, Failed, Neighbour, Neighbours, Proximity, Refused
from kexpert.prompt import chat
from kexpert.prompt.fim import Context, Excerpt
from kexpert.prompt.manifest import Manifest, parse_manifest

if TYPE_CHECKING:
    from kexpert.model.engines.in_process_chat import InProcessChat
    from kexpert.model.engines.in_process_engine import InProcessEngine

Message = dict[str, Any]
Send = Callable[..., None]

#: Memory limit: weights times a factor, plus this for caches, buffers and Python.
_EXTRA_BYTES = 2 << 30
#: torch widens 16-bit weights to 32 bits and holds both for a while.
_WEIGHTS_FACTOR = {"llama": 2, "torch": 4}
#: Of a chat model's process: inline completion, for which somebody waits at each key, goes first.
_CHAT_NICENESS = 3
#: See proc_pid_oom_score_adj(5).
_OOM_SCORE_ADJUSTMENT = "500"


class Inbox:
    """The parent's messages. A thread reads them, so that a cancellation is seen during an evaluation."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._cancelled_up_to = 0
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Message:
        """Wait for the next request."""
        return self._requests.get()

    def has_request(self) -> bool:
        return not self._requests.empty()

    def is_cancelled(self, number: int) -> bool:
        return number <= self._cancelled_up_to

    def _read(self) -> None:
        for line in self._stream:
            message = json.loads(line)
            if "cancel" in message:
                self._cancelled_up_to = max(self._cancelled_up_to, message["cancel"])
            else:
                self._cancelled_up_to = max(self._cancelled_up_to, message["ask"] - 1)
                self._requests.put(message)
        os._exit(0)  # the parent closed the pipe or died


def main() -> int:
    """Answer requests until the parent goes away."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print to stdout; keep that out of the messages

    def send(**message: Any) -> None:
        out.write(json.dumps(message).encode() + b"\n")
        out.flush()

    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    try:
        engine = load_engine(json.loads(line))
    except Refused as refusal:
        send(refused=str(refusal))
        return 1
    send(ready=True, context=engine.context)
    inbox = Inbox(sys.stdin.buffer)
    if isinstance(engine, Chat):
        _chat(engine, inbox, send)
    else:
        _complete(engine, inbox, send)
    return 0


def _complete(engine: InProcessEngine, inbox: Inbox, send: Send) -> None:
    """Answer the requests of a ``WorkerProcess``; ingest neighbours between two of them."""
    neighbours = NO_NEIGHBOURS
    while True:
        request = inbox.next()
        if "neighbours" in request:
            neighbours = _decode_neighbours(request["neighbours"], neighbours)
        _reply(request, inbox, send, partial(_fill, engine, request, neighbours))
        engine.read(neighbours, inbox.has_request)


def _fill(
    engine: InProcessEngine, request: Message, neighbours: Neighbours, cancelled: Callable[[], bool], send: Send
) -> None:
    if "middle" in request:
        context = _decode_context(request["context"])
        bits, size = engine.score(context, request["middle"], cancelled, neighbours)
        send(bits=bits, bytes=size)
    elif "context" in request:
        context = _decode_context(request["context"])
        for token in engine.stream(context, request["max_tokens"], cancelled, neighbours):
            send(text=token.text, logprob=token.logprob, last=token.last, origin=token.origin)
    elif "neighbours" in request:
        engine.read(neighbours, cancelled)


def _chat(engine: InProcessChat, inbox: Inbox, send: Send) -> None:
    """Answer the requests of a ``ChatProcess``."""
    while True:
        request = inbox.next()
        _reply(request, inbox, send, partial(_answer, engine, request))


def _answer(engine: InProcessChat, request: Message, cancelled: Callable[[], bool], send: Send) -> None:
    if "messages" not in request:
        return
    messages = [chat.Message(role, text) for role, text in request["messages"]]
    more = request["beginning"], request["stop"], request["seed"]
    for token in engine.answer(messages, request["max_tokens"], cancelled, *more):
        send(text=token.text, logprob=token.logprob, last=token.last)


def _reply(
    request: Message, inbox: Inbox, send: Send, work: Callable[[Callable[[], bool], Send], None]
) -> None:
    """Do the work of a request, with its number in every reply, and report its end."""
    number = request["ask"]
    reply = partial(send, ask=number)
    try:
        work(lambda: inbox.is_cancelled(number), reply)
        reply(done=True)
    except Cancelled:
        pass  # the parent ignores further replies
    except Failed as problem:
        reply(failed=str(problem))


def _decode_neighbours(message: Message, previous: Neighbours) -> Neighbours:
    """Decode neighbours. A text that is null is the one of ``previous`` with the same key."""
    held = {text.key: text.text for text in previous.texts}
    texts = (
        Neighbour(key, Proximity(proximity), held[key] if text is None else text)
        for key, proximity, text in message["texts"]
    )
    return Neighbours(message["before"], message["after"], tuple(texts))


def _decode_context(message: Message) -> Context:
    excerpts = tuple(Excerpt(**excerpt) for excerpt in message["excerpts"])
    return Context(message["path"], message["prefix"], message["suffix"], excerpts)


def load_engine(message: Message) -> InProcessEngine | InProcessChat:
    """Load the model that the parent names. Raises Refused."""
    path = Path(message["path"])
    manifest: Manifest | None = parse_manifest(message["manifest"]) if message["manifest"] else None
    adapter = Path(message["adapter"]) if message["adapter"] else None
    chats = message["ability"] == "chat"
    _prefer_for_oom_kill()
    if chats:
        os.nice(_CHAT_NICENESS)
    if not message["on_gpu"]:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # else torch uses a GPU that the settings exclude
        _limit_memory(path, _WEIGHTS_FACTOR[message["kind"]])
    load: Callable[..., InProcessEngine | InProcessChat]
    try:
        if message["kind"] == "torch":
            from kexpert.model.engines import torch_engine

            load = torch_engine.TorchChat if chats else torch_engine.TorchEngine
        else:
            from kexpert.model.engines import llama_cpp_engine

            load = llama_cpp_engine.LlamaCppChat if chats else llama_cpp_engine.LlamaCppEngine
        return load(path, manifest, adapter, message["threads"], message["context"])
    except ImportError as problem:
        raise Refused(f"a library that the model needs cannot be loaded: {problem}") from None


def _limit_memory(path: Path, factor: int) -> None:
    """Limit this process's data size, so that a bad model cannot take all memory.

    Not for a model on a GPU: CUDA's driver maps far more than it uses, and fails within such a limit.
    """
    weights = path.glob("*.safetensors") if path.is_dir() else [path]
    limit = factor * sum(file.stat().st_size for file in weights) + _EXTRA_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _prefer_for_oom_kill() -> None:
    """Make the kernel kill this process before the editor when memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE_ADJUSTMENT)


if __name__ == "__main__":
    sys.exit(main())
