"""``workspace/executeCommand``: ``kexpert.search`` (query, limit), ``kexpert.findSimilar`` and
``kexpert.explain`` (URI and range each).

The first two give results with name, kind, score, location and the lines that match; ``kexpert.explain`` gives
``{markdown, json}``, or null where there is nothing to explain. Editors drop the answer of a command, so the page is
also written to a file, which a client with ``window/showDocument`` is asked to open, unless it announces
``experimental.kexpertExplain``: then it shows the answer itself.
"""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from kexpert.lsp import from_protocol, to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.lsp.uris import uri_of
from kexpert.workspace.explanation_file import write_explanation
from kexpert.workspace.snapshot import Position, Refusal

_MAX_RESULTS = 200


@answers(types.WORKSPACE_EXECUTE_COMMAND, ThreadIntent.SLOW)
def execute_command(request: Request) -> list[Json] | Json | None:
    match request.params.command, request.params.arguments or []:
        case "kexpert.search", [str(query), *rest]:
            limit = rest[0] if rest and isinstance(rest[0], int) and 0 < rest[0] <= _MAX_RESULTS else 20
            try:
                return to_protocol.found(request.places, request.snapshot.search(query, limit))
            except Refusal as problem:
                request.log.show_once("info", str(problem))
                return []
        case "kexpert.findSimilar", [str(uri), place, *_]:
            span = from_protocol.range_of(place)
            if span is None:
                return []
            start, end = (Position(request.path_of(uri), line, character) for line, character in span)
            return to_protocol.found(request.places, request.snapshot.similar(start, end))
        case "kexpert.explain", [str(uri), place, *_] if (span := from_protocol.range_of(place)) is not None:
            start, end = (Position(request.path_of(uri), line, character) for line, character in span)
            explanation = request.snapshot.explain(start, end)
            if explanation is None:
                return None
            answer = to_protocol.explanation(request.places, explanation)
            _show(request, explanation.path, explanation.name, answer["markdown"])
            return answer
    raise JsonRpcException(
        f"{request.params.command}: no such command, or other arguments than it takes",
        types.LSPErrorCodes.RequestFailed,
    )


def _show(request: Request, path: str, name: str, markdown: str) -> None:
    """Have the client open a page, if it can and does not show the answer itself."""
    client = request.client
    if client.shows_explanations or not client.shows_documents or request.cancelled():
        return
    try:
        page = write_explanation(request.snapshot.root, path, name, markdown)
    except OSError as problem:
        request.log.show("warning", f"the explanation cannot be shown: {problem}")
        return
    request.show_document(uri_of(str(page), None, {}))
