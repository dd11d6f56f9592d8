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

_PLACE = re.compile(r"([\w./+,@-]+/[\w.+,@-]+|[A-Z][\w.-]*):(\d{1,7})", re.A)
#: Not a plain word: parameters and members are such, and their names mean many things.
_NAME = re.compile(r"(?:(?:struct|union|enum) )(\w+)|(\w+)\(\)|(\w*_\w*|[A-Z]\w*)", re.A)
_OPTION = re.compile(r"\b[A-Z][A-Z0-9_]{2,}\b", re.A)
#: In running text: ``arch/arm/Kconfig:962``, ``file:Documentation/x.rst``.
_MENTIONED = re.compile(r"(?:file:)?([\w-]+/[\w./+-]*\w):(\d{1,7})\b|(?:file:)?(Documentation/[\w./+-]*\w)", re.A)
#: A line may end after a hyphen, but not within ``->``.
_ARROW = '<span class="arrow">-&gt;</span>'
_LINK = re.compile(r"(?:/(?!/)|https?://)[^\s\"'<>]*")


def page_link(location: Location) -> str:
    """The ``link_of`` for Markdown that becomes HTML here."""
    return source_link(location.path, location.line + 1)


def to_html(text: str, is_option: bool = False) -> str:
    """Markdown as HTML in which nothing but the constructs of Markdown became elements.

    ``is_option``: the text is about a Kconfig option, so that ``SMP`` in code means ``CONFIG_SMP``.
    """
    safe = text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be sent
    html: str = _reader().render(safe, {"is_option": is_option})
    return html


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False})
    reader.enable("table").disable(["image", "html_block", "html_inline", "reference"])
    reader.validateLink = lambda url: _LINK.fullmatch(url) is not None  # type: ignore[method-assign]
    reader.add_render_rule("code_inline", _code)
    reader.add_render_rule("text", _text)
    reader.add_render_rule("fence", _block)
    reader.add_render_rule("code_block", _block)
    reader.add_render_rule("link_open", _link)
    return reader


def _code(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """Inline code; a place or a name links to its page, unless it is inside a link."""
    text = tokens[at].content
    if _is_in_link(tokens, at):
        return f"<code>{escape(text)}</code>"
    if env.get("is_option") and not text.startswith("CONFIG_"):
        return f"<code>{_OPTION.sub(_option_link, escape(text))}</code>"
    if place := _PLACE.fullmatch(text):
        address = source_link(place[1], int(place[2]))
    elif name := _NAME.fullmatch(text):
        address = symbol_link(name[1] or name[2] or name[3])
    else:
        return f"<code>{escape(text).replace('-&gt;', _ARROW)}</code>"
    return f'<a href="{escape(address)}"><code>{escape(text)}</code></a>'


def _option_link(name: re.Match[str]) -> str:
    return f'<a href="/symbol/CONFIG_{name[0]}">{name[0]}</a>'


def _is_in_link(tokens: Sequence[Token], at: int) -> bool:
    links = [token.type for token in tokens[:at] if token.type in ("link_open", "link_close")]
    return links[-1:] == ["link_open"]


def _text(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """Running text; places of the tree in it are links."""
    text = tokens[at].content
    if _is_in_link(tokens, at):
        return escape(text, quote=False)
    pieces, end = [], 0
    for match in _MENTIONED.finditer(text):
        address = source_link(match[1], int(match[2])) if match[1] else source_link(match[3])
        pieces.append(escape(text[end : match.start()], quote=False))
        pieces.append(f'<a href="{escape(address)}">{escape(match[0], quote=False)}</a>')
        end = match.end()
    return "".join(pieces) + escape(text[end:], quote=False)


def _block(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    is_c = token.type == "fence" and token.info.strip() == "c"
    return f"<pre><code>{html_code(token.content) if is_c else escape(token.content)}</code></pre>\n"


def _link(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    address = str(tokens[at].attrGet("href") or "")
    outside = "" if address.startswith("/") else ' rel="noopener noreferrer nofollow"'
    return f'<a href="{escape(address)}"{outside}>'
