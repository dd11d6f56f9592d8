"""Dataclasses of the features -> the protocol's JSON.

Results are plain dictionaries: a list of 30,000 references would spend a second in the protocol
library's own objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol.types import (
    CompletionItemKind,
    CompletionItemTag,
    DiagnosticSeverity,
    DocumentHighlightKind,
    FoldingRangeKind,
    InsertTextFormat,
    MarkupKind,
    SymbolKind,
)

from kexpert.core.c.access import Access
from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import ChunkKind
from kexpert.core.symbols import Flag, Kind, Span, Symbol
from kexpert.core.text import decode
from kexpert.lsp.locations import Json, LocationMapper

if TYPE_CHECKING:
    from kexpert.features.ask.ask import Answer
    from kexpert.features.callgraph.chain import CallChain
    from kexpert.features.completion.item import CompletionItem, ItemKind
    from kexpert.features.diagnostics import Diagnostic
    from kexpert.features.explain.explanation import Explanation, Location
    from kexpert.features.grep.grep import GrepAnswer
    from kexpert.features.hover.card import HoverCard
    from kexpert.features.kerneldoc.draft import Draft as KernelDocDraft
    from kexpert.features.navigation.call_hierarchy import Call
    from kexpert.features.navigation.references import Highlight
    from kexpert.features.patch.patch import PatchReport
    from kexpert.features.search.search import SearchResult
    from kexpert.features.signature_help import SignatureHelp
    from kexpert.features.symbols.folding import Fold
    from kexpert.features.symbols.outline import OutlineEntry

_SYMBOL_KIND = {
    Kind.FUNCTION: SymbolKind.Function, Kind.PROTOTYPE: SymbolKind.Function, Kind.SYSCALL: SymbolKind.Function,
    Kind.ASM_LABEL: SymbolKind.Function, Kind.MACRO: SymbolKind.Constant, Kind.STRUCT: SymbolKind.Struct,
    Kind.UNION: SymbolKind.Struct, Kind.ENUM: SymbolKind.Enum, Kind.ENUMERATOR: SymbolKind.EnumMember,
    Kind.MEMBER: SymbolKind.Field, Kind.TYPEDEF: SymbolKind.Class, Kind.VARIABLE: SymbolKind.Variable,
    Kind.DECLARATION: SymbolKind.Variable, Kind.TRACEPOINT: SymbolKind.Event, Kind.MODULE_PARAM: SymbolKind.Property,
    Kind.INITCALL: SymbolKind.Event, Kind.EXPORT: SymbolKind.Interface, Kind.CONFIG: SymbolKind.Key,
}  # fmt: skip

_COMPLETION_KIND: dict[ItemKind, CompletionItemKind] = {
    "function": CompletionItemKind.Function, "macro": CompletionItemKind.Constant,
    "constant": CompletionItemKind.Constant, "struct": CompletionItemKind.Struct, "union": CompletionItemKind.Struct,
    "enum": CompletionItemKind.Enum, "enumerator": CompletionItemKind.EnumMember, "member": CompletionItemKind.Field,
    "variable": CompletionItemKind.Variable, "local": CompletionItemKind.Variable,
    "parameter": CompletionItemKind.Variable, "type": CompletionItemKind.Class, "label": CompletionItemKind.Reference,
    "keyword": CompletionItemKind.Keyword, "directive": CompletionItemKind.Keyword, "file": CompletionItemKind.File,
    "folder": CompletionItemKind.Folder, "config": CompletionItemKind.Property, "snippet": CompletionItemKind.Snippet,
}  # fmt: skip

#: A file's head comment is a file, a section of Documentation/ a string.
_CHUNK_KIND = {
    ChunkKind.FUNCTION: SymbolKind.Function, ChunkKind.STRUCT: SymbolKind.Struct, ChunkKind.MACRO: SymbolKind.Constant,
    ChunkKind.FILE: SymbolKind.File, ChunkKind.SECTION: SymbolKind.String, ChunkKind.CONFIG: SymbolKind.Key,
}  # fmt: skip

#: (an error of style is no error: nothing is red that compiles)
_SEVERITY = {
    "ERROR": DiagnosticSeverity.Warning, "WARNING": DiagnosticSeverity.Warning, "CHECK": DiagnosticSeverity.Information,
}  # fmt: skip
_HIGHLIGHT_KIND = {
    Access.READ: DocumentHighlightKind.Read, Access.WRITE: DocumentHighlightKind.Write,
    Access.DECLARATION: DocumentHighlightKind.Write, Access.ADDRESS: DocumentHighlightKind.Text,
}  # fmt: skip
_FOLD_KIND = {"comment": FoldingRangeKind.Comment.value, "imports": FoldingRangeKind.Imports.value}


def card_markup(card: HoverCard, rich: bool, places: LocationMapper | None = None) -> Json:
    """A card as MarkupContent: Markdown, or plain text for a client that shows no Markdown.

    With ``places`` its places are links.
    """
    from kexpert.render import markdown, plain_text

    if not rich:
        return _markup(plain_text.hover_card(card), rich)
    link = None if places is None else lambda path, line: f"{places.uri(path)}#L{line + 1}"
    return _markup(markdown.hover_card(card, link), rich)


def completion_markup(card: HoverCard, rich: bool) -> Json:
    """The card of a completion item as MarkupContent."""
    from kexpert.render import markdown, plain_text

    return _markup(markdown.completion_card(card) if rich else plain_text.hover_card(card), rich)


def explanation(places: LocationMapper, found: Explanation, hint: str = "") -> Json:
    """A page with links to files, and what it says as JSON. ``hint``: the last line of the page."""
    from kexpert.render import explain

    def link(place: Location) -> str:
        return f"{places.uri(place.path)}#L{place.line + 1}"

    written = explain.to_json(found, link)
    page = explain.to_markdown(found, link, hint) if hint else written["markdown"]
    return {"markdown": page, "json": written}


def answer(places: LocationMapper, found: Answer) -> Json:
    """An answer with links to files, and what it says as JSON."""
    from kexpert.render import ask

    return {"markdown": ask.to_markdown(found, _linker(places)), "json": ask.to_json(found)}


def patch(places: LocationMapper, found: PatchReport, title: str) -> Json:
    """What a patch touches, with links to files."""
    from kexpert.render.patch_page import to_markdown

    return {"markdown": to_markdown(found, title, lambda path, line: f"{places.uri(path)}#L{line + 1}")}


def call_chain(places: LocationMapper, found: CallChain) -> Json:
    """The functions above and below one, with links to files."""
    from kexpert.render.call_chain_page import to_markdown

    return {"markdown": to_markdown(found, lambda path, line: f"{places.uri(path)}#L{line + 1}")}


def _linker(places: LocationMapper) -> Callable[[Location], str]:
    return lambda place: f"{places.uri(place.path)}#L{place.line + 1}"


def kernel_doc_edit(
    places: LocationMapper, uri: str, source: Source, found: KernelDocDraft, annotates: bool
) -> Json:
    """A comment as a WorkspaceEdit; with ``annotates`` it says which texts a model wrote."""
    from kexpert.render.kernel_doc import written_by

    texts = found.edits()
    ranges = places.ranges(source.data, [(edit.start, edit.end) for edit in texts])
    edits = [{"range": span, "newText": edit.text} for span, edit in zip(ranges, texts, strict=True)]
    written = written_by(found)
    if not written or not annotates:
        return {"changes": {uri: edits}}
    annotated = [{**edit, "annotationId": "kernel-doc"} for edit in edits]
    return {
        "documentChanges": [{"textDocument": {"uri": uri, "version": None}, "edits": annotated}],
        "changeAnnotations": {"kernel-doc": {"label": "kernel-doc", "description": written}},
    }


def _markup(text: str, rich: bool) -> Json:
    return {"kind": (MarkupKind.Markdown if rich else MarkupKind.PlainText).value, "value": text}


def symbol_data(symbol: Symbol) -> list[Any]:
    """A symbol as the ``data`` that a client hands back in its next request."""
    return [
        symbol.name, int(symbol.kind), symbol.path, symbol.line, symbol.name_start, symbol.start, symbol.end,
        symbol.scope, int(symbol.flags),
    ]  # fmt: skip


def document_symbols(
    places: LocationMapper, source: Source, entries: list[OutlineEntry], nested: bool, uri: str
) -> list[Json]:
    """An outline as DocumentSymbols, or flat as SymbolInformation for clients without hierarchy."""
    flat = list(_walk(entries))
    spans = []
    for entry, _ in flat:
        symbol = entry.symbol
        name = (symbol.name_start, max(symbol.name_start, entry.name_end))
        # The protocol requires the name's range to lie inside the symbol's.
        spans += [(min(symbol.start, name[0]), max(symbol.end, name[1])), name]
    ranges = places.ranges(source.data, spans)
    if not nested:
        return [
            {
                "name": entry.symbol.name,
                "kind": symbol_kind(entry.symbol),
                "location": {"uri": uri, "range": ranges[2 * index]},
                **({"containerName": parent.symbol.name} if parent else {}),
            }
            for index, (entry, parent) in enumerate(flat)
        ]
    made: dict[int, Json] = {}
    roots: list[Json] = []
    for index, (entry, parent) in enumerate(flat):
        item: Json = {
            "name": entry.symbol.name or "(anonymous)",
            "kind": symbol_kind(entry.symbol),
            "range": ranges[2 * index],
            "selectionRange": ranges[2 * index + 1],
        }
        if detail := _detail(entry.symbol):
            item["detail"] = detail
        made[id(entry)] = item
        (made[id(parent)].setdefault("children", []) if parent else roots).append(item)
    return roots


def _walk(entries: list[OutlineEntry]) -> Iterable[tuple[OutlineEntry, OutlineEntry | None]]:
    """Entries with their parents, parents first, in order."""
    waiting: list[tuple[OutlineEntry, OutlineEntry | None]] = [(entry, None) for entry in reversed(entries)]
    while waiting:
        entry, parent = waiting.pop()
        yield entry, parent
        waiting += [(child, entry) for child in reversed(entry.children)]


def symbol_kind(symbol: Symbol) -> int:
    if symbol.kind == Kind.MACRO and symbol.flags & Flag.FUNCTION_LIKE:
        return int(SymbolKind.Function)
    return int(_SYMBOL_KIND[symbol.kind])


#: Details for kinds that share an icon with another kind.
_DETAIL = {
    Kind.PROTOTYPE: "prototype", Kind.DECLARATION: "extern", Kind.UNION: "union", Kind.SYSCALL: "system call",
    Kind.TRACEPOINT: "tracepoint", Kind.MODULE_PARAM: "module parameter",
}  # fmt: skip


def _detail(symbol: Symbol) -> str:
    return symbol.scope if symbol.kind == Kind.INITCALL else _DETAIL.get(symbol.kind, "")


def workspace_symbols(places: LocationMapper, symbols: list[Symbol]) -> list[Json]:
    """Symbols with the places of their names; those whose text no longer exists are left out."""
    return [
        {
            "name": symbol.name,
            "kind": symbol_kind(symbol),
            "location": location,
            "containerName": symbol.scope or symbol.path,
        }
        for symbol in symbols
        if (location := places.name_of(symbol))
    ]


def found(places: LocationMapper, results: Sequence[SearchResult]) -> list[Json]:
    """Results of a search, as the commands give them; those whose file no longer exists are left out."""
    located = places.locations_or_none([Span(one.path, one.start, one.end) for one in results])
    return [
        {
            "name": one.name,
            "kind": one.kind.name.lower(),
            "path": one.path,
            "score": round(one.score, 6),
            "location": location,
            "lines": [{"line": line, "text": text} for line, text in one.lines],
        }
        for one, location in zip(results, located, strict=True)
        if location
    ]


def grep_hits(places: LocationMapper, found: GrepAnswer) -> list[Json]:
    """Definitions that hold a match, in the form of search results; at the first line that matches."""
    spans = [Span(hit.path, hit.start, hit.start) for hit in found.hits]
    made: list[Json] = []
    for hit, location in zip(found.hits, places.locations_or_none(spans), strict=True):
        if location is None:
            continue
        line = hit.lines[0][0] if hit.lines else hit.line
        at = {"line": line, "character": 0}
        made.append({
            "name": hit.symbol.name if hit.symbol else hit.path.rpartition("/")[2],
            "kind": hit.symbol.kind.name.lower() if hit.symbol else "line",
            "path": hit.path,
            "location": {"uri": location["uri"], "range": {"start": at, "end": at}},
            "lines": [{"line": number, "text": text} for number, text in hit.lines],
        })  # fmt: skip
    return made


def found_symbols(places: LocationMapper, results: Sequence[SearchResult]) -> list[Json]:
    """Results of a search as symbols of the workspace."""
    located = places.locations_or_none([Span(one.path, one.start, one.end) for one in results])
    return [
        {
            "name": one.name or one.path.rpartition("/")[2],
            "kind": int(_CHUNK_KIND[one.kind]),
            "location": location,
            "containerName": one.path,
        }
        for one, location in zip(results, located, strict=True)
        if location
    ]


def call_item(places: LocationMapper, symbol: Symbol) -> Json | None:
    """A symbol in the call hierarchy; None if its file no longer exists."""
    name = Span(symbol.path, symbol.name_start, symbol.name_start + len(symbol.name))
    whole = Span(symbol.path, min(symbol.start, name.start), max(symbol.end, name.end))
    located = places.locations([whole, name])
    if not located:
        return None
    return {
        "name": symbol.name,
        "kind": symbol_kind(symbol),
        "detail": symbol.path,
        "uri": located[0]["uri"],
        "range": located[0]["range"],
        "selectionRange": located[1]["range"],
        "data": symbol_data(symbol),
    }


def calls(places: LocationMapper, found: Iterable[Call], end: str) -> list[Json]:
    """Edges of the call hierarchy; ``end`` says which end the item is: "from" or "to"."""
    return [
        {end: item, "fromRanges": [location["range"] for location in places.locations(call.spans)]}
        for call in found
        if (item := call_item(places, call.symbol))
    ]


def selection_range(ranges: list[Json]) -> Json:
    """Ranges, innermost first, as the protocol's chain of parents."""
    chain: Json = {}
    for one in reversed(ranges):
        chain = {"range": one, "parent": chain} if chain else {"range": one}
    return chain


def folding_range(fold: Fold) -> Json:
    item: Json = {"startLine": fold.start_line, "endLine": fold.end_line}
    if kind := _FOLD_KIND.get(fold.kind):
        item["kind"] = kind
    return item


def highlights(places: LocationMapper, source: Source, found: list[Highlight]) -> list[Json]:
    ranges = places.ranges(source.data, [(h.start, h.end) for h in found])
    kinds = [_HIGHLIGHT_KIND[h.access] for h in found]
    return [{"range": span, "kind": int(kind)} for span, kind in zip(ranges, kinds, strict=True)]


def diagnostics(places: LocationMapper, source: Source, found: list[Diagnostic]) -> list[Json]:
    ranges = places.ranges(source.data, [(d.start, d.end) for d in found])
    return [
        {
            "range": r,
            "severity": int(DiagnosticSeverity.Hint if d.is_quiet else _SEVERITY[d.severity.name]),
            "code": d.code,
            "source": d.origin,
            "message": d.message,
        }
        for d, r in zip(found, ranges, strict=True)
    ]


def completion_items(
    places: LocationMapper, source: Source, items: Sequence[CompletionItem], snippets: bool
) -> list[Json]:
    ranges = places.ranges(source.data, [(item.replace_start, item.replace_end) for item in items])
    found = []
    for item, one in zip(items, ranges, strict=True):
        typed = decode(source.data[item.replace_start : item.replace_end])
        made: Json = {
            "label": item.label,
            "kind": int(_COMPLETION_KIND[item.kind]),
            "sortText": item.sort_text,
            "filterText": _filter_text(item, typed),
            "textEdit": {"range": one, "newText": item.insert_text if snippets or not item.snippet else item.label},
        }
        if item.detail:
            made["detail"] = item.detail
        if item.deprecated:
            made["tags"] = [int(CompletionItemTag.Deprecated)]
        if item.snippet and snippets:
            made["insertTextFormat"] = int(InsertTextFormat.Snippet)
        if item.symbol is not None:
            made["data"] = symbol_data(item.symbol)
        found.append(made)
    return found


def _filter_text(item: CompletionItem, typed: str) -> str:
    """The text that the client compares with what the item replaces.

    It must match items that were found by another rule, such as a comment template for ``/**``.
    """
    for candidate in (item.label, item.insert_text):
        letters = iter(candidate.lower())
        if all(letter in letters for letter in typed.lower()):
            return candidate
    return typed


def signature_help(found: SignatureHelp, offsets: bool, rich: bool) -> Json:
    """``offsets``: the client takes parameters as offsets into the label, which the protocol counts in
    UTF-16 units whatever else is agreed."""
    from kexpert.render import markdown, plain_text

    written = markdown.signature_documentation if rich else plain_text.signature_documentation
    label = found.label
    parameters: list[Json] = []
    for one in found.parameters:
        text = label[one.start : one.end]
        made: Json = {"label": [_units(label[: one.start]), _units(label[: one.end])] if offsets else text}
        if one.documentation:
            made["documentation"] = _markup(written(one.documentation), rich)
        parameters.append(made)
    signature: Json = {"label": label, "parameters": parameters}
    if found.documentation:
        signature["documentation"] = _markup(written(found.documentation), rich)
    # The protocol has no value for "no parameter" but an index past the last.
    active = len(parameters) if found.active is None else found.active
    return {"signatures": [signature], "activeSignature": 0, "activeParameter": active}


def _units(text: str) -> int:
    return sum(2 if ord(char) > 0xFFFF else 1 for char in text)
