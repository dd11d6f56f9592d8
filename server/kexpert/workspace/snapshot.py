"""``Snapshot``: one moment of a workspace, and every question about it as a method.

A question takes a ``Position`` (or what an earlier answer gave) and returns a feature's dataclass. It may be
asked on any thread; nothing changes a snapshot. Features are imported when first asked for, so that starting
costs nothing.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kexpert.core.c.source import Source
from kexpert.core.positions import Encoding
from kexpert.core.symbols import FileUses, Span, Symbol
from kexpert.core.text import decode, encode
from kexpert.view import FilterError, SearchMethod, View
from kexpert.workspace.buffer_view import BufferView
from kexpert.workspace.by_name import ByName
from kexpert.workspace.refusal import Refusal as Refusal
from kexpert.workspace.tree_questions import TreeQuestions

if TYPE_CHECKING:
    from kexpert.features.ask.ask import Answer
    from kexpert.features.completion.completion import Completions
    from kexpert.features.completion.item import CompletionItem
    from kexpert.features.diagnostics import Diagnostic
    from kexpert.features.explain.explanation import Explanation
    from kexpert.features.hover.card import HoverCard
    from kexpert.features.hover.card_reader import HoverConfig
    from kexpert.features.kerneldoc.draft import Draft as KernelDocDraft
    from kexpert.features.kerneldoc.target import Target
    from kexpert.features.navigation.call_hierarchy import Call
    from kexpert.features.navigation.references import Highlight
    from kexpert.features.navigation.resolved_uses import ResolvedUses
    from kexpert.features.search.search import SearchResult
    from kexpert.features.signature_help import SignatureHelp
    from kexpert.features.symbols.folding import Fold
    from kexpert.features.symbols.outline import OutlineEntry
    from kexpert.workspace.chat import ChatSession
    from kexpert.workspace.checkpatch import Checkpatch
    from kexpert.workspace.configuration import ConfigurationInView
    from kexpert.workspace.documents import Documents
    from kexpert.workspace.inline_session import InlineSession
    from kexpert.workspace.settings import Settings
    from kexpert.workspace.summaries import Summaries
    from kexpert.workspace.voice import Voice

Cancelled = Callable[[], bool]

#: Maximum seconds a hover waits for "See also"; a later result is cached for the next hover.
_SIMILAR_SECONDS = 0.012


def never() -> bool:
    """A question that nobody cancels."""
    return False


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file: line and character count from 0, characters in the encoding of the snapshot."""

    path: str
    line: int
    character: int


class Index(Protocol):
    """What a snapshot asks of a tree's index; ``TreeIndex`` and ``SavedTree`` have it."""

    def view(self, overlay: Mapping[str, Source], unchanged: Mapping[str, Source]) -> View:
        """The index under buffers that differ from their files and buffers that do not, by path."""


@dataclass(frozen=True, slots=True)
class GhostText:
    """Each of ``texts``, the best first, may replace the bytes ``start:end`` of ``source``."""

    texts: list[str]
    source: Source
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """Diagnostics of a saved file; ``version`` names the state that was checked, ``source`` is its text."""

    version: str
    source: Source
    diagnostics: list[Diagnostic]


@dataclass(frozen=True)
class Snapshot(TreeQuestions):
    """A tree with its open documents, the settings in force, and the services that answer from them."""

    root: Path | None
    documents: Documents
    encoding: Encoding
    settings: Settings
    index: Index | None
    inline: InlineSession | None = None
    checkpatch: Checkpatch | None = None
    chat: ChatSession | None = None
    voice: Voice | None = None
    summaries: Summaries | None = None
    configuration: ConfigurationInView | None = None
    #: What features keep between questions, by a name of theirs.
    kept: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def view(self) -> View:
        """The tree with the open buffers over it; the open buffers alone where there is no tree."""
        differing, unchanged = self.documents.overlay()
        if self.index is None:
            return BufferView(str(self.root or "/"), {**differing, **unchanged})
        view = self.index.view(differing, unchanged)
        if self.configuration is not None:
            view.configuration = self.configuration.current()
        return view

    def configuration_words(self) -> str:
        """The configuration in view, in one line."""
        return self.configuration.describe() if self.configuration is not None else "none"

    @cached_property
    def by_name(self) -> ByName:
        """Questions about a name instead of a position."""
        return ByName(self.view, lambda: self.resolved_uses)

    # -- text -----------------------------------------------------------------------------------

    def source(self, path: str) -> Source | None:
        """The text of a file: the open buffer, else the file in the tree."""
        document = self.documents.get(path)
        return document.source if document else self.view.source(path)

    def locate(self, at: Position) -> tuple[Source, int] | None:
        """The text and the byte offset of a position; None if there is no such file."""
        source = self.source(at.path)
        return (source, source.lines.to_offset(at.line, at.character, self.encoding)) if source else None

    # -- what something is ----------------------------------------------------------------------

    def hover(self, at: Position) -> HoverCard | None:
        """The card of the name at a position."""
        from kexpert.features.hover.hover import hover

        began = time.monotonic()
        place = self.locate(at)
        card = hover(self.view, *place, _hover_config(self.settings)) if place else None
        if card is not None and self.settings.hover_summary:
            if self.summaries is not None:
                card.written = self.summaries.of_card(self.view, card, began)
            elif self.voice is not None:
                card.written = self.voice.known_line(self.view, card)[1]
        return card

    def card_of(self, symbol: Symbol) -> HoverCard | None:
        """The card of a symbol that an earlier answer named."""
        from kexpert.features.hover.hover import card_for_symbol

        return card_for_symbol(self.view, symbol, _hover_config(self.settings))

    def explain(self, start: Position, end: Position | None = None) -> Explanation | None:
        """A page about what is selected; for a single position, about the function or macro around it."""
        from kexpert.features.explain.explain import explain

        place, other = self.locate(start), self.locate(end or start)
        if place is None or other is None:
            return None
        return explain(self.view, place[0], place[1], other[1])

    def in_words(self, found: Explanation, cancelled: Cancelled = never) -> Iterator[Explanation]:
        """The page with more and more of what the chat model writes; nothing where it adds nothing."""
        source = self.source(found.path)
        if self.voice is not None and source is not None:
            yield from self.voice.pages(self.view, source, found, cancelled)

    @property
    def has_voice(self) -> bool:
        """Whether there is a chat model to ask."""
        return self.voice is not None and not self.voice.why_silent

    @property
    def why_silent(self) -> str:
        """Why no model adds to an explanation, in one line; "" if one does, or if the settings want none."""
        return self.voice.why_silent if self.voice is not None and self.settings.chat_enabled else ""

    def signature_help(self, at: Position) -> SignatureHelp | None:
        """The call around a position and the argument that is being written."""
        from kexpert.features.signature_help import signature_help

        place = self.locate(at)
        return signature_help(self.view, *place) if place else None

    def ask(
        self, question: str, cancelled: Cancelled = never, *, use_model: bool = True, max_sources: int | None = None
    ) -> Answer:
        """The sources that answer a question about the kernel, and the answer where facts or the chat model give one.

        Raises ``abilities.Cancelled``.
        """
        from kexpert.features.ask.ask import ask, with_fewer_sources

        found = ask(self.view, question)
        if max_sources is not None:
            found = with_fewer_sources(found, max_sources)
        return self.answer_in_words(found, cancelled) if use_model else found

    def answer_in_words(self, found: Answer, cancelled: Cancelled = never, max_tokens: int | None = None) -> Answer:
        """The same sources with what the chat model says from them. Raises ``abilities.Cancelled``."""
        from kexpert.workspace.ask import with_model_answer

        return with_model_answer(self.voice, found, cancelled, max_tokens) if self.voice is not None else found

    # -- kernel-doc -----------------------------------------------------------------------------

    def kernel_doc_target(self, at: Position) -> Target | None:
        """The definition at a position, and what its kernel-doc lacks; None if there is none. Raises Refusal for one
        that kernel-doc cannot describe."""
        from kexpert.features.kerneldoc.declaration import Undocumentable
        from kexpert.features.kerneldoc.target import target_at

        place = self.locate(at)
        try:
            return target_at(self.view, *place) if place else None
        except Undocumentable as reason:
            raise Refusal(f"no kernel-doc can be written: {reason}") from None

    def kernel_doc(
        self, at: Position, cancelled: Cancelled = never, *, use_model: bool = True
    ) -> KernelDocDraft | None:
        """A kernel-doc comment for the definition at a position, or what completes the one it has; None if there is
        no definition or nothing is missing. Raises Refusal or ``abilities.Cancelled``."""
        from kexpert.features.kerneldoc.draft import draft
        from kexpert.workspace.kernel_doc import with_model_texts

        target, source = self.kernel_doc_target(at), self.source(at.path)
        if target is None or source is None or target.is_complete:
            return None
        found = draft(self.view, source, target)
        if use_model and self.voice is not None:
            return with_model_texts(self.voice, self.view, source, found, cancelled)
        return found

    # -- writing --------------------------------------------------------------------------------

    def completion(self, at: Position, trigger: str = "") -> Completions | None:
        """What can be written at a position. ``trigger``: the typed character that opened the menu; None where
        that character opens none there."""
        from kexpert.features.completion.completion import complete, opens_menu

        place = self.locate(at)
        if place is None or (trigger and not opens_menu(*place, trigger)):
            return None
        return complete(self.view, *place, self.settings.completion_limit)

    def inline_completion(
        self,
        at: Position,
        cancelled: Cancelled = never,
        *,
        explicit: bool = False,
        chosen: tuple[Position, str] | None = None,
    ) -> GhostText | None:
        """What a model would write at a position.

        ``explicit``: the user pressed the key, so low-confidence suggestions are shown too. ``chosen``: where the
        selected menu entry starts and its text, which counts as typed.
        """
        place = self.locate(at)
        if place is None or self.inline is None:
            return None
        source, offset = place
        start, typed = offset, b""
        if chosen is not None:
            entry, text = chosen
            start = min(source.lines.to_offset(entry.line, entry.character, self.encoding), offset)
            typed = encode(text)
        asked = source.edited(source.data[:start] + typed + source.data[offset:]) if typed else source
        from kexpert.features.inline.suggest import with_first_line

        found = self.inline.suggest(self.view, asked, start + len(typed), self.settings, cancelled, explicit=explicit)
        texts = with_first_line([decode(typed) + suggestion.text for suggestion in found])
        return GhostText(texts, source, start, offset) if found else None

    def inline_in_menu(self, at: Position) -> CompletionItem | None:
        """A suggestion as an entry of the completion menu, if it is known without waiting; else it is worked out
        meanwhile."""
        from kexpert.features.inline.suggest import as_item

        place = self.locate(at)
        found = self.inline.recall(self.view, *place, self.settings) if place and self.inline else None
        return as_item(place[0], found) if place and found else None

    def prepare_rename(self, at: Position) -> tuple[int, int, str] | None:
        """(start, end, name) of what would be renamed. Raises Refusal."""
        from kexpert.features.navigation.rename import RenameError, prepare_rename

        place = self.locate(at)
        try:
            return prepare_rename(self.view, *place) if place else None
        except RenameError as reason:
            raise Refusal(str(reason)) from None

    def rename(self, at: Position, new_name: str, cancelled: Cancelled = never) -> list[Span]:
        """The places to rewrite, in one file or, for a member, in several. Raises Refusal."""
        from kexpert.features.navigation.rename import RenameError, rename

        place = self.locate(at)
        try:
            return rename(self.view, *place, new_name, self.resolved_uses, cancelled) if place else []
        except RenameError as reason:
            raise Refusal(str(reason)) from None

    # -- jumps and uses -------------------------------------------------------------------------

    def definition(self, at: Position) -> list[Span]:
        from kexpert.features.navigation.definition import definition

        return self._jump(definition, at)

    def declaration(self, at: Position) -> list[Span]:
        from kexpert.features.navigation.definition import declaration

        return self._jump(declaration, at)

    def type_definition(self, at: Position) -> list[Span]:
        from kexpert.features.navigation.definition import type_definition

        return self._jump(type_definition, at)

    def implementation(self, at: Position) -> list[Span]:
        from kexpert.features.navigation.definition import implementation

        return self._jump(implementation, at)

    def _jump(self, feature: Callable[[View, Source, int], list[Span]], at: Position) -> list[Span]:
        place = self.locate(at)
        return feature(self.view, *place) if place else []

    def references(
        self, at: Position, include_declaration: bool = True, cancelled: Cancelled = never
    ) -> list[FileUses]:
        from kexpert.features.navigation.references import references

        place = self.locate(at)
        return references(self.view, *place, include_declaration, cancelled, self.resolved_uses) if place else []

    @property
    def resolved_uses(self) -> ResolvedUses:
        """What earlier answers found out about uses of members."""
        from kexpert.workspace.member_uses import resolved_uses_of

        return resolved_uses_of(self.root if self.index is not None else None, self.kept)

    def highlights(self, at: Position) -> list[Highlight]:
        """Uses in the same file."""
        from kexpert.features.navigation.references import highlights

        place = self.locate(at)
        return highlights(self.view, *place, self.resolved_uses) if place else []

    def prepare_calls(self, at: Position) -> list[Symbol]:
        """The functions whose callers and callees can be asked for."""
        from kexpert.features.navigation.call_hierarchy import prepare

        place = self.locate(at)
        return prepare(self.view, *place) if place else []

    def incoming_calls(self, symbol: Symbol, cancelled: Cancelled = never) -> list[Call]:
        from kexpert.features.navigation.call_hierarchy import incoming

        return incoming(self.view, symbol, cancelled, self.resolved_uses)

    def passed_on(self, symbol: Symbol, cancelled: Cancelled = never) -> list[Span]:
        """Where a function is passed on as a pointer, through which it may be called."""
        from kexpert.features.callgraph.pointers import passed_on

        size = len(encode(symbol.name))
        found = passed_on(self.view, symbol, cancelled).places
        return [Span(each.path, each.start, each.start + size) for each in found]

    def outgoing_calls(self, symbol: Symbol) -> list[Call]:
        from kexpert.features.navigation.call_hierarchy import outgoing

        return outgoing(self.view, symbol)

    # -- symbols, ranges, search ----------------------------------------------------------------

    def document_symbols(self, path: str) -> list[OutlineEntry]:
        from kexpert.features.symbols.outline import outline

        source = self.source(path)
        return outline(source) if source else []

    def workspace_symbols(self, query: str) -> list[Symbol]:
        from kexpert.features.symbols.outline import workspace_symbols

        return workspace_symbols(self.view, query, tuple(self.documents))

    def folds(self, path: str) -> list[Fold]:
        from kexpert.features.symbols.folding import folds

        source = self.source(path)
        return folds(source) if source else []

    def selections(self, at: Position) -> list[tuple[int, int]]:
        """Byte ranges around a position, innermost first."""
        from kexpert.features.symbols.selection import selections

        place = self.locate(at)
        return selections(*place) if place else []

    def symbols_named(self, name: str, limit: int = 20) -> list[Symbol]:
        """Symbols of exactly this name, definitions first; then those of similar names."""
        from kexpert.features.symbols.by_name import symbols_named

        return symbols_named(self.view, name, limit)

    def search(self, query: str, limit: int = 20, method: SearchMethod | None = None) -> list[SearchResult]:
        """Code and documentation by meaning, best first. Raises Refusal for a filter that cannot be applied."""
        from kexpert.features.search.search import search

        try:
            return search(self.view, query, limit, method)
        except FilterError as reason:
            raise Refusal(str(reason)) from None

    def similar(self, start: Position, end: Position, limit: int = 10) -> list[SearchResult]:
        """Code most like a stretch of a file, or like the function around an empty one."""
        from kexpert.features.search.search import similar

        place, other = self.locate(start), self.locate(end)
        if place is None or other is None:
            return []
        return similar(self.view, place[0], min(place[1], other[1]), max(place[1], other[1]), limit)

    # -- checkpatch -----------------------------------------------------------------------------

    def diagnostics(self, path: str, cancelled: Cancelled = never) -> CheckedFile | None:
        """What checkpatch finds in a saved file, under git on changed lines alone; None where it does not run. Raises
        checkpatch.GaveUp."""
        from kexpert.features.diagnostics import from_checkpatch
        from kexpert.workspace.git_diff import changed_lines

        report = self.checkpatch.report(path, cancelled) if self.checkpatch else None
        if report is None or self.root is None:
            return None
        source = Source(path, report.text)
        found = from_checkpatch(report.output, source, changed_lines(self.root, path, cancelled))
        # a commit changes what is shown, and not the file
        version = f"{report.version}-{zlib.crc32(repr(found).encode()):x}"
        return CheckedFile(version, source, found)

    def warm(self, path: str) -> None:
        """Load what the first questions about a document need: the features, what all cards need, its symbols."""
        from kexpert.features import signature_help  # noqa: F401
        from kexpert.features.completion import completion  # noqa: F401
        from kexpert.features.hover import hover
        from kexpert.features.navigation import references  # noqa: F401

        document = self.documents.get(path)
        if document is not None:
            hover.warm(self.view, document.source)
            self.view.lasting_headers_state()  # references of members need it
            document.source.facts  # noqa: B018

    def read_ahead(self, path: str) -> None:
        """Have the model of inline completion read what surrounds a document that was opened."""
        document = self.documents.get(path)
        if document is not None and self.inline is not None:
            self.inline.read_ahead(self.view, document.source, self.settings)


def _hover_config(settings: Settings) -> HoverConfig:
    from kexpert.features.hover.card_reader import HoverConfig

    return HoverConfig(
        callers=settings.hover_callers,
        layout=settings.hover_layout,
        maintainers=settings.hover_maintainers,
        similar_within_seconds=_SIMILAR_SECONDS if settings.hover_similar else 0.0,
    )
