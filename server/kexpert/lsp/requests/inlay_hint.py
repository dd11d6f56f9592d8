"""``textDocument/inlayHint``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.workspace import decorations

_KIND = {"parameter": types.InlayHintKind.Parameter, "value": types.InlayHintKind.Type}


@answers(types.TEXT_DOCUMENT_INLAY_HINT, ThreadIntent.SLOW)
def inlay_hints(request: Request) -> list[Json]:
    source, span = request.source, request.params.range
    if source is None:
        return []
    start, end = (request.position(each) for each in (span.start, span.end))
    found = decorations.inlay_hints(request.snapshot, start, end, request.cancelled)
    places = request.places.ranges(source.data, [(hint.offset, hint.offset) for hint in found])
    return [
        {
            "position": place["start"],
            "label": hint.label,
            "kind": int(_KIND[hint.kind]),
            "paddingRight": hint.kind == "parameter",
        }
        for hint, place in zip(found, places, strict=True)
    ]
