"""``textDocument/completion`` and ``completionItem/resolve``."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from kexpert.lsp import from_protocol, to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers


@answers(types.TEXT_DOCUMENT_COMPLETION)
def completion(request: Request) -> Json | None:
    context = request.params.context
    found = request.snapshot.completion(request.at, (context and context.trigger_character) or "")
    source = request.source
    if found is None or source is None:
        return None
    items, incomplete = list(found.items), found.incomplete
    snapshot = request.snapshot
    if snapshot.settings.inline_in_menu and request.client.can("textDocument", "inlineCompletion") is None:
        # A menu waits for no model, but the next letter brings what was worked out since.
        suggested = snapshot.inline_in_menu(request.at)
        if suggested is not None:
            items.insert(0, suggested)
        incomplete |= snapshot.inline is not None and snapshot.inline.is_available
    snippets = request.client.can("textDocument", "completion", "completionItem", "snippetSupport") is True
    return {
        "isIncomplete": incomplete,
        "items": to_protocol.completion_items(request.places, source, items, snippets),
    }


@answers(types.COMPLETION_ITEM_RESOLVE, fallback=lambda item: item)
def resolve(request: Request) -> Any:
    item = request.params
    symbol = from_protocol.symbol(item.data)
    card = request.snapshot.card_of(symbol) if symbol else None
    if card is not None:
        rich = request.likes_markdown("completion", "completionItem", "documentationFormat")
        markup = to_protocol.completion_markup(card, rich)
        item.documentation = types.MarkupContent(types.MarkupKind(markup["kind"]), markup["value"])
    return item
