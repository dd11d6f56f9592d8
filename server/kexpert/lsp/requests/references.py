"""``textDocument/references``, ``documentHighlight``, and the command ``kexpert.references``.

A client that gives a ``partialResultToken`` gets the places as they are found, and an empty answer at the end, as the
protocol wants it. The uses of a member of a widely used struct take longer than a moment the first time: they have work
done progress, which can be cancelled.

``kexpert.references`` takes a URI, a position, and an object with ``writes`` (only where the name is written or its
address is taken) and ``certain`` (without uses of a member whose struct is not known), both false unless given, and a
token for parts. It answers places with ``access`` ("read", "write", "address", "declaration") and ``certain``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled

from kexpert.lsp import to_protocol
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.scheduler import ThreadIntent
from kexpert.lsp.transport import Encoded
from kexpert.workspace.marked_references import marked_references, writes
from kexpert.workspace.snapshot import Position

if TYPE_CHECKING:
    from kexpert.features.navigation.member_references import MarkedUses

_FIRST_PART = 100  # places in the first part
_FIRST_SECONDS = 0.4  # until it comes with fewer
_PART_SECONDS = 0.2  # between two parts
_SILENT_SECONDS = 0.5  # before progress is shown


@answers(types.TEXT_DOCUMENT_REFERENCES, ThreadIntent.USES)
def references(request: Request) -> Encoded | list[Json] | None:
    if request.source is None:
        return None
    context = request.params.context
    declared = bool(context and context.include_declaration)
    with _search(request) as (cancelled, on_files):
        found = marked_references(request.snapshot, request.at, declared, cancelled, on_files, with_access=False)
        token = request.params.partial_result_token
        if token is not None:
            _send_parts(request, token, found, lambda marked: request.places.use_locations(marked.file))
            return []
        everywhere = list(found)
    certain = [marked.selected(marked.certain).file for marked in everywhere]
    possible = [marked.selected([not sure for sure in marked.certain]).file for marked in everywhere]
    return request.places.encoded_locations([*filter(len, certain), *filter(len, possible)])


@answers(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
def highlight(request: Request) -> list[Json] | None:
    source = request.source
    if source is None:
        return None
    return to_protocol.highlights(request.places, source, request.snapshot.highlights(request.at))


def marked(request: Request, at: Position, options: Any, token: str | int | None) -> list[Json]:
    """The answer to ``kexpert.references``."""
    wanted = options if isinstance(options, dict) else {}

    def as_json(each: MarkedUses) -> list[Json]:
        uses = each.selected(each.certain) if wanted.get("certain") is True else each
        access: Sequence[str] = uses.access or [""] * len(uses.file)
        rows = zip(request.places.use_locations(uses.file), access, uses.certain, strict=True)
        return [{**location, "access": str(done), "certain": sure} for location, done, sure in rows]

    with _search(request) as (cancelled, on_files):
        found = marked_references(request.snapshot, at, True, cancelled, on_files)
        found = writes(found) if wanted.get("writes") is True else found
        if token is not None:
            _send_parts(request, token, found, as_json)
            return []
        return [place for each in found for place in as_json(each)]


def _send_parts(
    request: Request, token: str | int, found: Iterable[MarkedUses], as_json: Callable[[MarkedUses], list[Json]]
) -> None:
    """Send places under a token: the first hundred at once, or the fewer that are found in a moment; the others a few
    times a second."""
    waiting: list[Json] = []
    is_first, last = True, time.monotonic()
    for each in found:
        waiting += as_json(each)
        seconds = time.monotonic() - last
        if (is_first and len(waiting) >= _FIRST_PART) or seconds >= (_FIRST_SECONDS if is_first else _PART_SECONDS):
            request.send_part(token, waiting)
            waiting, is_first, last = [], False, time.monotonic()
    if waiting:
        request.send_part(token, waiting)


@contextmanager
def _search(request: Request) -> Iterator[tuple[Callable[[], bool], Callable[[int, int], None]]]:
    """(whether it was cancelled, a callback for files searched and files in all) of a search with progress. Raises
    JsonRpcRequestCancelled at the end of one that was cancelled."""
    began = time.monotonic()
    token = getattr(request.params, "work_done_token", None)
    with request.log.work("Searching uses", token, request.cancelled) as progress:

        def on_files(done: int, total: int) -> None:
            if time.monotonic() - began >= _SILENT_SECONDS:
                progress.begin()
                progress.report(f"{done:,} of {total:,} files", 100 * done // max(total, 1))

        yield progress.cancelled, on_files
        if progress.cancelled():
            raise JsonRpcRequestCancelled
