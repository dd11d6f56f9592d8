"""Better texts for a kernel-doc draft from the chat model, checked; the draft from facts is there without it."""

from __future__ import annotations

import time
from collections.abc import Callable

from kexpert.abilities import Cancelled as WasCancelled
from kexpert.core.c.source import Source
from kexpert.features.kerneldoc.draft import BRIEF, Draft
from kexpert.features.kerneldoc.model_texts import MAX_TOKENS, STOP, Questions, may_describe
from kexpert.view import View
from kexpert.workspace.voice import Unavailable, Voice

#: Seconds after which the texts from facts stay for what the model has not written yet.
_MAX_SECONDS = 45.0


def with_model_texts(
    voice: Voice, view: View, source: Source, draft: Draft, cancelled: Callable[[], bool]
) -> Draft:
    """The draft with what the model writes better; unchanged where there is no model or it does not answer.

    Raises ``abilities.Cancelled``.
    """
    model = voice.model()
    if model is None:
        return draft
    end = time.monotonic() + _MAX_SECONDS

    def is_over() -> bool:
        return cancelled() or time.monotonic() > end

    texts: dict[str, str] = {}
    try:
        if any(each.mark == BRIEF and not each.is_certain for each in draft.texts):
            written = voice.summary(view, source, draft.target.symbol, is_over, background=False)
            if written is not None:
                texts[BRIEF] = written.text
        if may_describe(model.tasks, model.budget):
            questions = Questions(draft, model.budget)
            for line in questions:
                text, _ = voice.answer(questions.messages, MAX_TOKENS, is_over, line.beginning, STOP)
                questions.answer(line, text)
                texts |= questions.texts
    except Unavailable:
        pass
    except WasCancelled:
        if cancelled():
            raise
    return draft.with_texts(texts, model.name, model.adapter)
