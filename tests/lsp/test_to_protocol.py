"""Results as the protocol's JSON."""

from __future__ import annotations

import json

import pytest

from kexpert.core.c.source import Source
from kexpert.core.positions import Encoding
from kexpert.core.symbols import FileUses, Flag, Kind, Span, Symbol, Use
from kexpert.core.text import decode
from kexpert.features.completion.item import ITEM_KINDS, CompletionItem
from kexpert.index.occurrences import uses
from kexpert.lsp import from_protocol, to_protocol
from kexpert.lsp.locations import LocationMapper
from kexpert.lsp.to_protocol import symbol_data
from kexpert.lsp.transport import response
from kexpert.workspace.documents import Documents
from kexpert.workspace.settings import Settings
from kexpert.workspace.snapshot import Snapshot

TEXTS = {
    "plain.c": b"int a;\n\tint a;\n",
    "latin1.c": b"/* J\xf6rg */ int a;\n\f\xe9 a a\n",
    "wide 1.c": "/* 🐧 */ int a; /* é */ a\r\nint a;\ra".encode(),
}


def mapper(encoding: Encoding, texts: dict[str, bytes]) -> LocationMapper:
    """Of a workspace without a tree that has these texts open."""
    documents = Documents()
    for path, data in texts.items():
        documents = documents.opened(path, decode(data))
    return LocationMapper(Snapshot(None, documents, encoding, Settings(), None), {})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_encoded_locations_equal_single_ones(encoding: Encoding) -> None:
    places = mapper(encoding, TEXTS)
    spans = [
        Span(path, at, at + 1) for path, data in TEXTS.items() for at in range(len(data)) if data[at : at + 1] == b"a"
    ]
    spans = [*spans[::-1], Span("gone.c", 0, 1), spans[0]]
    expected = places.locations(spans)
    assert len(expected) == len(spans) - 1
    found = {path: list(uses(path, data, b"a")) for path, data in TEXTS.items()}
    known = {use.start: use.position for use in found["plain.c"]}
    assert None not in known.values()
    places_of = [known.get(span.start) if span.path == "plain.c" else None for span in spans]
    asked = [FileUses.of(Use(*span, False, place)) for span, place in zip(spans, places_of, strict=True)]
    asked[-1:] = [uses("plain.c", TEXTS["plain.c"], b"a")]
    expected[-1:] = places.locations([Span(*use[:3]) for use in found["plain.c"]])
    body = response(7, places.encoded_locations(asked)).partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {"jsonrpc": "2.0", "id": 7, "result": expected}


def test_a_symbol_survives_the_way_to_the_client_and_back() -> None:
    symbol = Symbol("f", Kind.FUNCTION, "a.c", 3, 10, 6, 40, "x", Flag.STATIC | Flag.INLINE)
    assert from_protocol.symbol(json.loads(json.dumps(symbol_data(symbol)))) == symbol


@pytest.mark.parametrize("data", [None, [], {}, "x", [1] * 9, ["f", 999, "a.c", 0, 0, 0, 0, "", 0]])
def test_data_that_is_no_symbol_is_none(data: object) -> None:
    assert from_protocol.symbol(data) is None


@pytest.mark.parametrize(
    ("label", "inserted", "typed", "compared"),
    [
        ("kmalloc", "kmalloc", "km", "kmalloc"),
        ("kzalloc", "kzalloc", "kzal", "kzalloc"),
        ("kernel-doc for f()", "/**\n * f() - $1\n */", "/**", "/**\n * f() - $1\n */"),
        ("elsewhere", "elsewhere", "xyz", "xyz"),
    ],
)
def test_a_client_filters_by_what_was_typed(label: str, inserted: str, typed: str, compared: str) -> None:
    source = Source("a.c", typed.encode())
    places = mapper("utf-8", {})
    item = CompletionItem(label, "function", "", "0", inserted, 0, len(typed))
    (made,) = to_protocol.completion_items(places, source, [item], snippets=True)
    assert made["filterText"] == compared
    assert made["textEdit"]["newText"] == inserted


def test_every_kind_of_symbol_has_an_icon() -> None:
    assert set(to_protocol._SYMBOL_KIND) == set(Kind)
    assert set(ITEM_KINDS.values()) <= set(to_protocol._COMPLETION_KIND)
