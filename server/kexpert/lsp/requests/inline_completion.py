"""``textDocument/inlineCompletion``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.core.paths import is_build_file
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent


@answers(types.TEXT_DOCUMENT_INLINE_COMPLETION, ThreadIntent.MODEL)
def inline_completion(request: Request) -> Json | None:
    if is_build_file(request.path):
        return None  # the models write C
    context = request.params.context
    explicit = context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
    selected = context.selected_completion_info
    chosen = (request.position(selected.range.start), selected.text) if selected else None
    found = request.snapshot.inline_completion(request.at, request.cancelled, explicit=explicit, chosen=chosen)
    if found is None:
        return None
    span = request.places.range(found.source.data, found.start, found.end)
    return {"items": [{"insertText": text, "range": span} for text in found.texts]}
