"""The JSON-RPC side of the server: dispatch, jobs and their cancellation, answers to nonsense.

pygls gives the registry of handlers, the protocol's types and the requests that the server makes.
Two kinds of handler never mix. A plain function changes the session; it runs at once, on the one
thread that reads. A ``LongHandler`` answers a question; it runs in a lane of its own on what the
session was when the question came, and may be cancelled.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, BinaryIO

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcRequestCancelled
from pygls.protocol import LanguageServerProtocol

from kexpert.lsp.handshake import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, refusal
from kexpert.lsp.transport import BadMessage, Writer, frame, read_message, response

logger = logging.getLogger("kexpert")


class Lane(Enum):
    """Where a long handler runs: threads that it shares with its like alone. The value is their number."""

    QUICK = ("quick", 2)  # milliseconds: hover, completion, jumps
    SLOW = ("slow", 2)  # whole-tree questions
    PROGRAM = ("program", 1)  # waits for another process
    MODEL = ("model", 1)  # the model answers one question at a time
    BACKGROUND = ("background", 1)  # nobody waits for it: it begins when no question has come for a moment


#: Seconds without a question after which work in the background may begin: an editor that opens a
#: file asks about it at once, and two threads of one interpreter are slower than one after the other.
_QUIET = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class LongHandler:
    """``begin(params)`` runs at once and returns the work, to which a cancel flag is given."""

    lane: Lane
    begin: Callable[[Any], Callable[[Callable[[], bool]], Any]]

    def __call__(self, params: Any) -> Any:
        """Do the work on this thread."""
        return self.begin(params)(lambda: False)


@dataclass(slots=True)
class Jobs:
    """Work under way, by key (a request's id)."""

    _lanes: dict[Lane, ThreadPoolExecutor] = field(default_factory=dict)
    _flags: dict[Any, threading.Event] = field(default_factory=dict)
    _questions: set[Future[Any]] = field(default_factory=set)  # under way
    _last: float = 0.0  # when work came last (monotonic)

    def start(self, key: Any, lane: Lane, work: Callable[[Callable[[], bool]], Any]) -> Future[Any]:
        """Run ``work`` in a lane. Its future raises JsonRpcRequestCancelled when it was cancelled."""
        flag = self._flags[key] = threading.Event()

        def run() -> Any:
            try:
                while lane is Lane.BACKGROUND and not self._is_quiet() and not flag.wait(_QUIET / 2):
                    pass
                result = None if flag.is_set() else work(flag.is_set)
                if flag.is_set():
                    raise JsonRpcRequestCancelled
                return result
            finally:
                if self._flags.get(key) is flag:
                    del self._flags[key]

        if lane not in self._lanes:
            name, threads = lane.value
            self._lanes[lane] = ThreadPoolExecutor(threads, thread_name_prefix=f"kexpert-{name}")
        self._last = time.monotonic()
        future = self._lanes[lane].submit(run)
        if lane in (Lane.QUICK, Lane.SLOW):
            self._questions.add(future)
            future.add_done_callback(self._questions.discard)
        return future

    def _is_quiet(self) -> bool:
        return not self._questions and time.monotonic() - self._last >= _QUIET

    def cancel(self, key: Any) -> None:
        if flag := self._flags.pop(key, None):
            flag.set()

    def stop(self) -> None:
        """Cancel everything and take nothing more."""
        for key in list(self._flags):
            self.cancel(key)
        for lane in self._lanes.values():
            lane.shutdown(wait=False, cancel_futures=True)


class Protocol(LanguageServerProtocol):
    """pygls' protocol for an initialized session, over blocking streams."""

    jobs: Jobs
    out: Writer
    exit_code: int | None = None

    def register(self, method: str, handler: Callable[[Any], Any]) -> None:
        """Make ``handler`` answer ``method``. Not by pygls' decorator, which wants functions it can mark."""
        self.fm.features[method] = handler

    def connect(self, out: Writer) -> None:
        self.out = out
        self.jobs = Jobs()

    def _register_builtin_features(self) -> None:
        """None of pygls' own: they keep a second copy of every document, cut into lines at form feeds."""

    def serve(self, reader: BinaryIO) -> int:
        """Handle messages until the client is done; the exit code that the protocol asks for."""
        while self.exit_code is None:
            try:
                message = read_message(reader)
            except BadMessage as bad:
                self._send_data(refusal(None, PARSE_ERROR, str(bad)))
                continue
            if message is None:
                break
            try:
                self.receive(message)
            except Exception:
                logger.exception("a message could not be handled")
        self.jobs.stop()
        return 1 if self.exit_code is None else self.exit_code

    def finish(self) -> None:
        """The client said exit: it is an error unless it said shutdown before."""
        self.exit_code = 0 if self._shutdown else 1

    def shut_down(self) -> None:
        self._shutdown = True

    def receive(self, message: Any) -> None:
        """Check one message and hand it on; a request is answered whatever it holds."""
        if not isinstance(message, dict):
            self._send_data(refusal(None, INVALID_REQUEST, "a message must be an object"))
            return
        method, request_id = message.get("method"), message.get("id")
        if method is None:
            if isinstance(request_id, str):
                self._receive_response(request_id, message)
            return
        is_request = "id" in message
        problem = None
        if not isinstance(method, str) or (is_request and not isinstance(request_id, (str, int))):
            problem = (INVALID_REQUEST, "a request needs a method and an id that is a string or a number")
        elif self._shutdown and method != types.EXIT:
            problem = (INVALID_REQUEST, "the server is shutting down")
        elif method == "initialize":
            problem = (INVALID_REQUEST, "initialize may be sent once only")
        if problem is None:
            if method not in self.fm.features and method != types.CANCEL_REQUEST:
                if is_request:
                    self._send_data(refusal(request_id, METHOD_NOT_FOUND, f"no such method: {method}"))
                return
            try:
                typed = self.structure_message({"params": None, **message, "jsonrpc": "2.0"})
            except JsonRpcException:
                problem = (INVALID_PARAMS, f"{method}: the parameters are not what the protocol says")
        if problem is None:
            self.handle_message(typed)
        elif is_request:
            self._send_data(refusal(request_id, *problem))
        elif not self._shutdown:
            logger.warning(problem[1])

    def _receive_response(self, request_id: str, message: dict[str, Any]) -> None:
        """The client's answer to a request of ours; who waits for it gets plain JSON, None for a refusal."""
        if self._result_types.pop(request_id, None) is None:
            return  # no request of ours has this id
        waiting = self._request_futures.pop(request_id, None)
        if waiting is not None and waiting.set_running_or_notify_cancel():
            waiting.set_result(None if "error" in message else message.get("result"))

    def _execute_handler(self, msg_id: Any, handler: Any, callback: Any, args: Any = None, kwargs: Any = None) -> None:
        if not isinstance(handler, LongHandler):
            super()._execute_handler(msg_id, handler, callback, args, kwargs)
            return
        future = self.jobs.start(msg_id, handler.lane, handler.begin(*args))
        self._request_futures[msg_id] = future
        future.add_done_callback(callback)

    def _handle_cancel_notification(self, msg_id: Any) -> None:
        self.jobs.cancel(msg_id)
        future = self._request_futures.pop(msg_id, None)
        if future:
            future.cancel()

    def _send_response(self, msg_id: Any, result: Any = None, error: Any = None) -> None:
        # Not through the typed messages of pygls: results are plain JSON already.
        if error is None:
            self.out.write(response(msg_id, result, self._serialize_message))
        else:
            self._send_data(refusal(msg_id, error.code, error.message))

    def notify(self, method: str, params: Any = None) -> None:
        self._send_data({"jsonrpc": "2.0", "method": method, "params": params})

    def _send_data(self, data: Any) -> None:
        self.out.write(frame(data, self._serialize_message))
