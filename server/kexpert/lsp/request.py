"""What a request handler gets, and how it is registered.

A handler is a short function from a ``Request`` to JSON: from the protocol, ask the snapshot, to the
protocol. It may run on any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kexpert.lsp.locations import LocationMapper
from kexpert.lsp.scheduler import Cancelled, ThreadIntent
from kexpert.lsp.uris import path_of_document
from kexpert.workspace.snapshot import Position, Snapshot

if TYPE_CHECKING:
    from kexpert.core.c.source import Source
    from kexpert.lsp.client_log import ClientLog
    from kexpert.lsp.handshake import Client
    from kexpert.lsp.token_results import TokenResults


@dataclass(frozen=True)
class Request:
    """A request, and the workspace as it was when it came."""

    params: Any
    snapshot: Snapshot
    client: Client
    log: ClientLog
    cancelled: Cancelled
    #: Asks the client to open a URI in front of the user.
    show_document: Callable[[str], None]
    #: Sends a part of the answer under a token that the client gave for it.
    send_part: Callable[[str | int, Any], None]
    #: The client's own URIs of open documents, by path.
    spellings: Mapping[str, str]
    #: The last semantic tokens of each document.
    tokens: TokenResults

    @cached_property
    def places(self) -> LocationMapper:
        return LocationMapper(self.snapshot, self.spellings)

    @property
    def uri(self) -> str:
        uri: str = self.params.text_document.uri
        return uri

    @property
    def path(self) -> str:
        return self.path_of(self.uri)

    def path_of(self, uri: str) -> str:
        return path_of_document(uri, self.snapshot.root, self.spellings)

    @property
    def source(self) -> Source | None:
        """The document asked about: the open buffer, else the file in the tree."""
        return self.snapshot.source(self.path)

    @property
    def at(self) -> Position:
        """The position asked about."""
        return self.position(self.params.position)

    def position(self, position: Any) -> Position:
        return Position(self.path, position.line, position.character)

    def likes_markdown(self, *capability: str) -> bool:
        """Whether the client takes Markdown for a capability under ``textDocument``."""
        formats = self.client.can("textDocument", *capability)
        return not isinstance(formats, list) or not formats or "markdown" in formats


@dataclass(frozen=True, slots=True)
class Handler:
    """``intent`` and ``fallback``, the answer when the handler fails, are functions of the parameters.

    ``asks_every_tree``: the answers, which are lists, of all kernel trees that are open are put together.
    """

    answer: Callable[[Request], Any]
    intent: Callable[[Any], ThreadIntent]
    fallback: Callable[[Any], Any]
    asks_every_tree: bool = False


#: By method. Filled by the modules of ``lsp.requests``.
HANDLERS: dict[str, Handler] = {}


def answers(
    method: str,
    intent: ThreadIntent | Callable[[Any], ThreadIntent] = ThreadIntent.QUICK,
    fallback: Callable[[Any], Any] = lambda params: None,
    asks_every_tree: bool = False,
) -> Callable[[Callable[[Request], Any]], Callable[[Request], Any]]:
    """Register a function as the handler of a method."""

    def register(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        intent_of = (lambda params: intent) if isinstance(intent, ThreadIntent) else intent
        HANDLERS[method] = Handler(answer, intent_of, fallback, asks_every_tree)
        return answer

    return register
