"""``textDocument/prepareTypeHierarchy``, ``typeHierarchy/supertypes`` and ``subtypes``: tables of operations."""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types

from kexpert.core.symbols import Symbol
from kexpert.lsp import from_protocol, to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.workspace import decorations


@answers(types.TEXT_DOCUMENT_PREPARE_TYPE_HIERARCHY, ThreadIntent.SLOW)
def prepare(request: Request) -> list[Json] | None:
    return _items(request, decorations.prepare_types(request.snapshot, request.at)) or None


@answers(types.TYPE_HIERARCHY_SUPERTYPES, ThreadIntent.SLOW)
def supertypes(request: Request) -> list[Json] | None:
    symbol = from_protocol.symbol(request.params.item.data)
    return None if symbol is None else _items(request, decorations.supertypes(request.snapshot, symbol))


@answers(types.TYPE_HIERARCHY_SUBTYPES, ThreadIntent.SLOW)
def subtypes(request: Request) -> list[Json] | None:
    symbol = from_protocol.symbol(request.params.item.data)
    if symbol is None:
        return None
    return _items(request, decorations.subtypes(request.snapshot, symbol, request.cancelled))


def _items(request: Request, symbols: Iterable[Symbol]) -> list[Json]:
    return [item for symbol in symbols if (item := to_protocol.call_item(request.places, symbol))]
