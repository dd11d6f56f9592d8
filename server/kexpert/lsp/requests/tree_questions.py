"""The commands ``kexpert.diff`` and ``kexpert.callChain``: lines for people and JSON, as the shell gives them.

``kexpert.diff``: a revision of git (HEAD if none is given), or ``{diff}``, the text of one. ``kexpert.callChain``: a
name, or a URI and a position, and ``{up, down}`` (optional), or a name and ``{to}``. Both answer ``{text, json}``, and
null where there is no function; but for ``to`` also ``markdown``, a page with links, which is shown as that of
``kexpert.explain`` is.
"""

from __future__ import annotations

from typing import Any

from kexpert.core.text import encode
from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request
from kexpert.lsp.requests.explain import write_page
from kexpert.workspace.snapshot import Position

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
    _show(request, title, page)
    return {"text": "\n".join(render.to_lines(found)), "json": render.to_json(found), **page}


def _show(request: Request, title: str, page: Json) -> None:
    """Have the client open a page that it does not show itself."""
    client = request.client
    if client.shows_documents and not client.shows_explanations and not request.cancelled():
        write_page(request, "", title, page["markdown"], is_new=True)


def call_chain(request: Request, start: str | Position, options: Any) -> Json | None:
    """Around the function of a name, or the one at a position."""
    from kexpert.render import call_chain as render
    from kexpert.render.call_chain_page import title

    options = options if isinstance(options, dict) else {}
    other = options.get("to")
    if isinstance(other, str) and other and isinstance(start, str):
        path = request.snapshot.call_path(start, other, request.cancelled)
        return {"text": render.path_to_plain_text(path), "json": render.path_to_json(path)} if path else None
    levels = {key: options[key] for key in ("up", "down") if _is_level(options.get(key))}
    if isinstance(start, str):
        chain = request.snapshot.call_chain(start, **levels, cancelled=request.cancelled)
    else:
        chain = request.snapshot.call_chain_at(start, **levels, cancelled=request.cancelled)
    if chain is None:
        return None
    page = to_protocol.call_chain(request.places, chain)
    _show(request, title(chain), page)
    return {"text": render.to_plain_text(chain), "json": render.to_json(chain), **page}


def _is_level(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= _MAX_LEVELS
