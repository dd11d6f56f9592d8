"""The table of endpoints: routing, checks and OpenAPI are made from it."""

from __future__ import annotations

from dataclasses import replace

from kexpert.http.api import ask, files, find, lookup
from kexpert.http.contract import Endpoint, Parameter
from kexpert.http.events import EVENT_STREAM
from kexpert.http.metrics import CONTENT_TYPE as METRICS_TYPE

_PATH = Parameter("path", "A file of the tree.", required=True, low=1, high=1000, example="fs/open.c")
_LINE = Parameter("line", "Line, from 1.", "integer", required=True, low=1, high=10_000_000, example=100)
_COLUMN = Parameter("column", "Character of the line, from 1.", "integer", default=1, low=1, high=100_000, example=5)
_PLACE = (_PATH, _LINE, _COLUMN)
_LIMIT = Parameter("limit", "Most entries of the answer.", "integer", default=100, low=1, high=1000)
_FEW = replace(_LIMIT, default=20, high=100)
_NO_FILE = {404: "There is no such file."}
_WHERE = "The name at a place of a file: "

_QUESTION = Parameter(
    "question", "A question in English about the tree.", where="body", required=True, low=1, high=1000,
    example="which lock does vfs_rename take?",
)  # fmt: skip

ENDPOINTS = (
    Endpoint(
        "/query", "Answer a question with cited sources", "Answer", ask.answer, "POST", "model", (
            _QUESTION,
            Parameter("top_k", "Most sources.", "integer", "body", default=6, low=1, high=6),
            Parameter("max_tokens", "Most tokens that a model may write.", "integer", "body", default=400, low=16,
                      high=1000),
        ),
        "As events (`sources`, `answer`, `done`; `problem` if no answer comes) unless the Accept header asks for "
        "`application/json`. `[n]` in the answer is the n-th citation. What a model wrote says so in `origin`.",
        is_short=True, media_types=("application/json", EVENT_STREAM), tag="search",
    ),
    Endpoint(
        "/search", "Find code by name, by what it does, or files by path", "SearchResults", find.search, lane="slow",
        parameters=(
            Parameter("q", "A name, or words; `path:DIR`, `kind:struct`, `subsystem:NAME`, `config:SYMBOL` narrow it.",
                      required=True, low=1, high=500, example="kmalloc"),
            Parameter("mode", "One word by name, words by meaning, unless told.", default="auto",
                      choices=("auto", "name", "meaning")),
            _FEW,
        ),
        tag="search",
    ),
    Endpoint(
        "/symbols/{name}", "Every definition of a name, with its conditions and its card", "SymbolPage", find.symbol,
        parameters=(Parameter("name", "Exactly this name.", where="path", low=1, high=200, required=True,
                              example="vfs_open"),),
        problems={404: "Nothing is called that."}, tag="search",
    ),
    Endpoint("/hover", _WHERE + "its card", "Hover", lookup.hover, parameters=_PLACE, problems=_NO_FILE),
    Endpoint(
        "/definition", _WHERE + "where it is defined", "Places", lookup.definition, parameters=_PLACE,
        problems=_NO_FILE,
    ),
    Endpoint(
        "/declaration", _WHERE + "where it is declared", "Places", lookup.declaration, parameters=_PLACE,
        problems=_NO_FILE,
    ),
    Endpoint(
        "/type-definition", _WHERE + "where its type is defined", "Places", lookup.type_definition,
        parameters=_PLACE, problems=_NO_FILE,
    ),
    Endpoint(
        "/implementation", _WHERE + "the functions that a member of an ops table stands for", "Places",
        lookup.implementation, lane="slow", parameters=(*_PLACE, _LIMIT), problems=_NO_FILE,
    ),
    Endpoint(
        "/references", _WHERE + "its uses in the whole tree", "Places", lookup.references, lane="slow",
        parameters=(*_PLACE, _LIMIT), problems=_NO_FILE,
    ),
    Endpoint(
        "/callers", _WHERE + "the functions that call it", "Calls", lookup.callers, lane="slow",
        parameters=(*_PLACE, _LIMIT), problems=_NO_FILE,
    ),
    Endpoint(
        "/callees", _WHERE + "the functions that it calls", "Calls", lookup.callees, lane="slow",
        parameters=(*_PLACE, _LIMIT), problems=_NO_FILE,
    ),
    Endpoint(
        "/explain", "What a function does, how to call it and who uses it", "Explanation", lookup.explain,
        lane="model", parameters=(
            *_PLACE,
            Parameter("model", "Wait for what the chat model adds.", "boolean", default=False),
        ),
        problems={404: "There is no such file, or no function or macro."},
    ),
    Endpoint(
        "/outline", "The symbols of a file, in order", "Outline", lookup.outline,
        parameters=(_PATH, replace(_LIMIT, default=1000, high=5000)), problems=_NO_FILE,
    ),
    Endpoint(
        "/source/{path}", "The text of a file, or the entries of a folder", "Source", files.source,
        parameters=(
            replace(_PATH, where="path", low=0),
            Parameter("start", "First line, from 1.", "integer", default=1, low=1, high=10_000_000),
            Parameter("end", f"Last line; {files.MAX_LINES} lines at most are sent.", "integer", low=1,
                      high=10_000_000),
        ),
        problems=_NO_FILE,
    ),
    Endpoint(
        "/documents", "What is indexed, by path", "Documents", files.documents,
        parameters=(
            replace(_LIMIT, high=1000),
            Parameter("after", "`next` of the page before.", default="", high=1000),
            Parameter("under", "The beginning of the paths, as `net/`.", default="", high=1000),
        ),
        is_short=True, tag="server",
    ),
    Endpoint(
        "/health", "Index, models and versions", "Health", files.health, is_short=True, tag="server",
        description="Status 200 also while the first indexing runs; `/readyz` says 503 where there is no index.",
    ),
)  # fmt: skip

#: Answered by ``app`` itself; here for OpenAPI.
STREAMED = (
    Endpoint(
        "/events", "The state of the index now, and when it changes", "Text", files.health,
        media_types=(EVENT_STREAM,), tag="server",
    ),
    Endpoint(
        "/metrics", "Figures for Prometheus", "Text", files.health, media_types=(METRICS_TYPE.partition(";")[0],),
        is_short=True, tag="server",
    ),
)
