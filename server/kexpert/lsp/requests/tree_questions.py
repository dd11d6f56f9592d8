"""The commands ``kexpert.diff`` and ``kexpert.callChain``: lines for people and JSON, as the shell gives them.

``kexpert.diff``: a revision of git (HEAD if none is given), or ``{diff}``, the text of one. ``kexpert.callChain``: a
name, and ``{up, down, to}`` (optional). Both answer ``{text, json}``, the latter null for a name that is none; the
first also ``markdown``, a page with links, which is shown as that of ``kexpert.explain`` is.
"""

from __future__ import annotations

from typing import Any

from kexpert.core.text import encode
from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request
from kexpert.lsp.requests.explain import write_page

_MAX_LEVELS = 10


def diff(request: Request, given: Any) -> Json:
    """Raises Refusal."""
    from kexpert.render import patch as render

    text = given.get("diff") if isinstance(given, dict) else None
    if isinstance(text, str):
        found = request.snapshot.patch(encode(text), request.cancelled)
    else:
        found = request.snapshot.patch_of_revision(given if isinstance(given, str) else "HEAD", request.cancelled)
    title = "The patch" if isinstance(text, str) else f"Changes since {given if isinstance(given, str) else 'HEAD'}"
    page = to_protocol.patch(request.places, found, title)
    client = request.client
    if client.shows_documents and not client.shows_explanations and not request.cancelled():
        write_page(request, "", title, page["markdown"], is_new=True)
    return {"text": "\n".join(render.to_lines(found)), "json": render.to_json(found), **page}


def call_chain(request: Request, name: str, options: Any) -> Json | None:
    from kexpert.render import call_chain as render

    options = options if isinstance(options, dict) else {}
    other = options.get("to")
    if isinstance(other, str) and other:
        path = request.snapshot.call_path(name, other, request.cancelled)
        return {"text": render.path_to_plain_text(path), "json": render.path_to_json(path)} if path else None
    levels = {key: options[key] for key in ("up", "down") if _is_level(options.get(key))}
    chain = request.snapshot.call_chain(name, **levels, cancelled=request.cancelled)
    return {"text": render.to_plain_text(chain), "json": render.to_json(chain)} if chain else None


def _is_level(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= _MAX_LEVELS
