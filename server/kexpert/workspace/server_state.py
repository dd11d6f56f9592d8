"""The state of a running server for the person before the editor: tree, index, configuration, models, ghost text."""

from __future__ import annotations

from typing import Any

from kexpert import __version__
from kexpert.workspace.snapshot import Snapshot


def status(snapshot: Snapshot) -> dict[str, Any]:
    """Lines by what they are about; ``isIndexed`` and ``inline`` are true or false."""
    from kexpert.workspace.inline_settings import wanted_model

    view, settings = snapshot.view, snapshot.settings
    chat = snapshot.chat.model() if snapshot.chat is not None else None
    chat_words = "none"
    if chat is not None:
        chat_words = chat.name + (f" with the adapter {chat.adapter}" if chat.adapter else "")
    elif snapshot.chat is not None and (reason := snapshot.chat.reason()):
        chat_words = f"none: {reason.removeprefix('no chat model: ')}"
    wanted = wanted_model(settings)
    return {
        "version": __version__,
        "tree": str(snapshot.root or ""),
        "isIndexed": snapshot.root is not None and view.complete,
        "configuration": snapshot.configuration_words(),
        "completionModel": wanted.url or wanted.path or wanted.installed or "kexpert-2m",
        "chatModel": chat_words,
        "inline": settings.inline_enabled,
        "inlineExclude": list(settings.inline_exclude),
    }
