"""The command ``kexpert.diff``: a revision of git (``HEAD`` if none is given).

It answers ``{markdown}``: what the changes since then touch, who calls it and who maintains it. Editors drop the answer
of a command, so the page is shown as that of ``kexpert.explain`` is.
"""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request
from kexpert.lsp.requests.explain import write_page
from kexpert.workspace.refusal import Refusal


def diff(request: Request, revision: str) -> Json:
    try:
        found = request.snapshot.patch_of_revision(revision, request.cancelled)
    except Refusal as reason:
        raise JsonRpcException(str(reason), types.LSPErrorCodes.RequestFailed) from None
    title = f"Changes since {revision}"
    answer = to_protocol.patch(request.places, found, title)
    client = request.client
    if client.shows_documents and not client.shows_explanations and not request.cancelled():
        write_page(request, "", title, answer["markdown"], is_new=True)
    return answer
