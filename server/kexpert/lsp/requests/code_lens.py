"""``textDocument/codeLens`` and ``codeLens/resolve``.

A lens carries the command ``kexpert.showUses`` of the client: a URI, a position, and "callers", "implementations" or
"operation". The client shows the references, the implementations or the definition there.
"""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from kexpert.lsp import from_protocol, to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.workspace import decorations


@answers(types.TEXT_DOCUMENT_CODE_LENS, ThreadIntent.SLOW)
def code_lenses(request: Request) -> list[Json]:
    source = request.source
    if source is None:
        return []
    found = decorations.code_lenses(request.snapshot, request.path)
    spans = [(lens.symbol.name_start, lens.symbol.name_start + len(lens.symbol.name)) for lens in found]
    ranges = request.places.ranges(source.data, [*spans, *((lens.at, lens.at) for lens in found)])
    made: list[Json] = []
    for lens, span, at in zip(found, ranges, ranges[len(found) :], strict=False):
        item: Json = {"range": span}
        if lens.title:
            item["command"] = _command(lens.title, request.uri, at["start"], lens.kind)
        else:
            item["data"] = [request.uri, at["start"], lens.kind, to_protocol.symbol_data(lens.symbol)]
        made.append(item)
    return made


@answers(types.CODE_LENS_RESOLVE, ThreadIntent.SLOW, fallback=lambda lens: lens)
def resolve(request: Request) -> Any:
    lens = request.params
    match from_protocol.plain(lens.data):
        case [str(uri), dict(position), ("callers" | "implementations") as kind, data]:
            symbol = from_protocol.symbol(data)
            if symbol is not None:
                title = decorations.lens_title(request.snapshot, kind, symbol)
                lens.command = types.Command(title, "kexpert.showUses", arguments=[uri, position, kind])
    return lens


def _command(title: str, uri: str, position: Json, kind: str) -> Json:
    return {"title": title, "command": "kexpert.showUses", "arguments": [uri, position, kind]}
