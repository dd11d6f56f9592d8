"""``textDocument/foldingRange``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers


@answers(types.TEXT_DOCUMENT_FOLDING_RANGE)
def folding(request: Request) -> list[Json] | None:
    if request.source is None:
        return None
    return [to_protocol.folding_range(fold) for fold in request.snapshot.folds(request.path)]
