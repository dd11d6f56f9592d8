"""``textDocument/prepareRename`` and ``rename``."""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.workspace.snapshot import Refusal


@answers(types.TEXT_DOCUMENT_PREPARE_RENAME)
def prepare_rename(request: Request) -> Json | None:
    found, source = request.snapshot.prepare_rename(request.at), request.source
    if found is None or source is None:
        return None
    start, end, name = found
    return {"range": request.places.range(source.data, start, end), "placeholder": name}


@answers(types.TEXT_DOCUMENT_RENAME)
def rename(request: Request) -> Json | None:
    source, new_name = request.source, request.params.new_name
    if source is None:
        return None
    try:
        spans = request.snapshot.rename(request.at, new_name)
    except Refusal as reason:
        raise JsonRpcException(str(reason), types.LSPErrorCodes.RequestFailed) from None
    edits = [{"range": span, "newText": new_name} for span in request.places.ranges(source.data, spans)]
    return {"changes": {request.places.uri(source.path): edits}}
