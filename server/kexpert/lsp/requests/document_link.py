"""``textDocument/documentLink``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.workspace import decorations


@answers(types.TEXT_DOCUMENT_DOCUMENT_LINK, ThreadIntent.SLOW)
def document_links(request: Request) -> list[Json]:
    source = request.source
    if source is None:
        return []
    found = decorations.document_links(request.snapshot, request.path, request.cancelled)
    ranges = request.places.ranges(source.data, [(link.start, link.end) for link in found])
    return [{"range": span, "target": request.places.uri(link.path)} for link, span in zip(found, ranges, strict=True)]
