"""Inline completion of one workspace: the engine, what was suggested, which request is the newest.

Not every client cancels a request when it sends the next one, so a newer request ends the older ones here.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from kexpert.workspace.inline_settings import inline_config, is_on, wanted_model

if TYPE_CHECKING:
    from kexpert.abilities import Completer
    from kexpert.core.c.source import Source
    from kexpert.features.inline.suggest import InlineState, Suggestion
    from kexpert.model.types import ModelSettings
    from kexpert.view import View
    from kexpert.workspace.listener import Listener
    from kexpert.workspace.settings import Settings

_C_FILES = (".c", ".h")
Cancelled = Callable[[], bool]
#: Runs one piece of work when nothing more urgent is to do; a newer piece cancels it.
RunInBackground = Callable[[Callable[[Cancelled], None]], None]


class InlineSession:
    """Made once; ``configure`` follows each change of the settings. Loads nothing before the first request, or the
    first file of a client that will make one."""

    def __init__(self, listener: Listener, run_in_background: RunInBackground) -> None:
        self._listener = listener
        self._run_in_background = run_in_background
        self._requests = itertools.count(1)
        self._newest = 0
        self._engine: Completer | None = None
        self._wanted: ModelSettings | None = None
        self._disabled = ""  # why there is no engine
        self._failure = ""  # of the last request
        self._opening = threading.Lock()
        self._state: InlineState | None = None
        #: (path, text, offset) of the suggestion that is worked out before anybody asks for it.
        self._anticipated: tuple[str, bytes, int] | None = None

    @property
    def is_available(self) -> bool:
        """Whether there is a model, as far as is known."""
        return self._engine is not None

    def start_request(self) -> Cancelled:
        """Make all earlier requests obsolete; returns whether this one has become so."""
        request = self._newest = next(self._requests)
        return lambda: self._newest != request

    def requests_from_now(self) -> Callable[[], bool]:
        """Whether a request has come since; to be asked later."""
        newest = self._newest
        return lambda: self._newest != newest

    def configure(self, settings: Settings) -> None:
        """Another model is loaded at the next request; what the settings no longer allow is ended."""
        wanted = wanted_model(settings)
        if wanted != self._wanted or not settings.inline_enabled:
            self.close()
        if wanted != self._wanted and self._state is not None:
            self._state.memory.clear()  # what another model suggested
        self._wanted = wanted

    def _follow_choice(self, settings: Settings) -> None:
        """See whether ``kexpert models use`` chose another model; the next request loads it."""
        if self._wanted is not None and self._wanted.installed != wanted_model(settings).installed:
            self.configure(settings)

    def edited(self, path: str, line: int) -> None:
        """Remember where the user typed: similar code is likely elsewhere."""
        if self._state is not None:
            self._state.edits.add(path, line)

    def suggest(
        self, view: View, source: Source, offset: int, settings: Settings, cancelled: Cancelled, *, explicit: bool
    ) -> list[Suggestion]:
        """What to show at a place, the best first. ``explicit``: the user pressed the key, so low-confidence
        suggestions are shown too, and a second one is looked for, which must be sure."""
        from kexpert.features.inline.suggest import ahead, another, suggest

        if not is_on(settings, source.path):
            return []
        self._follow_choice(settings)
        engine, config = self._opened(), inline_config(settings, explicit)
        if engine is None:
            return []
        state = self._kept_state()
        found = self._asked(lambda: suggest(view, source, offset, engine, config, state, cancelled))
        if found is None or not found.shown:
            return []
        second = None
        if explicit:
            sure = inline_config(settings, explicit=False)
            second = self._asked(lambda: another(view, source, found, engine, sure, state, cancelled))
        if settings.inline_ahead and found.origin != "typed through":
            self._anticipate(view, *ahead(source, found), settings)
        return [found, second] if second else [found]

    def read_ahead(self, view: View, source: Source, settings: Settings) -> None:
        """Load the model and let it read what surrounds a file that was just opened, as soon as it has nothing else to
        do: the first question then has as much to copy from as the later ones."""
        if not is_on(settings, source.path) or not source.path.endswith(_C_FILES):
            return
        is_asked = self.requests_from_now()

        def work(cancelled: Cancelled) -> None:
            from kexpert.abilities import Cancelled, Failed, Refused
            from kexpert.features.inline.neighbours import NeighbourCache, find_neighbours
            from kexpert.features.inline.prompt_context import RecentEdits
            from kexpert.features.semantics.cursor import CursorContext

            read = getattr(self._opened(), "read", None)
            if read is not None:
                near = find_neighbours(CursorContext(view, source, 0), NeighbourCache(), RecentEdits())
                with contextlib.suppress(Cancelled, Failed, Refused):
                    read(near, lambda: cancelled() or is_asked())

        self._run_in_background(work)

    def recall(self, view: View, source: Source, offset: int, settings: Settings) -> Suggestion | None:
        """A suggestion that is known already; one that is not is worked out meanwhile."""
        from kexpert.features.inline.suggest import recall

        if not is_on(settings, source.path):
            return None
        self._follow_choice(settings)
        found = recall(source, offset, inline_config(settings, explicit=False), self._kept_state())
        is_under_way = self._anticipated == (source.path, source.data, offset)
        if found is None and not is_under_way and self._opened() is not None:
            self.start_request()
            self._anticipate(view, source, offset, settings)
        return found

    def close(self) -> None:
        """End the model's process, if there is one."""
        self._newest = next(self._requests)
        engine, self._engine, self._disabled, self._failure, self._anticipated = self._engine, None, "", "", None
        if engine is not None:
            engine.close()

    def _kept_state(self) -> InlineState:
        from kexpert.features.inline.suggest import InlineState

        if self._state is None:
            self._state = InlineState()
        return self._state

    def _opened(self) -> Completer | None:
        from kexpert.abilities import Refused
        from kexpert.model.engine import choose_engine, open_engine
        from kexpert.model.types import ModelSettings

        with self._opening:
            if self._engine is not None or self._disabled:
                return self._engine
            wanted = self._wanted or ModelSettings()
            choice = choose_engine(wanted)
            self._listener.log("info", f"inline completion: {choice.reason}")
            try:
                self._engine = open_engine(choice, wanted)
            except Refused as reason:
                refusal = str(reason)
            else:
                return self._engine
        self._disable(refusal)
        return None

    def _disable(self, reason: str) -> None:
        """Do not ask again until the settings change. A user who named a model is told."""
        if self._disabled:
            return
        self.close()
        self._disabled = reason
        is_named = self._wanted is not None and (self._wanted.path or self._wanted.url)
        text = f"no inline completion: {reason}"
        if is_named:
            self._listener.show_once("warning", text)
        else:
            self._listener.log("warning", text)

    def _asked(self, ask: Callable[[], Suggestion | None]) -> Suggestion | None:
        """The suggestion, or None. A failure is logged once until the model answers again, not at each key."""
        from kexpert.abilities import Cancelled, Failed, Refused

        try:
            found = ask()
        except Cancelled:
            return None
        except Refused as reason:
            self._disable(str(reason))
            return None
        except Failed as problem:
            if str(problem) != self._failure:
                self._failure = str(problem)
                self._listener.log("warning", f"inline completion: {problem}")
            return None
        if found is not None and found.origin != "typed through":
            self._failure = ""
        return found

    def _anticipate(self, view: View, source: Source, offset: int, settings: Settings) -> None:
        """Work out a suggestion before it is asked for; the next request ends it."""
        newest = self._newest
        place = self._anticipated = (source.path, source.data, offset)
        config = inline_config(settings, explicit=False)

        def work(cancelled: Cancelled) -> None:
            from kexpert.features.inline.suggest import suggest

            engine, is_over = self._engine, lambda: cancelled() or self._newest != newest
            try:
                if engine is not None:
                    self._asked(lambda: suggest(view, source, offset, engine, config, self._kept_state(), is_over))
            finally:
                if self._anticipated is place:
                    self._anticipated = None

        self._run_in_background(work)
