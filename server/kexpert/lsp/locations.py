"""Byte spans -> the protocol's ranges and locations, for one request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from kexpert.core.positions import span_positions
from kexpert.core.symbols import UNKNOWN_COLUMN, FileUses, Span, Symbol
from kexpert.lsp.transport import Encoded
from kexpert.lsp.uris import uri_of

if TYPE_CHECKING:
    from kexpert.workspace.snapshot import Snapshot

Json = dict[str, Any]


class LocationMapper:
    """Ranges in files, in the client's encoding and under the client's URIs. Every position passes through here."""

    def __init__(self, snapshot: Snapshot, spellings: Mapping[str, str]) -> None:
        self._snapshot = snapshot
        self._spellings = spellings

    def uri(self, path: str) -> str:
        return uri_of(path, self._snapshot.root, self._spellings)

    def ranges(self, data: bytes, spans: Iterable[tuple[int, int]]) -> list[Json]:
        """Byte spans of one text -> ranges, in order."""
        return [
            {
                "start": {"line": line, "character": character},
                "end": {"line": end_line, "character": end_character},
            }
            for (line, character), (end_line, end_character) in span_positions(data, spans, self._snapshot.encoding)
        ]

    def range(self, data: bytes, start: int, end: int) -> Json:
        return self.ranges(data, [(start, end)])[0]

    def locations(self, spans: Sequence[Span]) -> list[Json]:
        """Spans of any files -> locations, in order; those in files that no longer exist are left out."""
        return [location for location in self.locations_or_none(spans) if location is not None]

    def locations_or_none(self, spans: Sequence[Span]) -> list[Json | None]:
        """A location for each span, None for one whose file no longer exists."""
        found: list[Json | None] = [None] * len(spans)
        for uri, data, indices in self._by_file(spans):
            ranges = self.ranges(data, [(spans[i].start, spans[i].end) for i in indices])
            for index, span in zip(indices, ranges, strict=True):
                found[index] = {"uri": uri, "range": span}
        return found

    def name_of(self, symbol: Symbol) -> Json | None:
        """The start of a symbol's name, without reading its whole file if possible."""
        known = self._snapshot.view.place_of(symbol)
        if known is None:
            return self.locations_or_none([Span(symbol.path, symbol.name_start, symbol.name_start)])[0]
        at = {"line": known[0], "character": known[1]}
        return {"uri": self.uri(symbol.path), "range": {"start": at, "end": at}}

    def encoded_locations(self, files: Sequence[FileUses]) -> Encoded:
        """Uses as JSON text, in order: for tens of thousands, objects cost more than all the rest."""
        found: list[bytes] = []
        for file in files:
            if UNKNOWN_COLUMN in file.columns:
                text = ",".join(map(json.dumps, self.locations([Span(*use[:3]) for use in file])))
            else:
                text = _locations_of(self.uri(file.path), file)
            if text:
                found += [b"," if found else b"[", text.encode("ascii")]
        return Encoded([*found, b"]"] if found else [b"[]"])

    def use_locations(self, file: FileUses) -> list[Json]:
        """The uses of a name in one file as locations, in order."""
        if UNKNOWN_COLUMN in file.columns:
            return self.locations([Span(*use[:3]) for use in file])
        uri, size = self.uri(file.path), file.size
        return [
            {
                "uri": uri,
                "range": {
                    "start": {"line": line, "character": column},
                    "end": {"line": line, "character": column + size},
                },
            }
            for line, column in zip(file.lines, file.columns, strict=True)
        ]

    def _by_file(self, spans: Sequence[Span]) -> Iterator[tuple[str, bytes, list[int]]]:
        """(URI, text, indices of its spans) for every file that can be read."""
        by_path: dict[str, list[int]] = {}
        for index, span in enumerate(spans):
            by_path.setdefault(span.path, []).append(index)
        for path, indices in by_path.items():
            data = self._snapshot.view.data(path)
            if data is not None:
                yield self.uri(path), data, indices


def _locations_of(uri: str, file: FileUses) -> str:
    """Locations as JSON text, separated by commas."""
    head = f'{{"uri":{encode_basestring_ascii(uri)},"range":{{"start":{{"line":'
    size = file.size
    return ",".join([
        f'{head}{line},"character":{column}}},"end":{{"line":{line},"character":{column + size}}}}}}}'
        for line, column in zip(file.lines, file.columns, strict=True)
    ])  # fmt: skip
