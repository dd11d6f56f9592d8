"""Inline completion for one command: a suggestion, or a batch of them, with what is known about each."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kexpert.abilities import Completer, Failed, Refused
from kexpert.core.c.source import Source
from kexpert.core.text import encode
from kexpert.features.inline.neighbours import NeighbourCache, find_neighbours
from kexpert.features.inline.prompt_context import RecentEdits, build_context
from kexpert.features.inline.suggest import DEFAULT_CONTEXT, InlineState, Suggestion, suggest
from kexpert.features.semantics.cursor import CursorContext
from kexpert.model.engine import choose_engine, open_engine
from kexpert.render import json as render_json
from kexpert.workspace.inline_settings import inline_config, wanted_model, why_off
from kexpert.workspace.settings import Settings, settings_of
from kexpert.workspace.snapshot import Position, Snapshot
from kexpert.workspace.tree_index import TreeIndex


def settings_for(root: Path | None, model: str) -> Settings:
    """The settings in the configuration files; ``model`` (a path or an address) in the place of theirs."""
    settings = settings_of(root)
    if model.startswith(("http://", "https://")):
        return replace(settings, model_url=model)
    return replace(settings, model_path=model or settings.model_path, model_url="" if model else settings.model_url)


@contextlib.contextmanager
def engine_for(settings: Settings) -> Iterator[Completer]:
    """The engine that the settings choose. Raises Refused."""
    wanted = wanted_model(settings)
    engine = open_engine(choose_engine(wanted), wanted)
    try:
        yield engine
    finally:
        engine.close()


def complete(snapshot: Snapshot, at: Position, settings: Settings) -> Suggestion | None:
    """One suggestion. Raises Refused, also where the settings want none, or Failed."""
    if why := why_off(settings, at.path):
        raise Refused(f"{at.path}: no inline completion: {why}")
    place = snapshot.locate(at)
    if place is None:
        return None
    with engine_for(settings) as engine:
        return suggest(snapshot.view, *place, engine, inline_config(settings, explicit=False), InlineState())


def complete_batch(root: Path, lines: Iterable[str], settings: Settings) -> Iterator[dict[str, Any]]:
    """An answer for every question, as an editor would get it that has the file open.

    A question is ``{"path": …, "before": …, "after": …}``. With ``"typed"`` the same is asked again after these
    letters, with nothing remembered but what the model has read. With ``"middle"``, which is the true text
    between the two, the bits that the model needs for it are counted.
    """
    index = TreeIndex(root, watch=False)
    try:
        with engine_for(settings) as engine:
            for line in lines:
                yield _answer(index, engine, _question(line), settings)
    finally:
        index.close()


def _question(line: str) -> dict[str, Any]:
    """One line of a batch. Raises Failed."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in ("path", "before", "after")):
        raise Failed(f'{line.strip()[:80]!r} is no question as {{"path": "a.c", "before": "…", "after": "…"}}')
    return found


def _answer(index: TreeIndex, engine: Completer, question: dict[str, Any], settings: Settings) -> dict[str, Any]:
    before, after = encode(question["before"]), encode(question["after"])
    config = inline_config(settings, explicit=False)
    answer: dict[str, Any] = {"id": question.get("id")}
    if why := why_off(settings, question["path"]):
        return answer | render_json.no_suggestion(why)

    def ask(before: bytes) -> dict[str, Any]:
        source = Source(question["path"], before + after)
        view = index.view({source.path: source})
        return render_json.suggestion(suggest(view, source, len(before), engine, config, InlineState()))

    try:
        source = Source(question["path"], before + after)
        view = index.view({source.path: source})
        cursor = CursorContext(view, source, len(before))
        near = find_neighbours(cursor, NeighbourCache(), RecentEdits())
        if read := getattr(engine, "read", None):
            read(near, lambda: False)  # as where a file has been open for a moment
        answer |= ask(before)
        if typed := question.get("typed"):
            answer["after_typing"] = ask(before + encode(typed))
        score = getattr(engine, "score", None)
        if score and "middle" in question:
            context = build_context(cursor, (engine.context or DEFAULT_CONTEXT) // 2)
            answer["bits"], answer["bytes"] = score(context, question["middle"], lambda: False, near)
    except Failed as problem:
        answer["failed"] = str(problem)
    return answer


__all__ = ["Failed", "Refused", "complete", "complete_batch", "settings_for"]
