"""The chat model of one workspace: which one is used, who may ask it, and when it is opened and closed.

A person's request goes before background work, and ends it. A model that the settings or ``kexpert models`` name anew
is opened at the next request; if it cannot be used, the one before stays, and the user is told the reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.prompt.chat import LARGE, SMALL, Budget

if TYPE_CHECKING:
    from kexpert.abilities import Chat, Token
    from kexpert.model.types import ChatSettings, EngineChoice
    from kexpert.prompt.chat import Message
    from kexpert.workspace.listener import Listener
    from kexpert.workspace.settings import Settings

Cancelled = Callable[[], bool]
#: Interval at which a waiting request looks at ``cancelled()``.
_POLL_SECONDS = 0.01
_OFF = "chat.enabled is off"
#: The weights of a model that writes several lines in a second.
_SMALL_BYTES = 500 << 20


@dataclass(frozen=True, slots=True)
class ChatModel:
    """What is known of a chat model without loading it."""

    name: str  # for the mark on what it wrote: "smollm2-135m"
    adapter: str  # the name of its adapter, "" for none
    #: Changes with the weights, the adapter and the server's address: a part of the key of what is cached.
    identity: str
    #: What it was trained for, each a ``prompt.chat.Task``; empty for a model of others, which may be asked anything.
    tasks: tuple[str, ...]
    budget: Budget  # for the prompts
    is_remote: bool  # a server that chat.url names
    #: Answers that are asked for a summary line, of which the one that the others agree with most is kept.
    candidates: int = 1


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A model that may be opened, with all that opening needs."""

    model: ChatModel
    choice: EngineChoice
    settings: ChatSettings


class ChatSession:
    """Made once for a workspace; ``configure`` follows each change of the settings. Any thread may use it.

    Loads nothing before the first request.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._wanted: ChatSettings | None = None  # None: chat.enabled is off
        self._turns = _Turns()
        self._changing = threading.Lock()  # held to change what follows
        self._engine: Chat | None = None
        self._used: ChatModel | None = None  # the model of the engine
        self._loading: tuple[str, Chat] | None = None  # (identity, an engine that is not ready yet)
        self._refused: dict[str, str] = {}  # identity -> why it cannot be used

    def configure(self, settings: Settings) -> None:
        """Take the settings. Another model is opened at the next request."""
        wanted = wanted_chat_model(settings)
        if wanted != self._wanted:
            self._wanted = wanted
            self._refused.clear()  # a person who changes a setting wants another try
        if wanted is None:
            self.close()

    def model(self) -> ChatModel | None:
        """The model that answers the next request, as far as is known without loading it; None for none."""
        candidate = self._candidate()
        if isinstance(candidate, str):
            return self._used if self._keeps(candidate) else None
        return self._used if candidate.model.identity in self._refused else candidate.model

    def reason(self) -> str:
        """Why there is no model, or why the one in use is not the one that the settings name, in one line; else ""."""
        candidate = self._candidate()
        return candidate if isinstance(candidate, str) else self._refused.get(candidate.model.identity, "")

    def answer(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        cancelled: Cancelled,
        beginning: str = "",
        stop: Sequence[str] = (),
        seed: int = 0,
        *,
        background: bool = False,
    ) -> Generator[Token, None, None]:
        """See ``Chat.answer``. Close the generator to stop early.

        One request is answered at a time; the others wait for their turn. With ``background`` a request waits until no
        person's request is left, and a person's request ends it with Cancelled. Raises Refused with the reason if
        there is no model, Failed or Cancelled.
        """
        with self._turns.take(cancelled, background) as is_over:
            engine = self._ready_engine(is_over)
            with contextlib.closing(engine.answer(messages, max_tokens, is_over, beginning, stop, seed)) as tokens:
                yield from tokens

    def close(self) -> None:
        """End the model's process or connection; requests are refused until the next ``configure``."""
        self._wanted = None
        self._end_engines()

    def _end_engines(self) -> None:
        with self._changing:
            engines = [self._engine, self._loading[1] if self._loading else None]
            self._engine = self._used = self._loading = None
        for engine in engines:
            if engine is not None:
                engine.close()

    # -- which model ----------------------------------------------------------------------------

    def _candidate(self) -> _Candidate | str:
        """The model that the settings name, or why there is none. Looks at the disk, loads nothing."""
        from kexpert.model.engine import choose_chat_engine

        wanted = self._wanted
        if wanted is None:
            return _OFF
        choice = choose_chat_engine(wanted)
        return choice.reason if choice.kind == "none" else _Candidate(_describe(choice, wanted), choice, wanted)

    def _keeps(self, reason: str) -> bool:
        """Whether the model in use stays although there is none for this reason: a broken one was named, or its files
        are being replaced."""
        from kexpert.model.engine import NO_CHAT_MODEL

        return reason not in (_OFF, NO_CHAT_MODEL)

    def _ready_engine(self, cancelled: Cancelled) -> Chat:
        """The engine for the next answer, loaded. Raises Refused, Failed or Cancelled."""
        from kexpert.abilities import Failed, Refused

        candidate = self._candidate()
        if isinstance(candidate, str):
            return self._fall_back(candidate, Refused(candidate))
        identity = candidate.model.identity
        if self._engine is not None and self._used is not None and self._used.identity == identity:
            return self._engine
        if reason := self._refused.get(identity):
            return self._fall_back(reason, Refused(reason))
        try:
            engine = self._opened(candidate)
            engine.ready(cancelled)
        except Refused as refusal:
            self._refused[identity] = str(refusal)
            self._drop_loading()
            return self._fall_back(str(refusal), refusal)
        except Failed as problem:
            return self._fall_back(str(problem), problem)
        with self._changing:
            if self._loading is None:
                raise Refused(self.reason() or "the chat model was closed")
            before, self._engine, self._used, self._loading = self._engine, engine, candidate.model, None
        if before is not None:
            before.close()
        return engine

    def _opened(self, candidate: _Candidate) -> Chat:
        """The engine of a candidate, loaded or not. A request that is cancelled leaves it loading. Raises Refused."""
        from kexpert.model.engine import open_chat

        with self._changing:
            if self._loading and self._loading[0] == candidate.model.identity:
                return self._loading[1]
        self._drop_loading()
        self._listener.log("info", f"chat: {candidate.choice.reason}")
        engine = open_chat(candidate.choice, candidate.settings)
        with self._changing:
            self._loading = candidate.model.identity, engine
        return engine

    def _drop_loading(self) -> None:
        with self._changing:
            loading, self._loading = self._loading, None
        if loading:
            loading[1].close()

    def _fall_back(self, reason: str, problem: Exception) -> Chat:
        """The model in use, if another one cannot be used. Raises ``problem`` if there is none."""
        engine, used = self._engine, self._used
        if engine is not None and used is not None and self._keeps(reason):
            self._listener.show_once("warning", f"chat: {reason}; {used.name} stays in use")
            return engine
        wanted = self._wanted
        self._end_engines()
        if wanted and (wanted.path or wanted.url):
            self._listener.show_once("warning", f"chat: {reason}")
        raise problem


def wanted_chat_model(settings: Settings) -> ChatSettings | None:
    """The chat model that the settings name; None if chat is off."""
    from kexpert.model.types import ChatSettings

    if not settings.chat_enabled:
        return None
    return ChatSettings(
        settings.chat_path, settings.chat_url, settings.chat_name, settings.chat_key_env, settings.chat_threads,
        settings.chat_context, settings.model_device,  # type: ignore[arg-type]
    )  # fmt: skip


def _describe(choice: EngineChoice, settings: ChatSettings) -> ChatModel:
    from kexpert.features.explain.agreement import CANDIDATES

    manifest, is_remote = choice.manifest, choice.kind == "remote"
    parts = [choice.kind, settings.url, settings.name] if is_remote else [choice.kind, *_file_identities(choice)]
    is_fast = is_remote or choice.on_gpu
    is_trained = manifest is not None and manifest.chat_prompt_version > 0
    return ChatModel(
        name=choice.model_name or settings.name or settings.url,
        adapter=choice.adapter_name,
        identity=hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16],
        tasks=manifest.tasks if manifest else (),
        budget=LARGE if is_fast and not is_trained else SMALL,
        is_remote=is_remote,
        candidates=CANDIDATES if is_trained and 0 < _size(choice) <= _SMALL_BYTES else 1,
    )


def _size(choice: EngineChoice) -> int:
    """Bytes of the weights; 0 for a server."""
    path = choice.path
    files = [] if path is None else path.iterdir() if path.is_dir() else [path]
    with contextlib.suppress(OSError):
        return sum(file.stat().st_size for file in files)
    return 0


def _file_identities(choice: EngineChoice) -> Iterator[str]:
    """Name, size and time of change of each file of a model."""
    for path in filter(None, (choice.path, choice.adapter)):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            with contextlib.suppress(OSError):
                status = Path(file).stat()
                yield f"{file} {status.st_size} {status.st_mtime_ns}"


class _Turns:
    """One answer at a time. A person waits for the others, background work for all people."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_taken = False
        self._people = 0  # who wait or are answered

    @contextlib.contextmanager
    def take(self, cancelled: Cancelled, background: bool) -> Iterator[Cancelled]:
        """Wait for a turn, and hold it. Yields whether the request is over before its end. Raises Cancelled."""
        from kexpert import abilities

        def is_over() -> bool:
            return cancelled() or (background and self._people > 0)

        with self._changed:
            self._people += not background
        taken = False
        try:
            with self._changed:
                while self._is_taken or (background and self._people):
                    if cancelled():
                        raise abilities.Cancelled
                    self._changed.wait(_POLL_SECONDS)
                self._is_taken = taken = True
            yield is_over
        finally:
            with self._changed:
                self._is_taken = self._is_taken and not taken
                self._people -= not background
                self._changed.notify_all()
