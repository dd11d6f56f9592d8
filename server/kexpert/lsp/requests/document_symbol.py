"""``textDocument/documentSymbol``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers


@answers(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def document_symbols(request: Request) -> list[Json] | None:
    source = request.source
    if source is None:
        return None
    nested = request.client.can("textDocument", "documentSymbol", "hierarchicalDocumentSymbolSupport") is True
    outline = request.snapshot.document_symbols(request.path)
    return to_protocol.document_symbols(request.places, source, outline, nested, request.uri)
