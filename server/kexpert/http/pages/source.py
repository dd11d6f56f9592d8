"""A file with line numbers, every identifier a link; and a folder."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from kexpert.http.api.files import entries, is_folder, line_count, text_of
from kexpert.http.api.lookup import shown_path
from kexpert.http.pages.layout import crumbs, page
from kexpert.render.code_html import comment_state, html_lines, source_link
from kexpert.workspace.served_tree import ServedTree

if TYPE_CHECKING:
    from kexpert.core.c.source import Source

#: Lines of one page; larger files come in parts, and their pages lead to each other.
WINDOW_LINES = 12_000
#: Lines that the browser lays out together, and only when they are near the screen.
_BLOCK_LINES = 100
_MAX_CACHED_BYTES = 48 << 20


class SourcePages:
    """Made pages are kept while their files stay as they are. Any thread may ask."""

    def __init__(self, tree: ServedTree) -> None:
        self._tree = tree
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, int], tuple[str, bytes]] = OrderedDict()
        self._bytes = 0

    def page(self, asked: str, first: int) -> tuple[str, bytes] | str:
        """(its tag, the page), or the address to go to instead. Raises Problem."""
        path = shown_path(self._tree, asked)
        if is_folder(self._tree, path):
            if asked and not asked.endswith("/"):
                return source_link(path) + "/"
            return self._folder_page(path)
        if asked != path:
            return source_link(path)
        text = text_of(self._tree, path)
        start = (min(first, max(line_count(text), 1)) - 1) // WINDOW_LINES * WINDOW_LINES + 1
        tag = _tag(text.data + b"%d" % start + self._tree.title.encode())
        with self._lock:
            held = self._made.get((path, start))
            if held is not None and held[0] == tag:
                self._made.move_to_end((path, start))
                return held
        html = page(path, self._file(path, text, start), self._tree.title, kind="code").encode("utf-8", "replace")
        self._keep((path, start), (tag, html))
        return tag, html

    def _keep(self, key: tuple[str, int], made: tuple[str, bytes]) -> None:
        with self._lock:
            old = self._made.pop(key, None)
            self._bytes += len(made[1]) - (len(old[1]) if old else 0)
            self._made[key] = made
            while self._bytes > _MAX_CACHED_BYTES and len(self._made) > 1:
                _, (_, dropped) = self._made.popitem(last=False)
                self._bytes -= len(dropped)

    def _file(self, path: str, text: Source, first: int) -> str:
        count = line_count(text)
        last = min(first + WINDOW_LINES - 1, count)
        starts, data = text.lines.starts, text.data
        begin = starts[first - 1]
        end = starts[last] if last < len(starts) else len(data)
        read_from = comment_state(data, begin)
        lines = html_lines(path, data[read_from:end], partial(self._included, path.rpartition("/")[0]))
        lines = lines[len(lines) - (last - first + 1) :] if read_from < begin else lines
        blocks = []
        for at in range(0, len(lines), _BLOCK_LINES):
            rows = "".join(
                f'<div id="L{number}"><a href="#L{number}" data-n="{number}"></a><code>{line}\n</code></div>'
                for number, line in enumerate(lines[at : at + _BLOCK_LINES], first + at)
            )
            blocks.append(f'<div class="lines">{rows}</div>')
        parts = _parts(path, first, last, count)
        digits = len(str(last))
        return f"""<div class="file">
<div class="head">{crumbs(path, is_folder=False)}<span class="facts">{count:,} lines</span>
<button type="button" id="toggle" aria-expanded="true" aria-controls="panel">Outline</button></div>
{parts}
<pre class="source d{digits}" id="code" tabindex="0" aria-label="{escape(path)}" data-path="{escape(path)}"
 data-first="{first}" data-last="{last}" data-count="{count}" data-window="{WINDOW_LINES}">{"".join(blocks)}</pre>
{parts}
</div>
<aside id="panel" aria-label="About the name"></aside>
<div id="card" role="tooltip" hidden></div>"""

    def _included(self, folder: str, name: str) -> str | None:
        """The file that an ``#include`` most likely means, for a link without asking."""
        view = self._tree.snapshot().view
        tried = (f"{folder}/{name}".lstrip("/"), f"include/{name}", f"include/uapi/{name}")
        found = next((path for path in tried if ".." not in path and view.exists(path)), None)
        if found is None and name.startswith("asm/") and folder.startswith("arch/"):
            found = "/".join(folder.split("/")[:2]) + f"/include/{name}"
            found = found if view.exists(found) else None
        return found

    def _folder_page(self, path: str) -> tuple[str, bytes]:
        rows = []
        for entry in entries(self._tree, path):
            name, slash = str(entry["name"]), "/" if entry["folder"] else ""
            link = source_link(f"{path}/{name}".lstrip("/")) + slash
            kind = "folder" if slash else "plain"
            rows.append(f'<li class="{kind}"><a href="{escape(link)}">{escape(name)}{slash}</a></li>')
        body = f'<div class="head">{crumbs(path, is_folder=True)}</div><ul class="listing">{"".join(rows)}</ul>'
        html = page(f"{path}/", body, self._tree.title, kind="folder").encode("utf-8", "replace")
        return _tag(html), html


def _parts(path: str, first: int, last: int, count: int) -> str:
    """Links to the other parts of a large file."""
    if count <= WINDOW_LINES:
        return ""
    link = escape(source_link(path))
    numbers = range(1, count + 1, WINDOW_LINES)
    parts = "".join(
        f"<b>{number:,}</b>" if number == first else f'<a href="{link}?from={number}">{number:,}</a>'
        for number in numbers
    )
    return f'<nav class="parts" aria-label="Parts of the file">Lines {first:,} to {last:,}; from {parts}</nav>'


def _tag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:20]}"'
