"""``workspace/executeCommand``: ``kexpert.search`` (query, limit), ``kexpert.findSimilar`` and ``kexpert.explain``
(URI and range each), ``kexpert.ask`` (question), ``kexpert.grep`` (expression, limit), ``kexpert.references`` (URI
and position), ``kexpert.diff``, ``kexpert.callChain``, ``kexpert.status`` and ``kexpert.reindex``.

The first two and grep give results with name, kind, location and the lines that match. For explain, ask,
references, diff and callChain see their modules. ``kexpert.status`` gives lines for people by their names;
``kexpert.reindex`` has the whole tree looked through for changes.
"""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from kexpert.lsp import from_protocol, to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.requests.ask import ask
from kexpert.lsp.requests.explain import explain
from kexpert.lsp.requests.references import marked
from kexpert.lsp.requests.tree_questions import call_chain, diff
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.workspace.server_state import status
from kexpert.workspace.snapshot import Position, Refusal

_MAX_RESULTS = 200


def _intent(params: types.ExecuteCommandParams) -> ThreadIntent:
    if params.command == "kexpert.references":
        return ThreadIntent.USES
    return ThreadIntent.CHAT if params.command in ("kexpert.explain", "kexpert.ask") else ThreadIntent.SLOW


@answers(types.WORKSPACE_EXECUTE_COMMAND, _intent)
def execute_command(request: Request) -> list[Json] | Json | None:
    match request.params.command, request.params.arguments or []:
        case "kexpert.search", [str(query), *rest]:
            limit = rest[0] if rest and isinstance(rest[0], int) and 0 < rest[0] <= _MAX_RESULTS else 20
            try:
                return to_protocol.found(request.places, request.snapshot.search(query, limit))
            except Refusal as problem:
                request.log.show_once("info", str(problem))
                return []
        case "kexpert.grep", [str(pattern), *rest]:
            limit = rest[0] if rest and isinstance(rest[0], int) and 0 < rest[0] <= _MAX_RESULTS else 50
            try:
                matches = request.snapshot.grep(pattern, max_results=limit, cancelled=request.cancelled)
            except Refusal as problem:
                raise JsonRpcException(str(problem), types.LSPErrorCodes.RequestFailed) from None
            return to_protocol.grep_hits(request.places, matches)
        case "kexpert.diff", given:
            try:
                return diff(request, from_protocol.plain(given[0]) if given else "HEAD")
            except Refusal as problem:
                raise JsonRpcException(str(problem), types.LSPErrorCodes.RequestFailed) from None
        case "kexpert.callChain", [str(uri), place, *rest] if (at := from_protocol.position_of(place)) is not None:
            options = from_protocol.plain(rest[0]) if rest else None
            return call_chain(request, Position(request.path_of(uri), *at), options)
        case "kexpert.callChain", [str(name), *rest]:
            return call_chain(request, name, from_protocol.plain(rest[0]) if rest else None)
        case "kexpert.status", _:
            return status(request.snapshot)
        case "kexpert.reindex", _:  # begun by the server when the request came
            return None
        case "kexpert.findSimilar", [str(uri), place, *_]:
            span = from_protocol.range_of(place)
            if span is None:
                return []
            start, end = (Position(request.path_of(uri), line, character) for line, character in span)
            return to_protocol.found(request.places, request.snapshot.similar(start, end))
        case "kexpert.explain", [str(uri), place, *rest] if (span := from_protocol.range_of(place)) is not None:
            start, end = (Position(request.path_of(uri), line, character) for line, character in span)
            return explain(request, start, end, rest[0] if rest and isinstance(rest[0], (str, int)) else None)
        case "kexpert.references", [str(uri), place, *rest] if (at := from_protocol.position_of(place)) is not None:
            options, token = (*map(from_protocol.plain, rest), None, None)[:2]
            return marked(request, Position(request.path_of(uri), *at), options, token)
        case "kexpert.ask", [given, *rest] if (question := from_protocol.question(given)):
            return ask(request, question, rest[0] if rest and isinstance(rest[0], (str, int)) else None)
    raise JsonRpcException(
        f"{request.params.command}: no such command, or other arguments than it takes",
        types.LSPErrorCodes.RequestFailed,
    )
