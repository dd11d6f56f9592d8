"""The command ``kexpert.ask``: a question, and a token for parts of the answer (optional).

It answers ``{markdown, json}``. The sources come at once, as ``$/progress`` under the token; the chat model's answer
follows. Editors drop the answer of a command, so the page is shown as that of ``kexpert.explain`` is.
"""

from __future__ import annotations

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request
from kexpert.lsp.requests.explain import write_page

_MAX_TITLE_CHARS = 60


def ask(request: Request, question: str, token: str | int | None) -> Json:
    with request.log.work("Asking about the kernel", request.params.work_done_token, request.cancelled) as progress:
        found = request.snapshot.ask(question, progress.cancelled, use_model=False)
        answer = to_protocol.answer(request.places, found)
        if found.origin != "facts" and not request.snapshot.why_silent:
            progress.begin()
            if token is not None:
                request.send_part(token, answer)
            found = request.snapshot.answer_in_words(found, progress.cancelled)
            answer = to_protocol.answer(request.places, found)
    client = request.client
    if client.shows_documents and not client.shows_explanations and not request.cancelled():
        write_page(request, "", question[:_MAX_TITLE_CHARS], answer["markdown"], is_new=True)
    return answer
