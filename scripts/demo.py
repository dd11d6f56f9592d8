"""``make demo``: index a tree, start the real server, print what an editor would show, then search by meaning.

The names come first, so that there is something to see after the first two minutes. Search by meaning begins with the
folders of open files, so that it can be shown long before it knows the whole tree.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text

from tests.support.lsp_client import Client, ServerError

HOVER = "drivers/base/class.c", "kmalloc"
DEFINITION = "drivers/char/misc.c", "mutex_lock"
COMPLETION = "fs/read_write.c", "file->f_"
EXPLAINED = ("fs/read_write.c", "vfs_read"), ("fs/dcache.c", "__d_free")
REFERENCES = ("drivers/base/class.c", "kfree"), ("drivers/char/misc.c", "mutex_lock"), ("fs/read_write.c", "vfs_read")
SEARCHED = "wait for writeback of a folio"
NEAR_SEARCHED = "mm/page-writeback.c"
SHOWN_COMPLETIONS = 14
SHOWN_RESULTS = 5
CHAT_MODEL = "smollm2-135m"
TIMEOUT_SECONDS = 120.0
FIRST_SEARCH_SECONDS = 90.0

console = Console(width=None if sys.stdout.isatty() else 110)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, required=True)
    root = parser.parse_args().tree.resolve()
    kexpert = [sys.executable, "-m", "kexpert"]
    try:
        return run(kexpert, root)
    except KeyboardInterrupt:
        say(f"Stopped. What is indexed stays; this goes on with the rest: kexpert index --tree {root}")
        return 130


def run(kexpert: list[str], root: Path) -> int:
    say("First the names of the whole tree: about two minutes on two cores.")
    if code := shell([*kexpert, "index", "--no-vectors", "--tree", str(root)]):
        return code
    add_chat_model(kexpert)
    started = time.perf_counter()
    try:
        with Client(timeout=TIMEOUT_SECONDS, quiet=True) as client:
            client.initialize(root, encodings=["utf-8"])
            say(f"kexpert serve, on {root}: initialized in {milliseconds(started)}")
            client.open_file(NEAR_SEARCHED)
            for show in (hover, definition, completion, references, first_search, explanation):
                show(client)
    except (ServerError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    say(
        "Now search by meaning for the rest of the tree: about three minutes more. An editor does it in the "
        "background; Ctrl-C leaves it to that."
    )
    if code := shell([*kexpert, "index", "--tree", str(root)]):
        return code
    search(kexpert, root)
    say("$ kexpert doctor")
    return shell([*kexpert, "doctor", "--tree", str(root)])


def shell(command: list[str]) -> int:
    return subprocess.run(command, check=False).returncode


def add_chat_model(kexpert: list[str]) -> None:
    """Add the small chat model, unless one is in use; says how to do without if that fails."""
    listed = subprocess.run([*kexpert, "models", "list", "--json"], stdout=subprocess.PIPE, check=False).stdout
    if any("chat" in row["in_use_for"] for row in json.loads(listed or "[]")):
        return
    if subprocess.run([*kexpert, "models", "add", CHAT_MODEL], check=False).returncode:
        say(
            "No chat model: explanations are made of facts alone. "
            f"Later: kexpert models add {CHAT_MODEL}, or set chat.path or chat.url to a model that you have."
        )


def hover(client: Client) -> None:
    place = find(client, *HOVER)
    answer, took = timed(lambda: client.at("hover", place.uri, place.position))
    card = Markdown(answer["contents"]["value"]) if answer else Text("no answer")
    panel(f"hover on {HOVER[1]} at {place}", took, card)


def definition(client: Client) -> None:
    place = find(client, *DEFINITION)
    answer, took = timed(lambda: client.at("definition", place.uri, place.position))
    places = answer if isinstance(answer, list) else [answer] if answer else []
    body: RenderableType = Text("no answer")
    if places:
        target, at = Path(unquote(urlsplit(places[0]["uri"]).path)), places[0]["range"]["start"]["line"]
        text = target.read_bytes().decode("utf-8", "replace").split("\n")
        excerpt = "\n".join(text[max(0, at - 2) : at + 8])
        where = Text(
            f"{target.relative_to(client.root)}:{at + 1}" + f", and {len(places) - 1} more" * (len(places) > 1)
        )
        body = Group(where, Syntax(excerpt, "c", theme="ansi_dark", line_numbers=True, start_line=max(1, at - 1)))
    panel(f"definition of {DEFINITION[1]} at {place}", took, body)


def completion(client: Client) -> None:
    place = find(client, *COMPLETION, after=True)
    answer, took = timed(lambda: client.at("completion", place.uri, place.position))
    items = answer["items"] if isinstance(answer, dict) else answer or []
    rows = [f"{item['label']:<24} {item.get('detail') or ''}".rstrip() for item in items[:SHOWN_COMPLETIONS]]
    if len(items) > len(rows):
        rows.append(f"... {len(items) - len(rows)} more")
    panel(f"completion after {COMPLETION[1]} at {place}", took, Text("\n".join(rows) or "no answer"))


def references(client: Client) -> None:
    rows = []
    for path, text in REFERENCES:
        place = find(client, path, text)
        context = {"includeDeclaration": True}
        answer, took = timed(partial(client.at, "references", place.uri, place.position, context=context))
        files = len({use["uri"] for use in answer or []})
        rows.append(f"{text:<12} {len(answer or []):>8,} references in {files:>6,} files   {took}")
    panel("references in the whole tree", "", Text("\n".join(rows)))


def explanation(client: Client) -> None:
    """Facts, and the chat model's words if there is one and its answers agree; the first includes loading it."""
    for path, name in EXPLAINED:
        place = find(client, path, name)
        arguments = [place.uri, {"start": place.position, "end": place.position}]
        request = {"command": "kexpert.explain", "arguments": arguments}
        answer, took = timed(partial(client.request, "workspace/executeCommand", request))
        page = without_links(answer["markdown"]) if answer else "no answer"
        panel(f"explanation of {name} at {place}", took, Markdown(page))


def first_search(client: Client) -> None:
    """As soon as an open file can be searched: it is read for search before others."""
    request = {"command": "kexpert.search", "arguments": [SEARCHED, SHOWN_RESULTS]}
    until = time.monotonic() + FIRST_SEARCH_SECONDS
    found: list[Any] = []
    took = ""
    while time.monotonic() < until and not any(hit["path"] == NEAR_SEARCHED for hit in found):
        time.sleep(1)
        found, took = timed(lambda: client.request("workspace/executeCommand", request) or [])
    rows = [f"{hit['path']}:{hit['location']['range']['start']['line'] + 1}: {hit['name']}" for hit in found]
    title = f"search by meaning for '{SEARCHED}', in what is read so far"
    panel(title, took, Text("\n".join(rows) or "not ready yet"))


def search(kexpert: list[str], root: Path) -> None:
    """By the command, which opens the vectors for one search; a server has them open."""
    command = [*kexpert, "search", "--tree", str(root), "--limit", str(SHOWN_RESULTS), SEARCHED]
    ran, took = timed(lambda: subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False))
    panel(f"$ kexpert search '{SEARCHED}'", f"{took}, most of it to open the vectors", Text(ran.stdout.rstrip()))


def without_links(markdown: str) -> str:
    """The text of each link alone: a terminal shows no target."""
    return re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", markdown)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file of the tree."""

    path: str
    uri: str
    position: dict[str, int]

    def __str__(self) -> str:
        return f"{self.path}:{self.position['line'] + 1}"


def find(client: Client, path: str, text: str, *, after: bool = False) -> Place:
    """Open a file and find ``text`` in it: its first byte, or the byte after it."""
    data = (client.root / path).read_bytes()
    found = re.search(rb"\b%b%b" % (re.escape(text.encode()), b"" if after else rb"\("), data)
    if found is None:
        raise ServerError(f"{path}: no {text!r} in this tree to show anything on")
    offset = found.start() + (len(text) if after else 0)
    line, column = data.count(b"\n", 0, offset), offset - (data.rfind(b"\n", 0, offset) + 1)
    return Place(path, client.open_file(path), {"line": line, "character": column})


def timed(call: Callable[[], Any]) -> tuple[Any, str]:
    started = time.perf_counter()
    answer = call()
    return answer, milliseconds(started)


def milliseconds(started: float) -> str:
    return f"{(time.perf_counter() - started) * 1000:.1f} ms"


def panel(title: str, took: str, body: RenderableType) -> None:
    console.print(Panel(body, title=f"{title}  {took}".rstrip(), title_align="left"))


def say(message: str) -> None:
    console.print(message, style="bold", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
