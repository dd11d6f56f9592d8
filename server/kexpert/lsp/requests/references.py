"""``textDocument/references`` and ``documentHighlight``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.lsp.transport import Encoded


@answers(types.TEXT_DOCUMENT_REFERENCES, ThreadIntent.SLOW)
def references(request: Request) -> Encoded | None:
    if request.source is None:
        return None
    context = request.params.context
    declared = bool(context and context.include_declaration)
    found = request.snapshot.references(request.at, declared, request.cancelled)
    return None if request.cancelled() else request.places.encoded_locations(found)


@answers(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
def highlight(request: Request) -> list[Json] | None:
    source = request.source
    if source is None:
        return None
    return to_protocol.highlights(request.places, source, request.snapshot.highlights(request.at))
