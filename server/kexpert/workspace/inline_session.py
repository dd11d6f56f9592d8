"""Inline completion for one session: which engine, what was suggested, which question is the newest.

Not every client cancels a question when it asks the next one, so the newest ends the older ones here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kexpert.lsp.dispatcher import Lane
from kexpert.workspace.inline_settings import is_on, settings_of, wanted_model

if TYPE_CHECKING:
    from kexpert.abilities import Completer
    from kexpert.core.c.source import Source
    from kexpert.features.inline.suggest import Settings, State, Suggestion
    from kexpert.lsp.client_log import Reporter
    from kexpert.lsp.dispatcher import Jobs
    from kexpert.model.engine import ModelSettings
    from kexpert.view import View
    from kexpert.workspace.settings import Options

#: The key of the one suggestion that is worked out before anybody asks for it.
_BACKGROUND = ("inline", "background")
#: (path, text, offset)
_Place = tuple[str, bytes, int]


class Inline:
    """Made once; ``configure`` is called with each change of the settings. Nothing is loaded before the
    first question."""

    def __init__(self, reporter: Reporter, jobs: Callable[[], Jobs]) -> None:
        self._reporter = reporter
        self._jobs = jobs
        self._tickets = itertools.count(1)
        self._newest = 0
        self._engine: Completer | None = None
        self._wanted: ModelSettings | None = None
        self._silent = ""  # why there is no engine
        self._failure = ""  # of the last question
        self._opening = threading.Lock()
        self._state: State | None = None
        self._thinking: _Place | None = None  # what is worked out before anybody asks for it

    def arrived(self) -> Callable[[], bool]:
        """A question came: those before it are over. Whether this one is."""
        ticket = self._newest = next(self._tickets)
        return lambda: self._newest != ticket

    @property
    def speaks(self) -> bool:
        """Whether there is a model, as far as is known."""
        return self._engine is not None

    def configure(self, options: Options) -> None:
        """Another model in the settings is loaded at the next question; what no longer applies is ended."""
        wanted = wanted_model(options)
        if wanted != self._wanted or not options.inline_enabled:
            self.close()
        self._wanted = wanted

    def edited(self, path: str, line: int) -> None:
        """Something was typed there: what is written next elsewhere may be like it."""
        if self._state is not None:
            self._state.recent.edited(path, line)

    def suggest(
        self, view: View, source: Source, offset: int, options: Options, cancelled: Callable[[], bool], *, asked: bool
    ) -> Suggestion | None:
        """What to show at a place; None for nothing. ``asked``: by a key, so that also what is unsure is shown."""
        from kexpert.features.inline.suggest import ahead

        if not is_on(options, source.path):
            return None
        found = self._ask(self._opened(), view, source, offset, settings_of(options, asked), cancelled)
        if found is None or not found.shown:
            return None
        if options.inline_ahead and found.origin != "typed through":
            # What comes behind it is asked for while it is looked at.
            self._in_background(view, *ahead(source, found), options)
        return found

    def recall(self, view: View, source: Source, offset: int, options: Options) -> Suggestion | None:
        """What is known already of what to show at a place, without waiting; what is not is worked out meanwhile."""
        from kexpert.features.inline.suggest import recall

        if not is_on(options, source.path):
            return None
        found = recall(source, offset, settings_of(options, asked=False), self._kept())
        # A client that asks again meanwhile must not make it begin anew.
        if found is None and self._thinking != (source.path, source.data, offset) and self._opened() is not None:
            self.arrived()
            self._in_background(view, source, offset, options)
        return found

    def close(self) -> None:
        """End the model's process, if there is one."""
        self._newest = next(self._tickets)
        engine, self._engine, self._silent, self._failure, self._thinking = self._engine, None, "", "", None
        if engine is not None:
            engine.close()

    def _kept(self) -> State:
        from kexpert.features.inline.suggest import State

        if self._state is None:
            self._state = State()
        return self._state

    def _opened(self) -> Completer | None:
        from kexpert.abilities import Refused
        from kexpert.model.engine import ModelSettings, choose_engine, open_engine

        with self._opening:
            if self._engine is not None or self._silent:
                return self._engine
            wanted = self._wanted or ModelSettings()
            choice = choose_engine(wanted)
            self._reporter.log("info", f"inline completion: {choice.reason}")
            try:
                self._engine = open_engine(choice, wanted)
            except Refused as reason:
                refusal = str(reason)
            else:
                return self._engine
        self._be_silent(refusal)
        return None

    def _be_silent(self, reason: str) -> None:
        """There is no use in asking again until the settings change. Who named a model is told."""
        if self._silent:
            return
        self.close()
        self._silent = reason
        named = self._wanted is not None and (self._wanted.path or self._wanted.url)
        text = f"no inline completion: {reason}"
        if named:
            self._reporter.show_once("warning", text)
        else:
            self._reporter.log("warning", text)

    def _ask(
        self,
        engine: Completer | None,
        view: View,
        source: Source,
        offset: int,
        settings: Settings,
        cancelled: Callable[[], bool],
    ) -> Suggestion | None:
        """The suggestion, or None. The same failure is said once until the model answers, not at each key."""
        from kexpert.abilities import Cancelled, Failed, Refused
        from kexpert.features.inline.suggest import suggest

        if engine is None:
            return None
        try:
            found = suggest(view, source, offset, engine, settings, self._kept(), cancelled)
        except Cancelled:
            return None
        except Refused as reason:
            self._be_silent(str(reason))
            return None
        except Failed as problem:
            if str(problem) != self._failure:
                self._failure = str(problem)
                self._reporter.log("warning", f"inline completion: {problem}")
            return None
        if found is not None and found.origin != "typed through":
            self._failure = ""
        return found

    def _in_background(self, view: View, source: Source, offset: int, options: Options) -> None:
        """Work out a suggestion, to be remembered; the next question ends it."""
        newest = self._newest
        place = self._thinking = (source.path, source.data, offset)
        settings = settings_of(options, asked=False)

        def work(cancelled: Callable[[], bool]) -> None:
            try:
                self._ask(self._engine, view, source, offset, settings, lambda: cancelled() or self._newest != newest)
            finally:
                if self._thinking is place:
                    self._thinking = None

        jobs = self._jobs()
        jobs.cancel(_BACKGROUND)
        jobs.start(_BACKGROUND, Lane.MODEL, work)


def selected(params: Any) -> tuple[Any, str] | None:
    """(range, text) of the entry that stands out in the client's menu: a suggestion goes on from there."""
    info = getattr(params.context, "selected_completion_info", None)
    return (info.range, info.text) if info is not None else None
