"""The ASGI application: routes from the table of endpoints, the pages, streams, and what runs beside them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from kexpert.http.access import Tokens
from kexpert.http.api import ask
from kexpert.http.contract import Endpoint, arguments_of
from kexpert.http.endpoints import ENDPOINTS, STREAMED
from kexpert.http.events import EVENT_STREAM, IndexEvents, event, with_keep_alive
from kexpert.http.guard import ENDPOINT, Guard
from kexpert.http.metrics import CONTENT_TYPE, Metrics
from kexpert.http.openapi import openapi
from kexpert.http.options import WebOptions
from kexpert.http.pages.routes import Pages
from kexpert.http.problems import Problem, problem_response
from kexpert.http.rate_limit import RateLimit
from kexpert.http.runner import Runner
from kexpert.workspace.collector import collect_between_questions
from kexpert.workspace.served_tree import ServedTree

#: What answers AI agents about a tree; None if it cannot be had. Its routes and its lifespan are taken over.
Agents = Callable[[ServedTree, WebOptions], Starlette | None]

_STATIC = Path(__file__).with_name("static")
_SAVE_SECONDS = 1.0
#: Of the interpreter's lock: a question must not wait long for another one that computes.
_SWITCH_SECONDS = 0.002


class Web:
    """One process that serves one tree."""

    def __init__(
        self, options: WebOptions, tree: ServedTree, tokens: Tokens | None, agents: Starlette | None = None
    ) -> None:
        self.options = options
        self.tree = tree
        self.tokens = tokens
        self.agents = agents
        self.runner = Runner()
        self.metrics = Metrics(Path(options.metrics_folder) if options.metrics_folder else None)
        self.events = IndexEvents(self._look, self.metrics)

    def application(self) -> ASGIApp:
        inner = Starlette(
            routes=self._routes(),
            lifespan=self._lifespan,
            exception_handlers={
                Problem: _on_problem, HTTPException: _on_http_error, ClientDisconnect: _on_disconnect,
                Exception: _on_defect,
            },
        )  # fmt: skip
        # outermost: the guard, so that also what the rest refuses has its headers
        compressed = GZipMiddleware(inner, minimum_size=1500, compresslevel=5)
        return Guard(compressed, self.options.host_names, self.tokens, RateLimit(self.options.rate), self.metrics)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        sys.setswitchinterval(_SWITCH_SECONDS)
        await asyncio.to_thread(self.tree.start)
        collect_between_questions()
        saving = asyncio.create_task(self._save_metrics())
        try:
            async with AsyncExitStack() as stack:
                if self.agents is not None:
                    await stack.enter_async_context(self.agents.router.lifespan_context(self.agents))
                yield
        finally:
            saving.cancel()
            self.events.close()
            self.runner.close()
            self.metrics.save()
            await asyncio.to_thread(self.tree.close)

    async def _save_metrics(self) -> None:
        while True:
            self.metrics.save()
            await asyncio.sleep(_SAVE_SECONDS)

    def _routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = []
        for endpoint in ENDPOINTS:
            answer = self._query(endpoint) if EVENT_STREAM in endpoint.media_types else self._json(endpoint)
            routes += _paths(endpoint, answer)
        events, metrics = STREAMED
        routes += _paths(events, self._events)
        routes += _paths(metrics, self._metrics_text)
        document = json.dumps(openapi((*ENDPOINTS, *STREAMED), self.tokens is not None))
        for path in ("/openapi.json", "/v1/openapi.json"):
            routes.append(Route(path, _named("openapi", _constant(document, "application/json"))))
        routes.append(Route("/livez", _named("livez", _alive)))
        routes.append(Route("/readyz", _named("readyz", self._ready)))
        routes.append(Mount("/static", StaticFiles(directory=_STATIC)))
        routes += self.agents.routes if self.agents is not None else []
        return routes + Pages(self.tree, self.runner, self.tokens).routes()

    def _json(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            arguments = await arguments_of(endpoint, request)
            found = await self.runner.run(
                endpoint.lane, lambda cancelled: as_json(endpoint.handler(self.tree, arguments, cancelled)), request
            )
            return Response(found, media_type="application/json")

        return answer

    def _query(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            arguments = await arguments_of(endpoint, request)
            accept = request.headers.get("accept", "")
            if "application/json" in accept and EVENT_STREAM not in accept:
                found = await self.runner.run(
                    "model", lambda cancelled: as_json(ask.answer(self.tree, arguments, cancelled)), request
                )
                return Response(found, media_type="application/json")
            return StreamingResponse(self._answer_events(arguments), media_type=EVENT_STREAM)

        return answer

    async def _answer_events(self, arguments: dict[str, Any]) -> AsyncIterator[bytes]:
        self.metrics.open_streams += 1
        try:
            found, may_grow = await self.runner.run("slow", lambda _: ask.sources(self.tree, arguments))
            yield event("sources", found)
            if may_grow:
                async for piece in with_keep_alive(self._model_answer(arguments)):
                    yield piece
            else:
                yield event("answer", found)
            yield event("done", {})
        except Problem as problem:
            yield event("problem", {"status": problem.status, "detail": problem.detail})
        finally:
            self.metrics.open_streams -= 1

    async def _model_answer(self, arguments: dict[str, Any]) -> bytes:
        found = await self.runner.run("model", lambda cancelled: ask.answer(self.tree, arguments, cancelled))
        return event("answer", found)

    async def _look(self) -> dict[str, object]:
        exists, complete = await self.runner.run("fast", lambda _: self.tree.state())
        return {"index": "ready" if complete else "indexing" if exists else "missing"}

    async def _events(self, request: Request) -> Response:
        self.events.check_room()
        return StreamingResponse(self.events.stream(), media_type=EVENT_STREAM)

    async def _metrics_text(self, request: Request) -> Response:
        status = await self.runner.run("fast", lambda _: self.tree.status())
        text = self.metrics.text(
            [
                ("kexpert_index_files", "Files in the index.", status.files or 0),
                ("kexpert_index_symbols", "Symbols in the index.", status.symbols or 0),
                ("kexpert_index_complete", "1 if the whole tree is indexed.", float(status.index == "ready")),
            ]
        )
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    async def _ready(self, request: Request) -> Response:
        exists, _ = await self.runner.run("fast", lambda _: self.tree.state())
        return PlainTextResponse("ready\n" if exists else "no index yet\n", 200 if exists else 503)


def as_json(value: Any) -> bytes:
    """JSON as UTF-8; what of a file's text is not Unicode becomes ``?``."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _paths(endpoint: Endpoint, answer: Callable[[Request], Awaitable[Response]]) -> Iterable[Route]:
    named = _named(endpoint.name, answer)
    path = endpoint.path.replace("{path}", "{path:path}")
    for prefix in ("/v1", "") if endpoint.is_short else ("/v1",):
        yield Route(prefix + path, named, methods=[endpoint.method])


def _named(name: str, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Leave the endpoint's name for the figures."""

    async def named(request: Request) -> Response:
        request.scope[ENDPOINT][0] = name
        return await answer(request)

    return named


def _constant(text: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return Response(text, media_type=media_type)

    return answer


async def _alive(request: Request) -> Response:
    return PlainTextResponse("alive\n")


async def _on_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem_response(problem)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem_response(Problem(error.status_code, error.detail, error.headers))


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _on_defect(request: Request, error: Exception) -> Response:
    """Starlette logs the error; its text may hold paths, so nobody else is told."""
    return problem_response(Problem(500, "kexpert failed to answer; the server's log says why"))


def application(options: WebOptions, agents: Agents = lambda tree, options: None) -> ASGIApp:
    """Raises NotFound for a tree that is none, TokenFileError for tokens that cannot be used."""
    tokens = Tokens.read(Path(options.token_file)) if options.token_file else None
    tree = ServedTree(
        Path(options.tree), _say, writes=not options.read_only, use_model=options.use_model
    )
    return Web(options, tree, tokens, agents(tree, options)).application()


def worker_application(agents: Agents = lambda tree, options: None) -> ASGIApp:
    """For uvicorn's worker processes."""
    return application(WebOptions.from_environment(), agents)


def _say(message: str) -> None:
    print("kexpert:", " ".join(message.split()), file=sys.stderr, flush=True)
