"""The questions a client asks, one short function each: from the protocol, ask a feature, to the protocol.

Features are imported when first asked for, so that starting costs nothing. Each function gets a
``Request`` and may run on any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from kexpert.core.c.source import Source
from kexpert.core.symbols import Span
from kexpert.core.text import decode, encode
from kexpert.lsp import to_protocol as convert
from kexpert.lsp.dispatcher import Lane
from kexpert.lsp.to_protocol import Json, Places
from kexpert.lsp.transport import Encoded

if TYPE_CHECKING:
    from kexpert.features.completion.item import Completions
    from kexpert.features.hover.card import HoverCard
    from kexpert.features.search.search import Found
    from kexpert.lsp.client_log import Reporter
    from kexpert.lsp.handshake import Client
    from kexpert.view import View
    from kexpert.workspace.checkpatch import Checkpatch
    from kexpert.workspace.documents import Snapshot
    from kexpert.workspace.inline_session import Inline
    from kexpert.workspace.settings import Options

REQUEST_FAILED = -32803
#: Results of one search.
_MOST_FOUND = 200
#: How many seconds old a hover may get by waiting for what is similar. What comes later is there the next time.
_SIMILAR_WITHIN = 0.012


@dataclass
class Request:
    """A question, and the session as it was when it came. Made on the thread that answers."""

    params: Any
    snapshot: Snapshot
    client: Client
    cancelled: Callable[[], bool]
    checkpatch: Checkpatch | None
    inline: Inline
    reporter: Reporter
    view: View = field(init=False)
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        self.view = self.snapshot.view()
        self.places = Places(self.snapshot, self.view)

    @property
    def path(self) -> str:
        return self.snapshot.path(self.params.text_document.uri)

    @property
    def source(self) -> Source | None:
        """The document asked about: the open buffer, else the file in the tree."""
        return self.source_at(self.params.text_document.uri)

    def source_at(self, uri: str) -> Source | None:
        path = self.snapshot.path(uri)
        document = self.snapshot.documents.get(path)
        return document.source if document else self.view.source(path)

    def offset(self, source: Source, position: Any = None) -> int:
        position = position or self.params.position
        return source.lines.to_offset(position.line, position.character, self.snapshot.encoding)

    def likes_markdown(self, *capability: str) -> bool:
        formats = self.client.can("textDocument", *capability)
        return not isinstance(formats, list) or not formats or "markdown" in formats


@dataclass(frozen=True, slots=True)
class Handler:
    answer: Callable[[Request], Any]
    lane: Lane
    #: What the client gets when the feature fails.
    fallback: Callable[[Any], Any]


HANDLERS: dict[str, Handler] = {}


def _answers(
    method: str, lane: Lane = Lane.QUICK, fallback: Callable[[Any], Any] = lambda params: None
) -> Callable[[Callable[[Request], Any]], Callable[[Request], Any]]:
    def register(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        HANDLERS[method] = Handler(answer, lane, fallback)
        return answer

    return register


def _located(method: str, feature: Callable[[], Callable[[View, Source, int], list[Span]]]) -> None:
    """Register a jump: a feature from a place to spans."""

    def answer(request: Request) -> Any:
        source = request.source
        if source is None:
            return None
        return request.places.locations(feature()(request.view, source, request.offset(source)))

    _answers(method)(answer)


def _definition_feature(name: str) -> Callable[[], Callable[[View, Source, int], list[Span]]]:
    def load() -> Callable[[View, Source, int], list[Span]]:
        from kexpert.features.navigation import definition

        found: Callable[[View, Source, int], list[Span]] = getattr(definition, name)
        return found

    return load


_located(types.TEXT_DOCUMENT_DEFINITION, _definition_feature("definition"))
_located(types.TEXT_DOCUMENT_DECLARATION, _definition_feature("declaration"))
_located(types.TEXT_DOCUMENT_TYPE_DEFINITION, _definition_feature("type_definition"))
_located(types.TEXT_DOCUMENT_IMPLEMENTATION, _definition_feature("implementation"))


@_answers(types.TEXT_DOCUMENT_HOVER)
def hover(request: Request) -> Json | None:
    from kexpert.features.hover.hover import hover

    source = request.source
    similar_within = _SIMILAR_WITHIN if request.snapshot.options.hover_similar else 0.0
    card = hover(request.view, source, request.offset(source), similar_within) if source else None
    if source is None or card is None:
        return None
    card = _trimmed(card, request.snapshot.options)
    found: Json = {"contents": convert.card_markup(card, request.likes_markdown("hover", "contentFormat"))}
    if card.start is not None and card.end is not None:
        found["range"] = request.places.range(source.data, card.start, card.end)
    return found


def _trimmed(card: HoverCard, options: Options) -> HoverCard:
    """The card without the parts that the user does not want."""
    return replace(
        card,
        callers=card.callers if options.hover_callers else None,
        layout=card.layout if options.hover_layout else None,
        maintainers=card.maintainers if options.hover_maintainers else None,
    )


@_answers(types.TEXT_DOCUMENT_COMPLETION)
def completion(request: Request) -> Json | None:
    from kexpert.features.completion.completion import complete

    source = request.source
    if source is None:
        return None
    offset = request.offset(source)
    context = request.params.context
    if context and context.trigger_character and not _means_it(source, offset, context.trigger_character):
        return None
    found = complete(request.view, source, offset, request.snapshot.options.completion_limit)
    snippets = request.client.can("textDocument", "completion", "completionItem", "snippetSupport") is True
    if request.snapshot.options.inline_in_menu and request.client.can("textDocument", "inlineCompletion") is None:
        found = _with_inline(request, source, offset, found)
    return {
        "isIncomplete": found.incomplete,
        "items": convert.completion_items(request.places, source, found.items, snippets),
    }


def _means_it(source: Source, offset: int, trigger: str) -> bool:
    """Whether a character that starts completion does so here: ``>`` only behind ``-``, and so on."""
    line = source.data[source.lines.starts[source.lines.line_of(offset)] : offset].lstrip()
    match trigger:
        case ">":
            return line.endswith(b"->")
        case "*":
            return line == b"/**"
        case "#":
            return line == b"#"
        case "<" | '"' | "/":
            return line.startswith(b"#") and b"include" in line
    return True


def _with_inline(request: Request, source: Source, offset: int, found: Completions) -> Completions:
    """The menu with what the model would write, as far as that is known: a menu waits for no model, but the
    next letter brings what was worked out since."""
    from kexpert.features.inline.suggest import as_item

    suggestion = request.inline.recall(request.view, source, offset, request.snapshot.options)
    if suggestion is not None:
        found.items.insert(0, as_item(source, suggestion))
    found.incomplete |= request.inline.speaks
    return found


@_answers(types.TEXT_DOCUMENT_INLINE_COMPLETION, Lane.MODEL)
def inline_completion(request: Request) -> Json | None:
    from kexpert.workspace.inline_session import selected

    source = request.source
    if source is None:
        return None
    offset = request.offset(source)
    start, chosen = offset, b""
    if entry := selected(request.params):
        start = min(request.offset(source, entry[0].start), offset)
        chosen = encode(entry[1])
    # What the menu would put there counts as typed.
    asked_about = source.edited(source.data[:start] + chosen + source.data[offset:]) if chosen else source
    found = request.inline.suggest(
        request.view,
        asked_about,
        start + len(chosen),
        request.snapshot.options,
        request.cancelled,
        asked=request.params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked,
    )
    if found is None:
        return None
    return {
        "items": [
            {"insertText": decode(chosen) + found.text, "range": request.places.range(source.data, start, offset)}
        ]
    }


@_answers(types.COMPLETION_ITEM_RESOLVE, fallback=lambda item: item)
def resolve_completion(request: Request) -> Any:
    from kexpert.features.hover.hover import card_for_symbol

    item = request.params
    if symbol := convert.symbol_from(item.data):
        rich = request.likes_markdown("completion", "completionItem", "documentationFormat")
        if card := card_for_symbol(request.view, symbol):
            markup = convert.card_markup(_trimmed(card, request.snapshot.options), rich)
            item.documentation = types.MarkupContent(types.MarkupKind(markup["kind"]), markup["value"])
    return item


@_answers(types.TEXT_DOCUMENT_SIGNATURE_HELP)
def signature_help(request: Request) -> Json | None:
    from kexpert.features.signature_help import signature_help

    source = request.source
    found = signature_help(request.view, source, request.offset(source)) if source else None
    if found is None:
        return None
    information = ("signatureHelp", "signatureInformation")
    offsets = request.client.can("textDocument", *information, "parameterInformation", "labelOffsetSupport") is True
    return convert.signature_help(found, offsets, request.likes_markdown(*information, "documentationFormat"))


@_answers(types.TEXT_DOCUMENT_REFERENCES, Lane.SLOW)
def references(request: Request) -> Encoded | None:
    from kexpert.features.navigation.references import references

    source = request.source
    if source is None:
        return None
    declared = bool(request.params.context and request.params.context.include_declaration)
    found = references(request.view, source, request.offset(source), declared, request.cancelled)
    return None if request.cancelled() else request.places.encoded_locations(found)


@_answers(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
def highlight(request: Request) -> list[Json] | None:
    from kexpert.features.navigation.references import highlights

    source = request.source
    if source is None:
        return None
    return convert.highlights(request.places, source, highlights(request.view, source, request.offset(source)))


@_answers(types.TEXT_DOCUMENT_PREPARE_RENAME)
def prepare_rename(request: Request) -> Json | None:
    from kexpert.features.navigation.rename import prepare_rename

    source = request.source
    found = prepare_rename(request.view, source, request.offset(source)) if source else None
    if source is None or found is None:
        return None
    start, end, name = found
    return {"range": request.places.range(source.data, start, end), "placeholder": name}


@_answers(types.TEXT_DOCUMENT_RENAME)
def rename(request: Request) -> Json | None:
    from kexpert.features.navigation.rename import RenameError, rename

    source = request.source
    if source is None:
        return None
    try:
        spans = rename(request.view, source, request.offset(source), request.params.new_name)
    except RenameError as refusal:
        raise JsonRpcException(str(refusal), REQUEST_FAILED) from None
    ranges = request.places.ranges(source.data, spans)
    edits = [{"range": one, "newText": request.params.new_name} for one in ranges]
    return {"changes": {request.snapshot.uri(source.path): edits}}


@_answers(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def document_symbols(request: Request) -> list[Json] | None:
    from kexpert.features.symbols.outline import outline

    source = request.source
    if source is None:
        return None
    nested = request.client.can("textDocument", "documentSymbol", "hierarchicalDocumentSymbolSupport") is True
    uri = request.params.text_document.uri
    return convert.document_symbols(request.places, source, outline(source), nested, uri)


@_answers(types.WORKSPACE_SYMBOL, Lane.SLOW)
def workspace_symbols(request: Request) -> list[Json]:
    from kexpert.features.symbols.outline import workspace_symbols

    query = request.params.query.strip()
    found = convert.workspace_symbols(request.places, workspace_symbols(request.view, query))
    return found + convert.found_symbols(request.places, _by_meaning(request, query)) if " " in query else found


def _by_meaning(request: Request, query: str, limit: int = 20) -> list[Found]:
    """What a question means; nothing for a filter that means nothing, which is told."""
    from kexpert.features.search.search import search
    from kexpert.view import FilterError

    try:
        return search(request.view, query, limit)
    except FilterError as problem:
        request.reporter.show_once("info", str(problem))
        return []


@_answers(types.TEXT_DOCUMENT_CODE_ACTION)
def code_actions(request: Request) -> list[Json]:
    span = request.params.range
    only = request.params.context.only
    wanted = only is None or any("source".startswith(str(getattr(kind, "value", kind))) for kind in only)
    if not wanted or request.source is None or span.start == span.end:
        return []
    where = {
        "start": {"line": span.start.line, "character": span.start.character},
        "end": {"line": span.end.line, "character": span.end.character},
    }
    arguments = [request.params.text_document.uri, where]
    command = {"title": "Find similar code", "command": "kexpert.findSimilar", "arguments": arguments}
    return [{"title": "Find similar code", "kind": "source", "command": command}]


@_answers(types.WORKSPACE_EXECUTE_COMMAND, Lane.SLOW)
def execute_command(request: Request) -> list[Json]:
    """``kexpert.search`` (question, number of results) and ``kexpert.findSimilar`` (URI, range): both give
    results with name, kind, score, location and the lines that match."""
    from kexpert.features.search.search import similar

    arguments = request.params.arguments or []
    match request.params.command, arguments:
        case "kexpert.search", [str(query), *rest]:
            limit = rest[0] if rest and isinstance(rest[0], int) and 0 < rest[0] <= _MOST_FOUND else 20
            return convert.found(request.places, _by_meaning(request, query, limit))
        case "kexpert.findSimilar", [str(uri), place, *_]:
            source = request.source_at(uri)
            span = convert.range_from(place)
            if source is None or span is None:
                return []
            start, end = (source.lines.to_offset(*one, request.snapshot.encoding) for one in span)
            return convert.found(request.places, similar(request.view, source, min(start, end), max(start, end)))
    raise JsonRpcException(
        f"{request.params.command}: no such command, or other arguments than it takes", REQUEST_FAILED
    )


@_answers(types.TEXT_DOCUMENT_PREPARE_CALL_HIERARCHY, Lane.SLOW)
def prepare_calls(request: Request) -> list[Json] | None:
    from kexpert.features.navigation.call_hierarchy import prepare

    source = request.source
    found = prepare(request.view, source, request.offset(source)) if source else []
    return [item for symbol in found if (item := convert.call_item(request.places, symbol))] or None


@_answers(types.CALL_HIERARCHY_INCOMING_CALLS, Lane.SLOW)
def incoming_calls(request: Request) -> list[Json] | None:
    from kexpert.features.navigation.call_hierarchy import incoming

    symbol = convert.symbol_from(request.params.item.data)
    if symbol is None:
        return None
    return convert.calls(request.places, incoming(request.view, symbol, request.cancelled), "from")


@_answers(types.CALL_HIERARCHY_OUTGOING_CALLS, Lane.SLOW)
def outgoing_calls(request: Request) -> list[Json] | None:
    from kexpert.features.navigation.call_hierarchy import outgoing

    symbol = convert.symbol_from(request.params.item.data)
    if symbol is None:
        return None
    return convert.calls(request.places, outgoing(request.view, symbol), "to")


@_answers(types.TEXT_DOCUMENT_FOLDING_RANGE)
def folding(request: Request) -> list[Json] | None:
    from kexpert.features.symbols.folding import folds

    source = request.source
    return [convert.folding_range(fold) for fold in folds(source)] if source else None


@_answers(types.TEXT_DOCUMENT_SELECTION_RANGE)
def selection(request: Request) -> list[Json] | None:
    from kexpert.features.symbols.selection import selections

    source = request.source
    if source is None:
        return None
    return [
        convert.selection_range(
            request.places.ranges(source.data, selections(source, request.offset(source, position)))
        )
        for position in request.params.positions
    ]


@_answers(types.TEXT_DOCUMENT_DIAGNOSTIC, Lane.PROGRAM, fallback=lambda params: {"kind": "full", "items": []})
def pull_diagnostics(request: Request) -> Json:
    known = checked(request, request.path)
    if known is None:
        return {"kind": "full", "items": []}
    version, items = known
    if request.params.previous_result_id == version:
        return {"kind": "unchanged", "resultId": version}
    return {"kind": "full", "resultId": version, "items": items}


def checked(request: Request, path: str) -> tuple[str, list[Json]] | None:
    """The saved version of a file that checkpatch saw, and what it found there; None where it does not run."""
    from kexpert.features.diagnostics import from_checkpatch
    from kexpert.workspace.checkpatch import GaveUp

    if request.checkpatch is None:
        return None
    try:
        report = request.checkpatch.report(path, request.cancelled)
    except GaveUp as reason:
        request.reporter.show_once("info", str(reason))
        return None
    if report is None:
        return None
    source = Source(path, report.text)
    return report.version, convert.diagnostics(request.places, source, from_checkpatch(report.output, source))


def warm(snapshot: Snapshot, path: str) -> None:
    """Have ready what the first questions about a document need: the features themselves, what all
    cards need, and the symbols of its text (an edit of it is cheap once they are known)."""
    import kexpert.features.completion.completion
    import kexpert.features.signature_help
    import kexpert.render.markdown  # noqa: F401
    from kexpert.features.hover.hover import warm as warm_hover

    source = snapshot.documents[path].source
    warm_hover(snapshot.view(), source)
    source.facts  # noqa: B018
