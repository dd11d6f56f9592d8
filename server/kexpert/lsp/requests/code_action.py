"""``textDocument/codeAction``."""

from __future__ import annotations

from lsprotocol import types

from kexpert.lsp.locations import Json
from kexpert.lsp.request import Request, answers


@answers(types.TEXT_DOCUMENT_CODE_ACTION)
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
    command = {"title": "Find similar code", "command": "kexpert.findSimilar", "arguments": [request.uri, where]}
    return [{"title": "Find similar code", "kind": types.CodeActionKind.Source.value, "command": command}]
