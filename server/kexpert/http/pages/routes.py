"""Addresses of the pages, and what they share: errors as pages, login, the thread that makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from kexpert.http.access import COOKIE, Tokens, session_cookie
from kexpert.http.contract import MAX_BODY_BYTES
from kexpert.http.endpoints import ENDPOINTS, STREAMED
from kexpert.http.guard import ENDPOINT
from kexpert.http.pages import ask, docs, home, search, source, symbol
from kexpert.http.pages.layout import page
from kexpert.http.problems import Problem
from kexpert.http.runner import Runner
from kexpert.workspace.served_tree import ServedTree

_COOKIE_SECONDS = 30 * 24 * 3600
_MAX_QUERY_CHARS = 500
_MAX_BODY_SECONDS = 15.0


class Pages:
    def __init__(self, tree: ServedTree, runner: Runner, tokens: Tokens | None) -> None:
        self._tree = tree
        self._runner = runner
        self._tokens = tokens
        self._sources = source.SourcePages(tree)

    def routes(self) -> list[Route]:
        return [
            Route("/", self._page("home", lambda request: home.body(self._tree), kind="home")),
            Route("/source/{path:path}", self._source),
            Route("/symbol/{name:path}", self._page("symbol", self._symbol, kind="symbol")),
            Route("/search", self._page("search", self._search, kind="found")),
            Route("/ask", self._page("ask", self._ask, kind="ask")),
            Route("/docs", self._page("docs", lambda request: docs.body((*ENDPOINTS, *STREAMED)), kind="docs")),
            Route("/login", self._login, methods=["GET"]),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/{path:path}", self._nothing),
        ]

    def _page(
        self, name: str, body: Callable[[Request], tuple[str, str]], kind: str
    ) -> Callable[[Request], Awaitable[Response]]:
        """A page whose ``body(request)`` gives (title, HTML) on a thread. A Problem becomes a page too."""

        async def answer(request: Request) -> Response:
            request.scope[ENDPOINT][0] = f"page_{name}"
            query = request.query_params.get("q", "")[:_MAX_QUERY_CHARS]
            try:
                title, html = await self._runner.run("slow", lambda _: body(request), request)
            except Problem as problem:
                return self._problem(problem, query)
            return HTMLResponse(page(title, html, self._tree.title, query, kind).encode("utf-8", "replace"))

        return answer

    def _problem(self, problem: Problem, query: str = "") -> Response:
        body = f'<div class="nothing"><h1>{problem.status}</h1><p>{escape(problem.detail)}</p></div>'
        html = page(str(problem.status), body, self._tree.title, query, "problem")
        return HTMLResponse(html.encode("utf-8", "replace"), problem.status, problem.headers)

    async def _source(self, request: Request) -> Response:
        request.scope[ENDPOINT][0] = "page_source"
        path: str = request.path_params["path"]
        first = request.query_params.get("from", "1")
        number = int(first) if first.isascii() and first.isdecimal() and len(first) < 9 else 1
        try:
            found = await self._runner.run("fast", lambda _: self._sources.page(path, number))
        except Problem as problem:
            return self._problem(problem)
        if isinstance(found, str):
            return RedirectResponse(found, 308)
        tag, html = found
        headers = {"ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(html, headers=headers)

    def _symbol(self, request: Request) -> tuple[str, str]:
        return symbol.body(self._tree, request.path_params["name"])

    def _search(self, request: Request) -> tuple[str, str]:
        return search.body(self._tree, request.query_params.get("q", "")[:_MAX_QUERY_CHARS])

    def _ask(self, request: Request) -> tuple[str, str]:
        return ask.body(self._tree, request.query_params.get("question", "")[:1000])

    async def _nothing(self, request: Request) -> Response:
        request.scope[ENDPOINT][0] = "nothing"
        problem = Problem(404, "there is no such page")
        if "text/html" in request.headers.get("accept", ""):
            return self._problem(problem)
        raise problem

    # -- login ----------------------------------------------------------------------------------

    async def _login(self, request: Request) -> Response:
        return self._login_page(request.query_params.get("next", "/"), "")

    def _login_page(self, asked: str, trouble: str) -> Response:
        body = f"""<form class="login" method="post" action="/login"><h1>Who asks?</h1>
<p>This server answers people who have a token. Its owner can give you one.</p>
<input type="hidden" name="next" value="{escape(_local(asked))}">
<label>Token <input type="password" name="token" required autocomplete="current-password"></label>
<button>Enter</button><p class="trouble" role="alert">{escape(trouble)}</p></form>"""
        return HTMLResponse(page("Login", body, "kexpert", kind="login"), 403 if trouble else 200)

    async def _log_in(self, request: Request) -> Response:
        """A token in the body becomes a cookie that no script reads and no other site sends."""
        data = b""
        try:
            async with asyncio.timeout(_MAX_BODY_SECONDS):
                async for piece in request.stream():
                    data += piece
                    if len(data) > MAX_BODY_BYTES:
                        raise Problem(413, "the body is too large")
        except TimeoutError:
            raise Problem(408, "the body did not come in time", {"Connection": "close"}) from None
        given = parse_qs(data.decode("utf-8", "replace"), max_num_fields=8)
        token, asked = given.get("token", [""])[0].strip(), given.get("next", ["/"])[0]
        if self._tokens is not None and self._tokens.name_of(token) is None:
            return self._login_page(asked, "That is no token of this server.")
        answer = RedirectResponse(_local(asked), 303)
        if self._tokens is not None:
            secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
            answer.set_cookie(
                COOKIE, session_cookie(token), _COOKIE_SECONDS, httponly=True, samesite="strict", secure=secure
            )
        return answer


def _local(address: str) -> str:
    """An address of this server; any other becomes the start page."""
    is_local = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_local and "\\" not in address else "/"
