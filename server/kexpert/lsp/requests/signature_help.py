"""``textDocument/signatureHelp``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers


@answers(types.TEXT_DOCUMENT_SIGNATURE_HELP)
def signature_help(request: Request) -> Json | None:
    found = request.snapshot.signature_help(request.at)
    if found is None:
        return None
    information = ("signatureHelp", "signatureInformation")
    offsets = request.client.can("textDocument", *information, "parameterInformation", "labelOffsetSupport") is True
    return to_protocol.signature_help(found, offsets, request.likes_markdown(*information, "documentationFormat"))
