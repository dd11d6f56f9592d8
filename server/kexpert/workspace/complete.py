"""``kexpert complete``: what inline completion would show at a place, with what is known about it."""

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
from kexpert.features.inline.context import Recent, gather
from kexpert.features.inline.neighbours import Nearby, neighbours
from kexpert.features.inline.suggest import DEFAULT_CONTEXT, State, Suggestion, suggest
from kexpert.index.service import IndexService
from kexpert.model.engine import choose, open_engine
from kexpert.render.json import no_suggestion
from kexpert.render.json import suggestion as suggestion_json
from kexpert.view import View
from kexpert.workspace.inline_settings import settings_of, wanted_model, why_off
from kexpert.workspace.settings import Options, file_layers, resolve


def options_for(root: Path, model: str) -> Options:
    """The settings in the configuration files; ``model`` (a path or an address) in the place of theirs."""
    options, _ = resolve(file_layers(root)[0])
    if model.startswith(("http://", "https://")):
        return replace(options, model_url=model)
    return replace(options, model_path=model or options.model_path, model_url="" if model else options.model_url)


@contextlib.contextmanager
def engine_for(options: Options) -> Iterator[Completer]:
    """The engine that the settings choose. Raises Refused."""
    wanted = wanted_model(options)
    engine = open_engine(choose(wanted), wanted)
    try:
        yield engine
    finally:
        engine.close()


def complete(view: View, source: Source, offset: int, options: Options) -> Suggestion | None:
    """One suggestion. Raises Refused, also where the settings want none, or Failed."""
    if why := why_off(options, source.path):
        raise Refused(f"{source.path}: no inline completion: {why}")
    with engine_for(options) as engine:
        return suggest(view, source, offset, engine, settings_of(options, asked=False), State())


def complete_batch(root: Path, lines: Iterable[str], options: Options) -> Iterator[dict[str, Any]]:
    """An answer for every question, as an editor would get it that has the file open.

    A question is ``{"path": …, "before": …, "after": …}``. With ``"typed"`` the same is asked again after these
    letters, with nothing remembered but what the model has read. With ``"middle"``, which is what truly stands
    between the two, the bits that the model needs for it are counted.
    """
    service = IndexService(root, watch=False)
    try:
        with engine_for(options) as engine:
            for line in lines:
                yield _answer(service, engine, _question(line), options)
    finally:
        service.close()


def _question(line: str) -> dict[str, Any]:
    """One line of a batch. Raises Failed."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in ("path", "before", "after")):
        raise Failed(f'{line.strip()[:80]!r} is no question as {{"path": "a.c", "before": "…", "after": "…"}}')
    return found


def _answer(service: IndexService, engine: Completer, question: dict[str, Any], options: Options) -> dict[str, Any]:
    before, after = encode(question["before"]), encode(question["after"])
    settings = settings_of(options, asked=False)
    answer: dict[str, Any] = {"id": question.get("id")}
    if why := why_off(options, question["path"]):
        return answer | no_suggestion(why)

    def ask(before: bytes) -> dict[str, Any]:
        source = Source(question["path"], before + after)
        view = service.view({source.path: source})
        return suggestion_json(suggest(view, source, len(before), engine, settings, State()))

    try:
        source = Source(question["path"], before + after)
        view = service.view({source.path: source})
        near = neighbours(view, source, len(before), Nearby(), Recent())
        if read := getattr(engine, "read", None):
            read(near, lambda: False)  # as where a file has been open for a moment
        answer |= ask(before)
        if typed := question.get("typed"):
            answer["after_typing"] = ask(before + encode(typed))
        score = getattr(engine, "score", None)
        if score and "middle" in question:
            context = gather(view, source, len(before), (engine.context or DEFAULT_CONTEXT) // 2)
            answer["bits"], answer["bytes"] = score(context, question["middle"], lambda: False, near)
    except Failed as problem:
        answer["failed"] = str(problem)
    return answer


__all__ = ["Failed", "Refused", "complete", "complete_batch", "options_for", "suggestion_json"]
