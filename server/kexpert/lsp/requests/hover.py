"""``textDocument/hover``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers


@answers(types.TEXT_DOCUMENT_HOVER)
def hover(request: Request) -> Json | None:
    card, source = request.snapshot.hover(request.at), request.source
    if card is None or source is None:
        return None
    rich = request.likes_markdown("hover", "contentFormat")
    places = request.places if request.client.follows_links else None
    found: Json = {"contents": to_protocol.card_markup(card, rich, places)}
    if card.start is not None and card.end is not None:
        found["range"] = request.places.range(source.data, card.start, card.end)
    return found
