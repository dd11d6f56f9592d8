"""Questions in words: the sources at once, then an answer, as events or as one JSON object."""

from __future__ import annotations

from kexpert.http.api.lookup import Cancelled
from kexpert.http.contract import Arguments, Json
from kexpert.render import ask as render_ask
from kexpert.workspace.served_tree import ServedTree
from kexpert.workspace.snapshot import never


def sources(tree: ServedTree, arguments: Arguments) -> tuple[Json, bool]:
    """The answer as far as facts give it, and whether a model may add to it."""
    snapshot = tree.snapshot()
    found = snapshot.ask(arguments["question"], use_model=False, max_sources=arguments["top_k"])
    return render_ask.to_json(found), found.origin == "sources" and bool(found.sources) and snapshot.has_voice


def answer(tree: ServedTree, arguments: Arguments, cancelled: Cancelled = never) -> Json:
    """The whole answer. Raises ``abilities.Cancelled``."""
    snapshot = tree.snapshot()
    found = snapshot.ask(arguments["question"], use_model=False, max_sources=arguments["top_k"])
    return render_ask.to_json(snapshot.answer_in_words(found, cancelled, arguments["max_tokens"]))
