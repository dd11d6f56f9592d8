"""All that is known of one name: its card, each definition with its conditions, and who uses it."""

from __future__ import annotations

from html import escape

from kexpert.http.api import find
from kexpert.http.contract import Json
from kexpert.http.pages.layout import conditions_html, place_link
from kexpert.http.problems import Problem
from kexpert.render.code_html import html_code
from kexpert.workspace.served_tree import ServedTree

_MAX_NAME_CHARS = 200


def body(tree: ServedTree, name: str) -> tuple[str, str]:
    """Raises Problem."""
    if len(name) > _MAX_NAME_CHARS:
        raise Problem(404, "nothing in the index has so long a name")
    try:
        found = find.symbol(tree, {"name": name}, lambda: False)
    except Problem as problem:
        if problem.status != 404:
            raise
        raise Problem(404, f"{problem.detail}; a local variable or a label is known where it is used") from None
    rows = "".join(_row(symbol) for symbol in found["symbols"])
    more = f'<p class="more">and {found["more"]:,} more</p>' if found["more"] else ""
    card = found["card"]["html"] if found["card"] else f"<h1>{escape(name)}</h1>"
    similar = "".join(f'<a href="/symbol/{escape(other)}">{escape(other)}</a>' for other in found["similar"])
    first = found["symbols"][0]
    html = f"""<article class="about" id="about" data-name="{escape(name)}" data-path="{escape(first["path"])}"
 data-line="{first["line"]}" data-column="{first["column"]}">
<h1 class="name">{escape(name)} <span>{escape(first["kind"])}</span></h1>
<div class="card">{card}</div>
<section><h2>Defined and declared</h2><div class="rows">{rows}</div>{more}</section>
<div id="uses"></div>
{f'<section><h2>Similar names</h2><p class="folders">{similar}</p></section>' if similar else ""}
</article>"""
    return name, html


def _row(symbol: Json) -> str:
    return (
        f'<div class="row"><span class="kind">{escape(symbol["kind"])}</span>'
        f'<span class="where">{place_link(symbol["path"], symbol["line"])}'
        f'{conditions_html(symbol["conditions"])}</span><code>{html_code(symbol["text"])}</code></div>'
    )
