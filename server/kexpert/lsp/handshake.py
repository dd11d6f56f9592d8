"""Everything before and including ``initialize``, with the standard library alone.

Importing the protocol's types takes half a second. An editor waits for the answer to ``initialize``
before it does anything, so this answer comes first and the rest is loaded afterwards. Messages before
``initialize`` are handled here too: the rest of the server only ever sees an initialized connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

from kexpert import __version__
from kexpert.core.positions import Encoding
from kexpert.lsp.token_legend import TOKEN_MODIFIERS, TOKEN_TYPES
from kexpert.lsp.transport import BadMessage, Writer, error_response, read_message

#: Of lsprotocol's ErrorCodes and TextDocumentSyncKind, which take too long to import here; a test compares them.
PARSE_ERROR = -32700
INVALID_PARAMS = -32602
SERVER_NOT_INITIALIZED = -32002
SYNC_INCREMENTAL = 2
#: What is left to another server where ``navigation.enabled`` is off.
NAVIGATION = frozenset({
    "completionProvider", "signatureHelpProvider", "definitionProvider", "declarationProvider",
    "typeDefinitionProvider", "implementationProvider", "referencesProvider", "documentHighlightProvider",
    "documentSymbolProvider", "workspaceSymbolProvider", "callHierarchyProvider", "typeHierarchyProvider",
    "foldingRangeProvider", "selectionRangeProvider", "renameProvider", "semanticTokensProvider", "inlayHintProvider",
    "documentLinkProvider",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Client:
    """The client as ``initialize`` describes it; nothing in it is trusted to be well formed."""

    params: dict[str, Any]
    encoding: Encoding

    def can(self, *keys: str) -> Any:
        """A client capability by its path, as ``can("textDocument", "hover")``; None if it is absent."""
        return dig(self.params, "capabilities", *keys)

    @property
    def shows_documents(self) -> bool:
        """True if the client opens a document when the server asks."""
        return self.can("window", "showDocument", "support") is True

    @property
    def shows_explanations(self) -> bool:
        """True if the client itself shows what ``kexpert.explain`` answers."""
        return self.can("experimental", "kexpertExplain") is True

    @property
    def follows_links(self) -> bool:
        """True if a link to ``file:`` with a line leads there from a hover."""
        return self.can("experimental", "kexpertLinks") is True

    @property
    def shows_inactive_regions(self) -> bool:
        """True if the client dims what this server says is not compiled, by clangd's extension of the protocol."""
        can = self.can("textDocument", "inactiveRegionsCapabilities", "inactiveRegions") is True
        return can and wants_navigation(self)


def dig(data: Any, *keys: str) -> Any:
    """``data[a][b][c]``, or None where the path leaves the dictionaries."""
    for key in keys:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def await_initialize(reader: BinaryIO, writer: Writer) -> Client | None:
    """Wait for ``initialize`` and answer it; None if the client leaves before."""
    while True:
        try:
            message = read_message(reader)
        except BadMessage as bad:
            writer.send(error_response(None, PARSE_ERROR, str(bad)))
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
            writer.send(error_response(request_id, SERVER_NOT_INITIALIZED, "the first request must be initialize"))
        elif not isinstance(params := message.get("params"), dict):
            writer.send(error_response(request_id, INVALID_PARAMS, "initialize: params must be an object"))
        else:
            client = Client(params, choose_encoding(params))
            writer.send({"jsonrpc": "2.0", "id": request_id, "result": initialize_result(client)})
            return client


def choose_encoding(params: dict[str, Any]) -> Encoding:
    """UTF-8 if the client offers it, since everything inside counts bytes; else UTF-32, else UTF-16."""
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
    offered: dict[str, Any] = {
        "positionEncoding": client.encoding,
        "textDocumentSync": {"openClose": True, "change": SYNC_INCREMENTAL, "save": {"includeText": False}},
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
        "codeActionProvider": {"codeActionKinds": ["source", "refactor.rewrite"], "resolveProvider": True},
        "executeCommandProvider": {
            "commands": [
                "kexpert.search", "kexpert.findSimilar", "kexpert.explain", "kexpert.ask", "kexpert.grep",
                "kexpert.status", "kexpert.reindex", "kexpert.references", "kexpert.diff", "kexpert.callChain",
            ],
        },
        "inlineCompletionProvider": True,
        "foldingRangeProvider": True,
        "selectionRangeProvider": True,
        "renameProvider": {"prepareProvider": True} if prepare_rename else True,
        "diagnosticProvider": {
            "identifier": "checkpatch",
            "interFileDependencies": False,
            "workspaceDiagnostics": False,
        },
        **optional_capabilities(client),
        "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
    }
    if not wants_navigation(client):
        offered = {key: value for key, value in offered.items() if key not in NAVIGATION}
    return {"serverInfo": {"name": "kexpert", "version": __version__}, "capabilities": offered}


def wants_navigation(client: Client) -> bool:
    """False if the client's first settings turn ``navigation.enabled`` off: another server answers instead."""
    given = client.params.get("initializationOptions")
    settings = dig(given, "kexpert") if isinstance(dig(given, "kexpert"), dict) else given
    return dig(settings, "navigation", "enabled") is not False and dig(settings, "navigation.enabled") is not False


def optional_capabilities(client: Client) -> dict[str, Any]:
    """What is offered only to a client that says it draws it."""
    found: dict[str, Any] = {}
    if isinstance(client.can("textDocument", "semanticTokens"), dict):
        legend = {"tokenTypes": list(TOKEN_TYPES), "tokenModifiers": list(TOKEN_MODIFIERS)}
        found["semanticTokensProvider"] = {"legend": legend, "range": True, "full": {"delta": True}}
    drawn: dict[str, tuple[str, Any]] = {
        "inlayHint": ("inlayHintProvider", True),
        "codeLens": ("codeLensProvider", {"resolveProvider": True}),
        "documentLink": ("documentLinkProvider", {"resolveProvider": False}),
        "typeHierarchy": ("typeHierarchyProvider", True),
    }
    found.update(offer for feature, offer in drawn.items() if isinstance(client.can("textDocument", feature), dict))
    if client.shows_inactive_regions:
        found["inactiveRegionsProvider"] = True
    return found
