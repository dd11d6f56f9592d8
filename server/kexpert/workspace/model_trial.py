"""Load a model once, in its worker process, to see whether it can be used."""

from __future__ import annotations

import time
from contextlib import closing

from kexpert.abilities import Cancelled, Chat, Completer, Failed, Refused
from kexpert.model.inspection import Inspected
from kexpert.prompt.manifest import Ability

_LOAD_SECONDS = 120.0


def load_problem(found: Inspected, ability: Ability) -> str:
    """Why a model cannot be loaded for an ability; "" if it can."""
    from kexpert.model.engine import choose_chat_engine, choose_engine, open_chat, open_engine
    from kexpert.model.types import ChatSettings, ModelSettings

    until = time.monotonic() + _LOAD_SECONDS
    try:
        engine: Chat | Completer
        if ability == "chat":
            chat = ChatSettings(path=str(found.weights), device="cpu")
            engine = open_chat(choose_chat_engine(chat), chat)
        else:
            wanted = ModelSettings(path=str(found.weights), device="cpu")
            engine = open_engine(choose_engine(wanted), wanted)
        with closing(engine):
            engine.ready(lambda: time.monotonic() > until)
    except (Refused, Failed) as problem:
        return str(problem)
    except Cancelled:
        return f"{found.weights} is not loaded after {_LOAD_SECONDS:g} s"
    return ""
