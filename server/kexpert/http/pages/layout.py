"""What all pages share. Text of the kernel goes through ``escape`` or ``render.code_html`` or ``render.html``."""

from __future__ import annotations

import hashlib
from functools import cache
from html import escape
from pathlib import Path

from kexpert.render.code_html import source_link

_STATIC = Path(__file__).parent.parent / "static"


def page(title: str, body: str, tree: str, query: str = "", kind: str = "") -> str:
    """A whole page. ``body`` is HTML, the rest text. ``kind``: the class of its body, for style and script."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} - {escape(tree)}</title>
<link rel="icon" href="{_static("icon.svg")}" type="image/svg+xml">
<link rel="stylesheet" href="{_static("style.css")}">
<script src="{_static("theme.js")}"></script>
<script src="{_static("page.js")}" type="module"></script>
</head>
<body class="{escape(kind)}">
<a class="skip" href="#main">Skip to the content</a>
<header class="bar">
<a class="brand" href="/" title="Start page">kexpert <span>{escape(tree)}</span></a>
<form class="search" action="/search" role="search">
<input type="search" name="q" id="search" value="{escape(query)}" maxlength="500" autocomplete="off"
 autocapitalize="off" spellcheck="false" placeholder="Search names, what code does, files" aria-label="Search"
 role="combobox" aria-expanded="false" aria-controls="results" aria-autocomplete="list">
<kbd title="Press / to search">/</kbd>
<ul id="results" role="listbox" aria-label="Results" hidden></ul>
</form>
<nav aria-label="Main">
<a href="/source/">Files</a>
<a href="/ask">Ask</a>
<a class="wide" href="/docs">API</a>
<button type="button" id="theme" title="Light or dark" aria-label="Light or dark">◐</button>
</nav>
</header>
<main id="main">
{body}
</main>
<p id="state" role="status" hidden></p>
</body>
</html>
"""


def crumbs(path: str, is_folder: bool) -> str:
    """A path whose folders are links."""
    parts = [part for part in path.split("/") if part]
    links = ['<a href="/source/">tree</a>']
    for count, part in enumerate(parts, 1):
        folder = "/" if count < len(parts) or is_folder else ""
        address = source_link("/".join(parts[:count])) + folder
        links.append(f'<a href="{escape(address)}">{escape(part)}</a>')
    return f'<nav class="crumbs" aria-label="Path">{"<span>/</span>".join(links)}</nav>'


def place_link(path: str, line: int) -> str:
    return f'<a class="place" href="{escape(source_link(path, line))}">{escape(path)}<b>:{line}</b></a>'


def conditions_html(conditions: list[str]) -> str:
    """What must be configured, as small labels; options link to their pages."""
    if not conditions:
        return ""
    labels = "".join(f'<span class="condition">{_condition(text)}</span>' for text in conditions)
    return f'<span class="when">{labels}</span>'


def _condition(text: str) -> str:
    if text.startswith("CONFIG_") and text.replace("_", "").isalnum():
        return f'<a href="/symbol/{escape(text)}">{escape(text)}</a>'
    return escape(text)


@cache
def _static(name: str) -> str:
    """The address of a file of ours; it changes with the file, so browsers may keep it."""
    return f"/static/{name}?v={hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:10]}"
