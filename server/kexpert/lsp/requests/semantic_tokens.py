"""``textDocument/semanticTokens/full``, ``full/delta`` and ``range``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsprotocol import types

from kexpert.core.c.source import Source
from kexpert.lsp.locations import Json, LocationMapper
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.lsp.token_legend import TOKEN_MODIFIERS, TOKEN_TYPES
from kexpert.workspace import decorations

if TYPE_CHECKING:
    from kexpert.features.decorations.semantic_tokens import SemanticToken

_TYPES = {name: number for number, name in enumerate(TOKEN_TYPES)}
_MODIFIERS = {name: 1 << number for number, name in enumerate(TOKEN_MODIFIERS)}


@answers(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, ThreadIntent.SLOW)
def full(request: Request) -> Json | None:
    data = _data(request)
    return None if data is None else {"resultId": request.tokens.keep(request.uri, data), "data": data}


@answers(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL_DELTA, ThreadIntent.SLOW)
def delta(request: Request) -> Json | None:
    before = request.tokens.known(request.uri, request.params.previous_result_id)
    data = _data(request)
    if data is None:
        return None
    result_id = request.tokens.keep(request.uri, data)
    return {"resultId": result_id, **({"data": data} if before is None else {"edits": edits(before, data)})}


@answers(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, ThreadIntent.SLOW)
def in_range(request: Request) -> Json | None:
    source, span = request.source, request.params.range
    if source is None:
        return None
    start, end = (request.position(each) for each in (span.start, span.end))
    found = decorations.semantic_tokens(request.snapshot, start, end, request.cancelled)
    return {"data": encoded(request.places, source, found)}


def _data(request: Request) -> list[int] | None:
    source = request.source
    found = decorations.all_semantic_tokens(request.snapshot, request.path, request.cancelled)
    return None if source is None or found is None else encoded(request.places, source, found)


def encoded(places: LocationMapper, source: Source, tokens: Sequence[SemanticToken]) -> list[int]:
    """Five numbers a token: lines and characters since the token before, length, type, modifiers."""
    data: list[int] = []
    line = character = 0
    for token, place in zip(tokens, places.ranges(source.data, [token[:2] for token in tokens]), strict=True):
        start = place["start"]
        since = start["character"] - (character if start["line"] == line else 0)
        length = place["end"]["character"] - start["character"]
        modifiers = sum(_MODIFIERS[each] for each in token.modifiers)
        data += (start["line"] - line, since, length, _TYPES[token.type], modifiers)
        line, character = start["line"], start["character"]
    return data


def edits(before: list[int], after: list[int]) -> list[Json]:
    """The one edit that makes ``after`` of ``before``; none if they are equal."""
    if before == after:
        return []
    shared = min(len(before), len(after))
    start = next((at for at in range(shared) if before[at] != after[at]), shared)
    end = next((at for at in range(shared - start) if before[-1 - at] != after[-1 - at]), shared - start)
    return [{"start": start, "deleteCount": len(before) - end - start, "data": after[start : len(after) - end]}]
