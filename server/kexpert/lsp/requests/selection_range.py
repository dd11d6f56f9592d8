"""``textDocument/selectionRange``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers


@answers(types.TEXT_DOCUMENT_SELECTION_RANGE)
def selection(request: Request) -> list[Json] | None:
    source = request.source
    if source is None:
        return None
    around = (request.snapshot.selections(request.position(position)) for position in request.params.positions)
    return [to_protocol.selection_range(request.places.ranges(source.data, spans)) for spans in around]
