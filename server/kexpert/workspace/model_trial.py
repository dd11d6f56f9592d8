"""Load a model once, in its worker process, to see whether it can be used."""

from __future__ import annotations

import time
from contextlib import closing

from kexpert.abilities import Cancelled, Chat, Completer, Failed, Refused
from kexpert.model.engine import choose_chat_engine, choose_engine, open_chat, open_engine
from kexpert.model.inspection import Inspected
from kexpert.model.types import ChatSettings, EngineChoice, ModelSettings
from kexpert.prompt.manifest import Ability

_LOAD_SECONDS = 120.0
_ANSWER_SECONDS = 2.0  # of a model's server


def load_problem(found: Inspected, ability: Ability) -> str:
    """Why a model on the disk cannot be loaded for an ability; "" if it can."""
    path = str(found.path)
    if ability == "chat":
        return chat_problem(ChatSettings(path=path))[1]
    return completion_problem(ModelSettings(path=path))[1]


def chat_problem(wanted: ChatSettings) -> tuple[EngineChoice, str]:
    """(the engine that the settings choose, why its model cannot be loaded or its server not reached, or "")"""
    choice = choose_chat_engine(wanted)
    try:
        return choice, _problem(open_chat(choice, wanted), choice, wanted.url)
    except Refused as refusal:
        return choice, str(refusal)


def completion_problem(wanted: ModelSettings) -> tuple[EngineChoice, str]:
    """The same for completion."""
    choice = choose_engine(wanted)
    try:
        return choice, _problem(open_engine(choice, wanted), choice, wanted.url)
    except Refused as refusal:
        return choice, str(refusal)


def _problem(engine: Completer | Chat, choice: EngineChoice, url: str) -> str:
    timeout = _ANSWER_SECONDS if choice.kind == "remote" else _LOAD_SECONDS
    until = time.monotonic() + timeout
    try:
        with closing(engine):
            engine.ready(lambda: time.monotonic() > until)
    except (Refused, Failed) as problem:
        return str(problem)
    except Cancelled:
        return f"{url or choice.path} is not ready after {timeout:g} s"
    return ""
