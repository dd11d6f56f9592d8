"""Results of a search as a page."""

from __future__ import annotations

from html import escape

from kexpert.http.api import find
from kexpert.http.contract import Json
from kexpert.http.pages.layout import place_link
from kexpert.render.code_html import source_link, symbol_link
from kexpert.workspace.served_tree import ServedTree

_LIMIT = 50


def body(tree: ServedTree, query: str) -> tuple[str, str]:
    """Raises Problem."""
    if not query.strip():
        return "Search", '<div class="nothing"><h1>Search</h1><p>Type a name, or what the code does.</p></div>'
    found = find.search(tree, {"q": query, "mode": "auto", "limit": _LIMIT}, lambda: False)
    files = "".join(
        f'<li class="hit"><span class="kind">file</span><a class="title" href="{escape(source_link(path))}">'
        f"{escape(path)}</a></li>"
        for path in found["files"]
    )
    hits = "".join(map(_hit, found["results"]))
    by = "by name" if found["mode"] == "name" else "by meaning"
    if not hits and not files:
        return query, (
            f'<div class="nothing"><h1>Nothing found</h1><p>Nothing is called or does “{escape(query)}”. '
            f'<a href="/ask?question={escape(query)}">Ask it as a question</a>.</p></div>'
        )
    count = len(found["results"])
    html = (
        f'<p class="facts">{count} result{"" if count == 1 else "s"} {by} for <b>{escape(query)}</b></p>'
        f'<ol class="hits">{hits}{files}</ol>'
    )
    return query, html


def _hit(hit: Json) -> str:
    scope = f' <span class="scope">{escape(hit["scope"])}</span>' if hit.get("scope") else ""
    lines = "".join(
        f'<a href="{escape(source_link(hit["path"], line["line"]))}"><i>{line["line"]}</i>'
        f'<code>{escape(line["text"])}</code></a>'
        for line in hit.get("lines", ())
    )
    name = hit["name"] or hit["path"].rpartition("/")[2]
    link = source_link(hit["path"], hit["line"])
    about = f'<a class="page" href="{escape(symbol_link(name))}">its page</a>' if name.isidentifier() else ""
    return (
        f'<li class="hit"><span class="kind">{escape(hit["kind"])}</span>'
        f'<a class="title" href="{escape(link)}">{escape(name)}</a>{scope}'
        f'<span>{place_link(hit["path"], hit["line"])}{about}</span>'
        f'{f"<div class=matches>{lines}</div>" if lines else ""}</li>'
    )
