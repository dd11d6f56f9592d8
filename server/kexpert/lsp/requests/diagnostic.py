"""``textDocument/diagnostic``: what checkpatch finds in a saved file, and options that nobody defines."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.workspace.checkpatch import GaveUp
from kexpert.workspace.file_diagnostics import file_diagnostics


@answers(
    types.TEXT_DOCUMENT_DIAGNOSTIC, ThreadIntent.PROGRAM, fallback=lambda params: {"kind": "full", "items": []}
)
def pull(request: Request) -> Json:
    known = checked(request, request.path)
    if known is None:
        return {"kind": "full", "items": []}
    version, items = known
    if request.params.previous_result_id == version:
        return {"kind": "unchanged", "resultId": version}
    return {"kind": "full", "resultId": version, "items": items}


def checked(request: Request, path: str) -> tuple[str, list[Json]] | None:
    """The version of a file that was looked at, and its diagnostics; None where nothing looks for any."""
    try:
        report = file_diagnostics(request.snapshot, path, request.cancelled)
    except GaveUp as reason:
        request.log.log("warning", str(reason))
        return None
    if report is None:
        return None
    return report.version, to_protocol.diagnostics(request.places, report.source, report.diagnostics)
