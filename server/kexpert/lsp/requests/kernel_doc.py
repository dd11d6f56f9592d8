"""The code actions "Write kernel-doc" and "Complete kernel-doc", and ``codeAction/resolve``, which makes their edits.

An edit is made when the user picks the action, since the chat model may write for seconds. A client that resolves no
edits gets one from facts alone. Texts of a model are named in the edit's annotation, where the client shows those.
"""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp import from_protocol, to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.workspace.snapshot import Position, Refusal

KERNEL_DOC_KIND = types.CodeActionKind.RefactorRewrite.value
WRITE, COMPLETE = "Write kernel-doc", "Complete kernel-doc"


def kernel_doc_actions(request: Request, at: Position) -> list[Json]:
    """The action for a place; none where there is nothing to write."""
    try:
        target = request.snapshot.kernel_doc_target(at)
    except Refusal:
        return []
    if target is None or target.is_complete:
        return []
    action: Json = {"title": COMPLETE if target.existing is not None else WRITE, "kind": KERNEL_DOC_KIND}
    if _resolves_edits(request):
        return [{**action, "data": {"kernelDoc": [request.uri, at.line, at.character]}}]
    edit = _edit(request, request.uri, at, use_model=False)
    return [{**action, "edit": edit}] if edit is not None else []


@answers(types.CODE_ACTION_RESOLVE, ThreadIntent.CHAT, from_protocol.action)
def resolve(request: Request) -> Json:
    action = from_protocol.action(request.params)
    match action.get("data"):
        case {"kernelDoc": [str(uri), int(line), int(character)]} if line >= 0 and character >= 0:
            at = Position(request.path_of(uri), line, character)
            edit = _edit(request, uri, at, use_model=True)
            if edit is not None:
                action["edit"] = edit
    return action


def _resolves_edits(request: Request) -> bool:
    properties = request.client.can("textDocument", "codeAction", "resolveSupport", "properties")
    has_data = request.client.can("textDocument", "codeAction", "dataSupport") is True
    return has_data and isinstance(properties, list) and "edit" in properties


def _edit(request: Request, uri: str, at: Position, *, use_model: bool) -> Json | None:
    with request.log.work("Writing kernel-doc", None, request.cancelled) as progress:
        if use_model and not request.snapshot.why_silent:
            progress.begin()
        try:
            found = request.snapshot.kernel_doc(at, progress.cancelled, use_model=use_model)
        except Refusal as reason:
            request.log.show("warning", str(reason))
            return None
    source = request.snapshot.source(at.path)
    if found is None or source is None:
        return None
    annotates = request.client.can("workspace", "workspaceEdit", "changeAnnotationSupport") is not None
    return to_protocol.kernel_doc_edit(request.places, uri, source, found, annotates)
