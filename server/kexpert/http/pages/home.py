"""The start page: what is here and how to ask it."""

from __future__ import annotations

from html import escape

from kexpert.http.api.files import entries
from kexpert.render.code_html import source_link
from kexpert.workspace.served_tree import ServedTree

_EXAMPLES = (
    ("/search?q=kmalloc", "kmalloc", "a name"),
    ("/search?q=wait+until+writeback+of+a+folio+is+over", "wait until writeback of a folio is over", "what it does"),
    ("/search?q=path%3Anet+kind%3Astruct+socket", "path:net kind:struct socket", "narrowed"),
    ("/symbol/file_operations", "file_operations", "a type and who fills it"),
    ("/symbol/CONFIG_SMP", "CONFIG_SMP", "an option"),
)
_KEYS = (
    ("/", "search"), ("j k", "line down, up"), ("w b", "next, previous name"), ("K", "card of the name"),
    ("Enter", "what is known of the name"), ("g d", "to its definition"), ("g r", "its uses"), ("e", "explain"),
    ("y", "copy the link to the lines"), ("Esc", "close"), ("?", "all keys"),
)  # fmt: skip


def body(tree: ServedTree) -> tuple[str, str]:
    status = tree.status()
    examples = "".join(
        f'<li><a href="{escape(link)}">{escape(text)}</a> <span>{escape(what)}</span></li>'
        for link, text, what in _EXAMPLES
    )
    folders = "".join(
        f'<a href="{escape(source_link(entry["name"]))}/">{escape(entry["name"])}</a>'
        for entry in entries(tree, "") if entry["folder"] and not entry["name"].startswith(".")
    )  # fmt: skip
    model = f"{escape(status.chat_model)} words explanations; what it wrote is marked." if status.chat_model else ""
    size = f"{status.files:,} files and {status.symbols:,} names. " if status.files and status.symbols else ""
    html = f"""<section class="hello">
<h1>{escape(tree.title)}</h1>
<p>{size}Read without a build: every architecture and every <code>#if</code> branch is here.
{model}</p>
{'<p class="notice">The tree is being read for the first time; answers may lack something.</p>'
 if status.index == "indexing" else ""}
{'<p class="notice">There is no index yet: run <code>kexpert index</code> in the tree.</p>'
 if status.index == "missing" else ""}
</section>
<section><h2>Try</h2><ul class="examples">{examples}</ul></section>
<section><h2>Folders</h2><p class="folders">{folders}</p></section>
<section class="for-keyboards"><h2>Keys</h2>{keys()}</section>"""
    return "Start", html


def keys() -> str:
    rows = "".join(f"<dt><kbd>{escape(key)}</kbd></dt><dd>{escape(what)}</dd>" for key, what in _KEYS)
    return f'<dl class="keys">{rows}</dl>'
