"""``workspace/symbol``: by name, and by meaning where the query has several words."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.workspace.snapshot import Refusal


@answers(types.WORKSPACE_SYMBOL, ThreadIntent.SLOW, asks_every_tree=True)
def workspace_symbols(request: Request) -> list[Json]:
    query = request.params.query.strip()
    found = to_protocol.workspace_symbols(request.places, request.snapshot.workspace_symbols(query))
    if " " in query:
        try:
            found += to_protocol.found_symbols(request.places, request.snapshot.search(query))
        except Refusal as problem:
            request.log.show_once("info", str(problem))
    return found
