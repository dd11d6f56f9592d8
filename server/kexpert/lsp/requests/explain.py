"""The command ``kexpert.explain``: a URI, a range, and a token for parts of the answer (optional).

It answers ``{markdown, json}``, or null where there is nothing to explain. The page from facts is shown at once. What
the chat model adds follows: each larger page is sent as ``$/progress`` under the token, the last one is the answer.

Editors drop the answer of a command, so the page is also written to a file, which a client with
``window/showDocument`` is asked to open, unless it announces ``experimental.kexpertExplain``: then it shows the answer
itself.
"""

from __future__ import annotations

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request
from kexpert.lsp.uris import uri_of
from kexpert.workspace.explanation_file import write_explanation
from kexpert.workspace.snapshot import Position


def explain(request: Request, start: Position, end: Position, token: str | int | None) -> Json | None:
    found = request.snapshot.explain(start, end)
    if found is None:
        return None
    client = request.client
    is_file = client.shows_documents and not client.shows_explanations and not request.cancelled()
    answer = to_protocol.explanation(request.places, found, request.snapshot.why_silent)
    is_shown = is_file and write_page(request, found.path, found.name, answer["markdown"], is_new=True)
    with request.log.work(f"Explaining {found.name}", request.params.work_done_token, request.cancelled) as progress:
        if request.snapshot.has_voice:
            progress.begin()
            if token is not None:
                request.send_part(token, answer)
        for page in request.snapshot.in_words(found, progress.cancelled):
            answer = to_protocol.explanation(request.places, page)
            if token is not None:
                request.send_part(token, answer)
            if is_shown:
                write_page(request, found.path, found.name, answer["markdown"], is_new=False)
    return answer


def write_page(request: Request, path: str, name: str, markdown: str, *, is_new: bool) -> bool:
    """Write the page to its file and have the client open it if it is new; whether that could be done."""
    try:
        page = write_explanation(request.snapshot.root, path, name, markdown)
    except OSError as problem:
        request.log.show("warning", f"the explanation cannot be shown: {problem}")
        return False
    if is_new:
        request.show_document(uri_of(str(page), None, {}))
    return True
