"""One small adapter for each front end: a scenario's question in, its answer in the common form out."""

from __future__ import annotations

import contextlib
import io
import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from kexpert.__main__ import main
from kexpert.render.markdown import hover_card
from kexpert.workspace import decorations
from kexpert.workspace.file_diagnostics import file_diagnostics
from kexpert.workspace.saved_tree import SavedTree
from kexpert.workspace.snapshot import Position, Refusal
from tests.scenarios.scenario import Answer, Scenario, flattened, shown
from tests.support.lsp_client import CAPABILITIES, Client, RequestFailed

#: Settings for all front ends: nothing in the background that could change an answer.
CONFIG = """\
vectors.enabled = false
inline.enabled = false
diagnostics.checkpatch = false
hints.parameters = true
hints.enumerators = true
hints.sizes = true
lenses.callers = true
lenses.implementations = true
index.jobs = 1
index.watch = false
"""


class FrontEnd(ABC):
    """A way to ask about one tree, whose index is on disk. ``asks`` are the questions that it knows."""

    asks: ClassVar[frozenset[str]]

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def answer(self, scenario: Scenario) -> Answer: ...

    def close(self) -> None:  # noqa: B027 (not every front end starts something)
        """End what was started."""


class Facade(FrontEnd):
    """``kexpert.workspace``, the base of all other front ends."""

    asks = frozenset({
        "hover", "definition", "declaration", "type_definition", "implementation", "references", "completion",
        "signature_help", "outline", "symbols", "incoming", "outgoing", "rename", "search", "tokens", "hints", "lenses",
        "links", "supertypes", "subtypes", "inactive", "diagnostics",
    })  # fmt: skip

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._tree = SavedTree(root, lambda message: None)
        self._snapshot = self._tree.snapshot()

    def close(self) -> None:
        self._tree.close()

    def answer(self, scenario: Scenario) -> Answer:
        snapshot, at = self._snapshot, Position(scenario.path, scenario.line, scenario.column)
        match scenario.ask:
            case "hover":
                card = snapshot.hover(at)
                return hover_card(card) if card else ""
            case "signature_help":
                found = snapshot.signature_help(at)
                return found.label if found else ""
            case "completion":
                completions = snapshot.completion(at)
                return [item.label for item in completions.items] if completions else []
            case "outline":
                entries = snapshot.document_symbols(scenario.path)
                return flattened(entries, lambda entry: entry.symbol.name, lambda entry: entry.children)
            case "symbols":
                return [symbol.name for symbol in snapshot.workspace_symbols(scenario.argument)]
            case "search":
                return [found.name for found in snapshot.search(scenario.argument)]
            case "incoming" | "outgoing":
                calls = snapshot.incoming_calls if scenario.ask == "incoming" else snapshot.outgoing_calls
                return [call.symbol.name for symbol in snapshot.prepare_calls(at) for call in calls(symbol)]
            case "rename":
                try:
                    spans = snapshot.rename(at, scenario.argument)
                except Refusal as reason:
                    return str(reason)
                return [self._place(span.path, span.start) for span in spans]
            case "references":
                return [self._place(use.path, use.start) for file in snapshot.references(at) for use in file]
            case "tokens" | "hints" | "lenses" | "links" | "supertypes" | "subtypes" | "inactive" | "diagnostics":
                return self._decoration(scenario, at)
        spans = getattr(snapshot, scenario.ask)(at)
        return [self._place(span.path, span.start) for span in spans]

    def _decoration(self, scenario: Scenario, at: Position) -> Answer:
        snapshot, path = self._snapshot, scenario.path
        source = snapshot.source(path)
        assert source is not None
        whole = Position(path, 0, 0), Position(path, len(source.lines.starts), 0)
        match scenario.ask:
            case "tokens":
                found = decorations.all_semantic_tokens(snapshot, path) or []
                return [
                    " ".join([source.data[token.start : token.end].decode(), token.type, *sorted(token.modifiers)])
                    for token in found
                ]
            case "hints":
                return [hint.label.strip() for hint in decorations.inlay_hints(snapshot, *whole)]
            case "lenses":
                lenses = decorations.code_lenses(snapshot, path)
                return [lens.title or decorations.lens_title(snapshot, lens.kind, lens.symbol) for lens in lenses]
            case "links":
                return [link.path for link in decorations.document_links(snapshot, path)]
            case "inactive":
                regions = decorations.inactive_regions(snapshot, path) or []
                return [f"{first + 1}-{last + 1}" for first, last in regions]
            case "diagnostics":
                checked = file_diagnostics(snapshot, path)
                found = checked.diagnostics if checked else []
                return [f"{source.lines.line_of(each.start) + 1}: {each.message}" for each in found]
        ask = decorations.supertypes if scenario.ask == "supertypes" else decorations.subtypes
        return [each.name for symbol in decorations.prepare_types(snapshot, at) for each in ask(snapshot, symbol)]

    def _place(self, path: str, offset: int) -> str:
        source = self._snapshot.source(path)
        assert source is not None
        return shown(path, *source.lines.to_position(offset, "utf-32"))


class LanguageServer(FrontEnd):
    """A real ``kexpert serve``, asked in UTF-16 as most editors do."""

    asks = Facade.asks
    _JUMPS: ClassVar = {
        "definition": "definition", "declaration": "declaration", "implementation": "implementation",
        "type_definition": "typeDefinition", "references": "references",
    }  # fmt: skip

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._client = Client()
        wanted = ("inlineCompletion", "semanticTokens", "inlayHint", "codeLens", "documentLink", "typeHierarchy")
        drawn = {**{key: {} for key in wanted}, "inactiveRegionsCapabilities": {"inactiveRegions": True}}
        offered = self._client.initialize(root, textDocument={**CAPABILITIES["textDocument"], **drawn})
        self._legend = offered["semanticTokensProvider"]["legend"]
        self._open: set[str] = set()

    def close(self) -> None:
        with self._client:
            self._client.leave()

    def answer(self, scenario: Scenario) -> Answer:
        client, uri = self._client, self._client.uri(scenario.path)
        if scenario.path and scenario.path not in self._open:
            client.open_file(scenario.path)
            self._open.add(scenario.path)
        at = {"line": scenario.line, "character": self._units(scenario.path, scenario.line, scenario.column)}
        match scenario.ask:
            case "hover":
                card = client.at("hover", uri, at)
                return card["contents"]["value"] if card else ""
            case "signature_help":
                found = client.at("signatureHelp", uri, at)
                return found["signatures"][0]["label"] if found else ""
            case "completion":
                items = client.at("completion", uri, at)["items"]
                return [item["label"] for item in sorted(items, key=lambda item: item["sortText"])]
            case "outline":
                entries = client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
                return flattened(entries, lambda entry: entry["name"], lambda entry: entry.get("children"))
            case "symbols":
                return [found["name"] for found in client.request("workspace/symbol", {"query": scenario.argument})]
            case "search":
                command = {"command": "kexpert.search", "arguments": [scenario.argument]}
                return [found["name"] for found in client.request("workspace/executeCommand", command)]
            case "incoming" | "outgoing":
                items = client.at("prepareCallHierarchy", uri, at) or []
                method, end = f"callHierarchy/{scenario.ask}Calls", {"incoming": "from", "outgoing": "to"}[scenario.ask]
                return [call[end]["name"] for item in items for call in client.request(method, {"item": item})]
            case "rename":
                try:
                    changes = client.at("rename", uri, at, newName=scenario.argument)["changes"]
                except RequestFailed as refused:
                    return str(refused)
                return [self._place(uri, edit["range"]) for uri, edits in changes.items() for edit in edits]
            case "tokens" | "hints" | "lenses" | "links" | "supertypes" | "subtypes" | "inactive" | "diagnostics":
                return self._decoration(scenario, uri, at)
        context = {"context": {"includeDeclaration": True}} if scenario.ask == "references" else {}
        places = client.at(self._JUMPS[scenario.ask], uri, at, **context) or []
        return [self._place(place["uri"], place["range"]) for place in places]

    def _decoration(self, scenario: Scenario, uri: str, at: dict[str, int]) -> Answer:
        client, document = self._client, {"textDocument": {"uri": uri}}
        whole = {"start": {"line": 0, "character": 0}, "end": {"line": 100_000, "character": 0}}
        match scenario.ask:
            case "tokens":
                return self._tokens(scenario.path, client.request("textDocument/semanticTokens/full", document)["data"])
            case "hints":
                found = client.request("textDocument/inlayHint", {**document, "range": whole})
                return [hint["label"].strip() for hint in found]
            case "lenses":
                lenses = client.request("textDocument/codeLens", document)
                lenses = [lens if "command" in lens else client.request("codeLens/resolve", lens) for lens in lenses]
                return [lens["command"]["title"] for lens in lenses]
            case "links":
                links = client.request("textDocument/documentLink", document)
                return [os.path.relpath(unquote(urlsplit(link["target"]).path), self.root) for link in links]
            case "inactive":
                client.change(uri)  # have them sent once more
                wanted = lambda params: params["textDocument"]["uri"] == uri  # noqa: E731
                regions = client.wait_for("textDocument/inactiveRegions", wanted)["regions"]
                return [f"{each['start']['line'] + 1}-{each['end']['line'] + 1}" for each in regions]
            case "diagnostics":
                found = client.request("textDocument/diagnostic", document)["items"]
                return [f"{each['range']['start']['line'] + 1}: {each['message']}" for each in found]
        items = client.at("prepareTypeHierarchy", uri, at) or []
        found = [client.request(f"typeHierarchy/{scenario.ask}", {"item": item}) for item in items]
        return [each["name"] for one in found for each in one]

    def _tokens(self, path: str, data: list[int]) -> Answer:
        found, line, character = [], 0, 0
        for lines, since, length, kind, modifiers in zip(*[iter(data)] * 5, strict=True):
            line, character = line + lines, since + (0 if lines else character)
            units = self._line(path, line).encode("utf-16-le")[2 * character : 2 * (character + length)]
            names = [each for bit, each in enumerate(self._legend["tokenModifiers"]) if modifiers >> bit & 1]
            found.append(" ".join([units.decode("utf-16-le"), self._legend["tokenTypes"][kind], *sorted(names)]))
        return found

    def _line(self, path: str, line: int) -> str:
        return (self.root / path).read_text("utf-8").split("\n")[line] if path else ""

    def _units(self, path: str, line: int, column: int) -> int:
        return len(self._line(path, line)[:column].encode("utf-16-le")) // 2

    def _place(self, uri: str, span: Any) -> str:
        path = os.path.relpath(unquote(urlsplit(uri).path), self.root)
        line, units = span["start"]["line"], span["start"]["character"]
        before = self._line(path, line).encode("utf-16-le")[: 2 * units].decode("utf-16-le")
        return shown(path, line, len(before))


class CommandLine(FrontEnd):
    """``kexpert COMMAND … --json``."""

    asks = frozenset({"hover", "definition", "references", "symbols", "search"})

    def answer(self, scenario: Scenario) -> Answer:
        match scenario.ask:
            case "symbols" | "search":
                method = ["--method", "bm25"] if scenario.ask == "search" else []
                return [hit["name"] for hit in self._run("search", scenario.argument, *method)["results"]]
            case "hover":
                return self._run("hover", self._at(scenario)).get("markdown", "")
        places = self._run(scenario.ask, self._at(scenario))
        return [shown(place["path"], place["line"] - 1, place["column"] - 1) for place in places]

    def _at(self, scenario: Scenario) -> str:
        return f"{self.root}/{shown(scenario.path, scenario.line, scenario.column)}"

    def _run(self, *arguments: str) -> Any:
        """The JSON that a command prints; an empty object where it finds nothing."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            main([*arguments, "--json", "--tree", str(self.root)])
        return json.loads(printed.getvalue() or "{}")


FRONT_ENDS: dict[str, type[FrontEnd]] = {"facade": Facade, "lsp": LanguageServer, "cli": CommandLine}
