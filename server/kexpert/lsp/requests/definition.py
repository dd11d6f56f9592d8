"""``textDocument/definition``, ``declaration``, ``typeDefinition``, ``implementation``."""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types

from kexpert.core.symbols import Span
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers


def _locations(request: Request, spans: Sequence[Span]) -> list[Json] | None:
    """None where there is no such file."""
    return request.places.locations(spans) if request.source is not None else None


@answers(types.TEXT_DOCUMENT_DEFINITION)
def definition(request: Request) -> list[Json] | None:
    return _locations(request, request.snapshot.definition(request.at))


@answers(types.TEXT_DOCUMENT_DECLARATION)
def declaration(request: Request) -> list[Json] | None:
    return _locations(request, request.snapshot.declaration(request.at))


@answers(types.TEXT_DOCUMENT_TYPE_DEFINITION)
def type_definition(request: Request) -> list[Json] | None:
    return _locations(request, request.snapshot.type_definition(request.at))


@answers(types.TEXT_DOCUMENT_IMPLEMENTATION)
def implementation(request: Request) -> list[Json] | None:
    return _locations(request, request.snapshot.implementation(request.at))
