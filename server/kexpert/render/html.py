"""Markdown that ``render`` wrote, as HTML for the page: cards, explanations, answers.

markdown-it reads it with raw HTML switched off, so text of the kernel is text. Links lead to the page's own addresses
or to http(s); places (``fs/open.c:12``) and names in code become links.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from kexpert.features.explain.explanation import Location
from kexpert.render.code_html import html_code, source_link, symbol_link

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

_PLACE = re.compile(r"([\w./+,@-]+/[\w.+,@-]+|[A-Z][\w.-]*):(\d{1,7})")
_NAME = re.compile(r"(?:(?:struct|union|enum) )?([A-Za-z_]\w*)(?:\(\))?", re.A)
_LINK = re.compile(r"(?:/(?!/)|https?://)[^\s\"'<>]*")


def page_link(location: Location) -> str:
    """The ``link_of`` for Markdown that becomes HTML here."""
    return source_link(location.path, location.line + 1)


def to_html(text: str) -> str:
    """Markdown as HTML in which nothing but the constructs of Markdown became elements."""
    safe = text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be sent
    html: str = _reader().render(safe)
    return html


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False})
    reader.enable("table").disable(["image", "html_block", "html_inline", "reference", "autolink"])
    reader.validateLink = lambda url: _LINK.fullmatch(url) is not None  # type: ignore[method-assign]
    reader.add_render_rule("code_inline", _code)
    reader.add_render_rule("fence", _block)
    reader.add_render_rule("code_block", _block)
    reader.add_render_rule("link_open", _link)
    return reader


def _code(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """Inline code; a place or a name links to its page, unless it is inside a link."""
    text = tokens[at].content
    shown = escape(text)
    links = [token.type for token in tokens[:at] if token.type in ("link_open", "link_close")]
    inside = links[-1:] == ["link_open"]
    if place := _PLACE.fullmatch(text):
        address = source_link(place[1], int(place[2]))
    elif name := _NAME.fullmatch(text):
        address = symbol_link(name[1])
    else:
        address = ""
    if inside or not address:
        return f"<code>{shown}</code>"
    return f'<a href="{escape(address)}"><code>{shown}</code></a>'


def _block(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    is_c = token.type == "fence" and token.info.strip() == "c"
    return f"<pre><code>{html_code(token.content) if is_c else escape(token.content)}</code></pre>\n"


def _link(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    address = str(tokens[at].attrGet("href") or "")
    outside = "" if address.startswith("/") else ' rel="noopener noreferrer nofollow"'
    return f'<a href="{escape(address)}"{outside}>'
