"""``textDocument/codeAction``: "Explain this function", "Explain selection", "Find similar code", "Write kernel-doc",
"Complete kernel-doc".

The first two are offered only where the user would see the page: see ``execute_command``. For the last two see
``kernel_doc``.
"""

from __future__ import annotations

from lsprotocol import types

from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.source import Source
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.lsp.requests.kernel_doc import KERNEL_DOC_KIND, kernel_doc_actions
from kexpert.workspace.snapshot import Position

_SOURCES = (".c", ".h")
_KIND = types.CodeActionKind.Source.value


@answers(types.TEXT_DOCUMENT_CODE_ACTION)
def code_actions(request: Request) -> list[Json]:
    span = request.params.range
    only = request.params.context.only
    source = request.source
    if source is None:
        return []
    found: list[Json] = []
    if span.start == span.end and source.path.endswith(_SOURCES) and is_wanted(KERNEL_DOC_KIND, only):
        found += kernel_doc_actions(request, Position(request.path, span.start.line, span.start.character))
    return [*found, *_source_actions(request, source)] if is_wanted(_KIND, only) else found


def is_wanted(kind: str, only: list[types.CodeActionKind | str] | None) -> bool:
    """Whether a client that asks for some kinds ``only`` wants actions of a kind."""
    asked = [str(getattr(each, "value", each)) for each in only or ()]
    return only is None or any(kind == each or kind.startswith(f"{each}.") or not each for each in asked)


def _source_actions(request: Request, source: Source) -> list[Json]:
    span = request.params.range
    where = {
        "start": {"line": span.start.line, "character": span.start.character},
        "end": {"line": span.end.line, "character": span.end.character},
    }
    explains = request.client.shows_explanations or request.client.shows_documents
    if span.start != span.end:
        similar = _action("Find similar code", "kexpert.findSimilar", request.uri, where)
        return [_action("Explain selection", "kexpert.explain", request.uri, where), similar] if explains else [similar]
    if not explains:
        return []
    at = request.snapshot.locate(Position(request.path, span.start.line, span.start.character))
    if at is not None and source.path.endswith(_SOURCES) and _has_function(source, at[1]):
        return [_action("Explain this function", "kexpert.explain", request.uri, where)]
    return []


def _action(title: str, command: str, uri: str, where: Json) -> Json:
    arguments = [uri, where]
    return {
        "title": title,
        "kind": _KIND,
        "command": {"title": title, "command": command, "arguments": arguments},
    }


def _has_function(source: Source, offset: int) -> bool:
    line = source.lines.line_bytes(source.lines.line_of(offset))
    return line.lstrip().startswith(b"#define") or enclosing_function(source, offset) is not None
