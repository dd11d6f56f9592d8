"""JSON-RPC: messages in, handlers called, answers and requests of our own out.

This half is ours, on lsprotocol's types; pygls gives the converter from JSON to them and the errors of
JSON-RPC. Its transport and its loops cannot do what an editor needs of this server: answer ``initialize``
before the protocol's types are imported, read bodies that are not UTF-8, send results that are JSON
already, cancel work that runs in a thread. Its workspace would keep a second copy of every document, cut
into lines at form feeds, which the protocol does not do and kernel files have.

Two kinds of handler never mix. A plain function changes the workspace; it runs at once, on the one thread
that reads. A ``Question`` runs in a thread of its kind on a snapshot, and may be cancelled.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcParseError,
    JsonRpcRequestCancelled,
)
from pygls.protocol import default_converter

from kexpert.lsp.scheduler import Cancelled, Overdue, Scheduler, ThreadIntent
from kexpert.lsp.transport import BadMessage, Writer, error_response, frame, read_message, response

if TYPE_CHECKING:
    from cattrs import Converter

logger = logging.getLogger("kexpert")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """``begin(params)`` runs at once and returns the work, which is given a cancel flag."""

    intent: Callable[[Any], ThreadIntent]  # of the parameters
    begin: Callable[[Any], Callable[[Cancelled], Any]]


class Dispatcher:
    """One connection after ``initialize``. ``handlers``: by method."""

    def __init__(self, out: Writer, scheduler: Scheduler) -> None:
        self.handlers: dict[str, Callable[[Any], Any] | Question] = {}
        self.exit_code: int | None = None
        self._out = out
        self._scheduler = scheduler
        self._converter: Converter = default_converter()  # type: ignore[no-untyped-call]
        self._shutdown = False
        self._asked: dict[str, Callable[[Any], None]] = {}  # our requests that wait for an answer

    # -- in -------------------------------------------------------------------------------------

    def serve(self, reader: BinaryIO) -> int:
        """Handle messages until the client is done; the exit code that the protocol asks for."""
        while self.exit_code is None:
            try:
                message = read_message(reader)
            except BadMessage as bad:
                self._refuse(None, JsonRpcParseError(str(bad)))
                continue
            if message is None:
                break
            try:
                self.receive(message)
            except Exception:
                logger.exception("a message could not be handled")
        self._scheduler.stop()
        return 1 if self.exit_code is None else self.exit_code

    def shut_down(self) -> None:
        """The client said shutdown: requests are refused from now on."""
        self._shutdown = True

    def finish(self) -> None:
        """The client said exit: an error unless it said shutdown before."""
        self.exit_code = 0 if self._shutdown else 1

    def receive(self, message: Any) -> None:
        """Check one message and hand it on; a request is answered whatever it holds."""
        if not isinstance(message, dict):
            self._refuse(None, JsonRpcInvalidRequest("a message must be an object"))
            return
        method, request_id = message.get("method"), message.get("id")
        if method is None:
            if isinstance(request_id, str):
                self._receive_response(request_id, message)
            return
        is_request = "id" in message
        try:
            params = self._checked(message, is_request)
        except JsonRpcException as problem:
            if is_request:
                self._refuse(request_id, problem)
            elif not self._shutdown:
                logger.warning(problem.message)
            return
        if method == types.CANCEL_REQUEST:
            self._scheduler.cancel(params.id)
        elif is_request:
            self._answer(request_id, method, params)
        else:
            self._call(method, params)

    def _checked(self, message: dict[str, Any], is_request: bool) -> Any:
        """The parameters in the protocol's types. Raises JsonRpcException for what must not be handled."""
        method = message["method"]
        if not isinstance(method, str) or (is_request and not isinstance(message["id"], (str, int))):
            raise JsonRpcInvalidRequest("a request needs a method and an id that is a string or a number")
        if self._shutdown and method != types.EXIT:
            raise JsonRpcInvalidRequest("the server is shutting down")
        if method == types.INITIALIZE:
            raise JsonRpcInvalidRequest("initialize may be sent once only")
        if method not in self.handlers and method != types.CANCEL_REQUEST:
            raise JsonRpcMethodNotFound(f"no such method: {method}")
        try:
            message_type = types.METHOD_TO_TYPES[method][0]
            return self._converter.structure({"params": None, **message, "jsonrpc": "2.0"}, message_type).params
        except Exception:  # cattrs raises whatever its hooks do
            raise JsonRpcInvalidParams(f"{method}: the parameters are not what the protocol says") from None

    def _call(self, method: str, params: Any) -> None:
        """A notification."""
        handler = self.handlers.get(method)
        if callable(handler):
            try:
                handler(params)
            except Exception:
                logger.exception("%s failed", method)

    def _answer(self, request_id: Any, method: str, params: Any) -> None:
        handler = self.handlers[method]
        if isinstance(handler, Question):
            future = self._scheduler.start(request_id, handler.intent(params), handler.begin(params))
            future.add_done_callback(lambda done: self._send_result(request_id, method, done))
            return
        future = Future()
        try:
            future.set_result(handler(params))
        except Exception as problem:
            future.set_exception(problem)
        self._send_result(request_id, method, future)

    def _send_result(self, request_id: Any, method: str, future: Future[Any]) -> None:
        problem = JsonRpcRequestCancelled() if future.cancelled() else future.exception()
        if isinstance(problem, Overdue):
            logger.error("%s: %s", method, problem.message)
        if problem is None:
            self._out.write(response(request_id, future.result(), self._converter.unstructure))
        elif isinstance(problem, JsonRpcException):
            self._refuse(request_id, problem)
        else:
            logger.error("request %s failed", request_id, exc_info=problem)
            self._refuse(request_id, JsonRpcInternalError(f"{type(problem).__name__}: {problem}"))

    def _receive_response(self, request_id: str, message: dict[str, Any]) -> None:
        waiting = self._asked.pop(request_id, None)
        if waiting is not None:
            waiting(None if "error" in message else message.get("result"))

    # -- out ------------------------------------------------------------------------------------

    def request(self, method: str, params: Any = None, answered: Callable[[Any], None] = lambda result: None) -> None:
        """Ask the client. ``answered`` gets plain JSON on the reading thread; None for a refusal."""
        request_id = str(uuid.uuid4())
        self._asked[request_id] = answered
        self._send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})

    def notify(self, method: str, params: Any = None) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def _refuse(self, request_id: Any, problem: JsonRpcException) -> None:
        self._send(error_response(request_id, problem.code, problem.message))

    def _send(self, message: Any) -> None:
        self._out.write(frame(message, self._converter.unstructure))
