"""``textDocument/codeAction``: "Explain this function", "Explain selection", "Find similar code".

The first two are offered only where the user would see the page: see ``execute_command``.
"""

from __future__ import annotations

from lsprotocol import types

from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.source import Source
from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers
from kexpert.workspace.snapshot import Position

_SOURCES = (".c", ".h")


@answers(types.TEXT_DOCUMENT_CODE_ACTION)
def code_actions(request: Request) -> list[Json]:
    span = request.params.range
    only = request.params.context.only
    wanted = only is None or any("source".startswith(str(getattr(kind, "value", kind))) for kind in only)
    source = request.source
    if not wanted or source is None:
        return []
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
        "kind": types.CodeActionKind.Source.value,
        "command": {"title": title, "command": command, "arguments": arguments},
    }


def _has_function(source: Source, offset: int) -> bool:
    line = source.lines.line_bytes(source.lines.line_of(offset))
    return line.lstrip().startswith(b"#define") or enclosing_function(source, offset) is not None
