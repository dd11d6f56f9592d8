"""``textDocument/prepareRename`` and ``rename``."""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.workspace.snapshot import Refusal


@answers(types.TEXT_DOCUMENT_PREPARE_RENAME)
def prepare_rename(request: Request) -> Json | None:
    try:
        found, source = request.snapshot.prepare_rename(request.at), request.source
    except Refusal as reason:
        raise JsonRpcException(str(reason), types.LSPErrorCodes.RequestFailed) from None
    if found is None or source is None:
        return None
    start, end, name = found
    return {"range": request.places.range(source.data, start, end), "placeholder": name}


@answers(types.TEXT_DOCUMENT_RENAME, ThreadIntent.USES)
def rename(request: Request) -> Json | None:
    source, new_name = request.source, request.params.new_name
    if source is None:
        return None
    try:
        spans = request.snapshot.rename(request.at, new_name, request.cancelled)
    except Refusal as reason:
        raise JsonRpcException(str(reason), types.LSPErrorCodes.RequestFailed) from None
    changes: dict[str, list[Json]] = {request.places.uri(source.path): []} if not spans else {}
    for location in request.places.locations(spans):
        changes.setdefault(location["uri"], []).append({"range": location["range"], "newText": new_name})
    return {"changes": changes}
