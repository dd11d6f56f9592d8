"""Dataclasses of the features -> the protocol's JSON.

Results are plain dictionaries: a list of 30,000 references would spend a second in the protocol
library's own objects. Every position passes through ``Places``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import ChunkKind
from kexpert.core.symbols import UNKNOWN_COLUMN, FileUses, Flag, Kind, Span, Symbol
from kexpert.core.text import decode, spans_in
from kexpert.lsp.transport import Encoded

if TYPE_CHECKING:
    from kexpert.features.completion.item import Item, ItemKind
    from kexpert.features.diagnostics import Diagnostic
    from kexpert.features.hover.card import HoverCard
    from kexpert.features.navigation.call_hierarchy import Call
    from kexpert.features.navigation.references import Highlight
    from kexpert.features.search.search import Found
    from kexpert.features.signature_help import SignatureHelp
    from kexpert.features.symbols.folding import Fold
    from kexpert.features.symbols.outline import Entry
    from kexpert.view import View
    from kexpert.workspace.documents import Snapshot

Json = dict[str, Any]

#: The protocol's SymbolKind.
_SYMBOL_KIND = {
    Kind.FUNCTION: 12, Kind.PROTOTYPE: 12, Kind.SYSCALL: 12, Kind.ASM_LABEL: 12,
    Kind.MACRO: 14, Kind.STRUCT: 23, Kind.UNION: 23, Kind.ENUM: 10, Kind.ENUMERATOR: 22, Kind.MEMBER: 8,
    Kind.TYPEDEF: 5, Kind.VARIABLE: 13, Kind.DECLARATION: 13, Kind.TRACEPOINT: 24, Kind.MODULE_PARAM: 7,
    Kind.INITCALL: 24, Kind.EXPORT: 11, Kind.CONFIG: 20,
}  # fmt: skip

#: The protocol's CompletionItemKind.
_COMPLETION_KIND: dict[ItemKind, int] = {
    "function": 3, "macro": 21, "constant": 21, "struct": 22, "union": 22, "enum": 13, "enumerator": 20, "member": 5,
    "variable": 6, "local": 6, "parameter": 6, "type": 7, "label": 18, "keyword": 14, "directive": 14, "file": 17,
    "folder": 19, "config": 10, "snippet": 15,
}  # fmt: skip

_SEVERITY = {"ERROR": 1, "WARNING": 2, "CHECK": 3}
_FOLD_KIND = {"comment": "comment", "imports": "imports"}
_MARKDOWN, _PLAIN = "markdown", "plaintext"


class Places:
    """Ranges in files, in the client's encoding and spelling, for one request."""

    def __init__(self, snapshot: Snapshot, view: View) -> None:
        self._snapshot = snapshot
        self._view = view

    def ranges(self, data: bytes, spans: Iterable[tuple[int, int]]) -> list[Json]:
        """Byte spans of one text -> ranges, in order."""
        return [
            {
                "start": {"line": line, "character": character},
                "end": {"line": end_line, "character": end_character},
            }
            for (line, character), (end_line, end_character) in spans_in(data, spans, self._snapshot.encoding)
        ]

    def range(self, data: bytes, start: int, end: int) -> Json:
        return self.ranges(data, [(start, end)])[0]

    def locations(self, spans: Sequence[Span]) -> list[Json]:
        """Spans of any files -> locations, in order; those in files that went away are left out."""
        return [location for location in self.locations_or_none(spans) if location is not None]

    def locations_or_none(self, spans: Sequence[Span]) -> list[Json | None]:
        """A location for each span, None for one whose file went away."""
        found: list[Json | None] = [None] * len(spans)
        for uri, data, indices in self._by_file(spans):
            ranges = self.ranges(data, [(spans[i].start, spans[i].end) for i in indices])
            for index, one in zip(indices, ranges, strict=True):
                found[index] = {"uri": uri, "range": one}
        return found

    def name_of(self, symbol: Symbol) -> Json | None:
        """Where a symbol's name begins, without reading its file whole where that can be helped."""
        known = self._view.place_of(symbol)
        if known is None:
            return self.locations_or_none([Span(symbol.path, symbol.name_start, symbol.name_start)])[0]
        at = {"line": known[0], "character": known[1]}
        return {"uri": self._snapshot.uri(symbol.path), "range": {"start": at, "end": at}}

    def encoded_locations(self, files: Sequence[FileUses]) -> Encoded:
        """Where uses are, in order, as JSON: for tens of thousands, objects cost more than all the rest."""
        found: list[bytes] = []
        for file in files:
            if UNKNOWN_COLUMN in file.columns:
                text = ",".join(map(json.dumps, self.locations([Span(*use[:3]) for use in file])))
            else:
                text = _plain_locations(self._snapshot.uri(file.path), file)
            if text:
                found += [b"," if found else b"[", text.encode("ascii")]
        return Encoded([*found, b"]"] if found else [b"[]"])

    def _by_file(self, spans: Sequence[Span]) -> Iterator[tuple[str, bytes, list[int]]]:
        """(URI, text, indices of its spans) for every file that can be read."""
        by_path: dict[str, list[int]] = {}
        for index, span in enumerate(spans):
            by_path.setdefault(span.path, []).append(index)
        for path, indices in by_path.items():
            data = self._view.data(path)
            if data is not None:
                yield self._snapshot.uri(path), data, indices


def _plain_locations(uri: str, file: FileUses) -> str:
    """Locations as JSON, a comma between them."""
    head = f'{{"uri":{encode_basestring_ascii(uri)},"range":{{"start":{{"line":'
    size = file.size
    return ",".join([
        f'{head}{line},"character":{column}}},"end":{{"line":{line},"character":{column + size}}}}}}}'
        for line, column in zip(file.lines, file.columns, strict=True)
    ])  # fmt: skip


def card_markup(card: HoverCard, rich: bool) -> Json:
    """A card as MarkupContent: Markdown, or plain text for a client that shows no Markdown."""
    from kexpert.render import markdown, plain_text

    return _markup(markdown.hover_card(card) if rich else plain_text.hover_card(card), rich)


def _markup(text: str, rich: bool) -> Json:
    return {"kind": _MARKDOWN if rich else _PLAIN, "value": text}


def symbol_data(symbol: Symbol) -> list[Any]:
    """A symbol as the ``data`` that a client hands back in its next request."""
    return [
        symbol.name, int(symbol.kind), symbol.path, symbol.line, symbol.name_start, symbol.start, symbol.end,
        symbol.scope, int(symbol.flags),
    ]  # fmt: skip


def symbol_from(data: Any) -> Symbol | None:
    """The inverse of ``symbol_data``; None for anything that did not come from it."""
    shape = (str, int, str, int, int, int, int, str, int)
    if not isinstance(data, list) or len(data) != len(shape) or not all(map(isinstance, data, shape)):
        return None
    name, kind, path, line, name_start, start, end, scope, flags = data
    try:
        return Symbol(name, Kind(kind), path, line, name_start, start, end, scope, Flag(flags))
    except ValueError:
        return None


def document_symbols(places: Places, source: Source, entries: list[Entry], nested: bool, uri: str) -> list[Json]:
    """An outline as DocumentSymbols, or flat as SymbolInformation for clients without hierarchy."""
    flat = list(_walk(entries))
    spans = []
    for entry, _ in flat:
        symbol = entry.symbol
        name = (symbol.name_start, max(symbol.name_start, entry.name_end))
        # The protocol wants the name inside the whole.
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


def _walk(entries: list[Entry]) -> Iterable[tuple[Entry, Entry | None]]:
    """Entries with their parents, parents first, in order."""
    waiting: list[tuple[Entry, Entry | None]] = [(entry, None) for entry in reversed(entries)]
    while waiting:
        entry, parent = waiting.pop()
        yield entry, parent
        waiting += [(child, entry) for child in reversed(entry.children)]


def symbol_kind(symbol: Symbol) -> int:
    if symbol.kind == Kind.MACRO and symbol.flags & Flag.FUNCTION_LIKE:
        return _SYMBOL_KIND[Kind.FUNCTION]
    return _SYMBOL_KIND[symbol.kind]


#: What an outline says of a symbol whose icon leaves it open.
_DETAIL = {
    Kind.PROTOTYPE: "prototype", Kind.DECLARATION: "extern", Kind.UNION: "union", Kind.SYSCALL: "system call",
    Kind.TRACEPOINT: "tracepoint", Kind.MODULE_PARAM: "module parameter",
}  # fmt: skip


def _detail(symbol: Symbol) -> str:
    return symbol.scope if symbol.kind == Kind.INITCALL else _DETAIL.get(symbol.kind, "")


def workspace_symbols(places: Places, symbols: list[Symbol]) -> list[Json]:
    """Symbols with where their names stand; those whose text went away are left out."""
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


def found(places: Places, results: Sequence[Found]) -> list[Json]:
    """Results of a search, as the commands give them; those whose file went away are left out."""
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


#: The protocol's SymbolKind of a chunk: a file's head is a file, a section of the documentation a string.
_CHUNK_KIND = {
    ChunkKind.FUNCTION: 12, ChunkKind.STRUCT: 23, ChunkKind.MACRO: 14, ChunkKind.FILE: 1, ChunkKind.SECTION: 15,
    ChunkKind.CONFIG: 20,
}  # fmt: skip


def found_symbols(places: Places, results: Sequence[Found]) -> list[Json]:
    """Results of a search as symbols of the workspace."""
    located = places.locations_or_none([Span(one.path, one.start, one.end) for one in results])
    return [
        {
            "name": one.name or one.path.rpartition("/")[2],
            "kind": _CHUNK_KIND[one.kind],
            "location": location,
            "containerName": one.path,
        }
        for one, location in zip(results, located, strict=True)
        if location
    ]


def range_from(value: Any) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """A range that a client hands back in a command: ((line, character), (line, character)); None if it is none."""
    ends = []
    for name in ("start", "end"):
        end = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
        pair = [end.get(key) if isinstance(end, dict) else getattr(end, key, None) for key in ("line", "character")]
        if not all(isinstance(number, int) and number >= 0 for number in pair):
            return None
        ends.append((int(pair[0]), int(pair[1])))
    return ends[0], ends[1]


def call_item(places: Places, symbol: Symbol) -> Json | None:
    """A symbol in the call hierarchy; None when its file went away."""
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


def calls(places: Places, found: Iterable[Call], end: str) -> list[Json]:
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


def highlights(places: Places, source: Source, found: list[Highlight]) -> list[Json]:
    ranges = places.ranges(source.data, [(h.start, h.end) for h in found])
    return [{"range": r, "kind": 3 if h.write else 2} for h, r in zip(found, ranges, strict=True)]


def diagnostics(places: Places, source: Source, found: list[Diagnostic]) -> list[Json]:
    ranges = places.ranges(source.data, [(d.start, d.end) for d in found])
    return [
        {
            "range": r,
            "severity": _SEVERITY[d.severity.name],
            "code": d.code,
            "source": "checkpatch",
            "message": d.message,
        }
        for d, r in zip(found, ranges, strict=True)
    ]


def completion_items(places: Places, source: Source, items: Sequence[Item], snippets: bool) -> list[Json]:
    ranges = places.ranges(source.data, [(item.replace_start, item.replace_end) for item in items])
    found = []
    for item, one in zip(items, ranges, strict=True):
        typed = decode(source.data[item.replace_start : item.replace_end])
        made: Json = {
            "label": item.label,
            "kind": _COMPLETION_KIND[item.kind],
            "sortText": item.sort_text,
            "filterText": _filter_text(item, typed),
            "textEdit": {"range": one, "newText": item.insert_text if snippets or not item.snippet else item.label},
        }
        if item.detail:
            made["detail"] = item.detail
        if item.deprecated:
            made["tags"] = [1]
        if item.snippet and snippets:
            made["insertTextFormat"] = 2
        if item.symbol is not None:
            made["data"] = symbol_data(item.symbol)
        found.append(made)
    return found


def _filter_text(item: Item, typed: str) -> str:
    """What the client compares with the text that the item replaces. It must not drop what was found
    here by another rule, as the skeleton of a comment for ``/**``."""
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
    # There is no word for "none of them" in the protocol but an index past the last.
    active = len(parameters) if found.active is None else found.active
    return {"signatures": [signature], "activeSignature": 0, "activeParameter": active}


def _units(text: str) -> int:
    return sum(2 if ord(char) > 0xFFFF else 1 for char in text)
