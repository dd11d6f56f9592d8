"""Everything before and including ``initialize``, with the standard library alone.

Importing the protocol's types takes half a second. An editor waits for the answer to ``initialize``
before it does anything, so that answer is given first and the rest is loaded behind it. What the
protocol says about messages before ``initialize`` is settled here too: the server proper only ever
sees an initialized session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

from kexpert import __version__
from kexpert.core.text import Encoding
from kexpert.lsp.transport import BadMessage, Writer, read_message

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
SERVER_NOT_INITIALIZED = -32002


@dataclass(frozen=True, slots=True)
class Client:
    """What the other end said of itself in ``initialize``; nothing of it is trusted to be well formed."""

    params: dict[str, Any]
    encoding: Encoding

    def can(self, *keys: str) -> Any:
        """A client capability by its path, ``can("textDocument", "hover")``; None when it is not there."""
        return dig(self.params, "capabilities", *keys)


def dig(data: Any, *keys: str) -> Any:
    """``data[a][b][c]``, or None where the path leaves the dictionaries."""
    for key in keys:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def refusal(request_id: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


def await_initialize(reader: BinaryIO, writer: Writer) -> Client | None:
    """Answer ``initialize`` when it comes, as the first thing. None if the client leaves before."""
    while True:
        try:
            message = read_message(reader)
        except BadMessage as bad:
            writer.send(refusal(None, PARSE_ERROR, str(bad)))
            continue
        if message is None:
            return None
        method = dig(message, "method")
        if method == "exit":
            return None
        if not isinstance(message, dict) or "id" not in message:
            continue
        request_id = message["id"]
        if method != "initialize":
            writer.send(refusal(request_id, SERVER_NOT_INITIALIZED, "the first request must be initialize"))
        elif not isinstance(params := message.get("params"), dict):
            writer.send(refusal(request_id, INVALID_PARAMS, "initialize: params must be an object"))
        else:
            client = Client(params, choose_encoding(params))
            writer.send({"jsonrpc": "2.0", "id": request_id, "result": initialize_result(client)})
            return client


def choose_encoding(params: dict[str, Any]) -> Encoding:
    """Bytes when the client can count them, since everything inside does; else what it must know."""
    offered = dig(params, "capabilities", "general", "positionEncodings")
    if isinstance(offered, list):
        if "utf-8" in offered:
            return "utf-8"
        if "utf-32" in offered:
            return "utf-32"
    return "utf-16"


def initialize_result(client: Client) -> dict[str, Any]:
    """The answer to ``initialize``: the one list of what the server can do."""
    prepare_rename = client.can("textDocument", "rename", "prepareSupport") is True
    return {
        "serverInfo": {"name": "kexpert", "version": __version__},
        "capabilities": {
            "positionEncoding": client.encoding,
            "textDocumentSync": {"openClose": True, "change": 2, "save": {"includeText": False}},
            "hoverProvider": True,
            "completionProvider": {
                "triggerCharacters": [".", ">", "<", '"', "/", "#", "*"],
                "resolveProvider": True,
            },
            "signatureHelpProvider": {"triggerCharacters": ["(", ","]},
            "definitionProvider": True,
            "declarationProvider": True,
            "typeDefinitionProvider": True,
            "implementationProvider": True,
            "referencesProvider": True,
            "documentHighlightProvider": True,
            "documentSymbolProvider": True,
            "workspaceSymbolProvider": True,
            "callHierarchyProvider": True,
            "codeActionProvider": {"codeActionKinds": ["source"]},
            "executeCommandProvider": {"commands": ["kexpert.search", "kexpert.findSimilar"]},
            "inlineCompletionProvider": True,
            "foldingRangeProvider": True,
            "selectionRangeProvider": True,
            "renameProvider": {"prepareProvider": True} if prepare_rename else True,
            "diagnosticProvider": {
                "identifier": "checkpatch",
                "interFileDependencies": False,
                "workspaceDiagnostics": False,
            },
            "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
        },
    }
