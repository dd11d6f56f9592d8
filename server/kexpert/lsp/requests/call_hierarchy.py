"""``textDocument/prepareCallHierarchy``, ``callHierarchy/incomingCalls`` and ``outgoingCalls``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import from_protocol, to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent


@answers(types.TEXT_DOCUMENT_PREPARE_CALL_HIERARCHY, ThreadIntent.SLOW)
def prepare(request: Request) -> list[Json] | None:
    found = request.snapshot.prepare_calls(request.at)
    if len({symbol.name for symbol in found}) == 1:
        # variants: VS Code looks up callers by one item's id and shows nothing for several
        found = found[:1]
    return [item for symbol in found if (item := to_protocol.call_item(request.places, symbol))] or None


@answers(types.CALL_HIERARCHY_INCOMING_CALLS, ThreadIntent.USES)
def incoming(request: Request) -> list[Json] | None:
    symbol = from_protocol.symbol(request.params.item.data)
    if symbol is None:
        return None
    return to_protocol.calls(request.places, request.snapshot.incoming_calls(symbol, request.cancelled), "from")


@answers(types.CALL_HIERARCHY_OUTGOING_CALLS, ThreadIntent.SLOW)
def outgoing(request: Request) -> list[Json] | None:
    symbol = from_protocol.symbol(request.params.item.data)
    if symbol is None:
        return None
    return to_protocol.calls(request.places, request.snapshot.outgoing_calls(symbol), "to")
