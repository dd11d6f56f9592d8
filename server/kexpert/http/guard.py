"""What stands before every request: host, size, rate and token; and the headers and figures of every answer.

A web page of another site can make a browser send requests to the loopback, and can rebind its own name to it. So the
Host header must be one of ours, POSTs must be JSON (which other sites may not send unasked), and no answer allows
another origin to read it.
"""

from __future__ import annotations

import time
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kexpert.http.access import COOKIE, Tokens
from kexpert.http.contract import MAX_BODY_BYTES
from kexpert.http.metrics import Metrics
from kexpert.http.problems import Problem, problem_response
from kexpert.http.rate_limit import RateLimit

#: Where the handler of a request leaves its name for the figures.
ENDPOINT = "kexpert.endpoint"
_MAX_URL_BYTES = 8192
#: Where AI agents are answered; a patch may be large.
_AGENTS = "/mcp"
_MAX_AGENT_BODY_BYTES = 4 << 20
#: Answered under any host name, as a cluster asks for them by address; they say no more than a word.
_PROBES = ("/livez", "/readyz")
#: Answered without a token.
_OPEN_PATHS = ("/login", *_PROBES)
_OPEN_FOLDERS = ("/static/",)
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware. ``tokens``: None where nobody needs one."""

    def __init__(
        self, app: ASGIApp, host_names: tuple[str, ...], tokens: Tokens | None, rate: RateLimit, metrics: Metrics
    ) -> None:
        self._app = app
        self._host_names = frozenset(name.lower() for name in host_names)
        self._tokens = tokens
        self._rate = rate
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        scope[ENDPOINT] = ["other"]

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "private, no-cache")
            await send(message)

        try:
            refused = self._refusal(scope)
            if refused is not None:
                await refused(scope, receive, send_guarded)
            else:
                await self._app(scope, receive, send_guarded)
        finally:
            self._metrics.record(scope[ENDPOINT][0], status, time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that may not be asked; None for one that may."""
        headers = Headers(scope=scope)
        path: str = scope["path"]
        try:
            self._check(scope, headers)
        except Problem as problem:
            return problem_response(problem)
        if self._tokens is None or path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS):
            return self._limited(_address(scope))
        name = self._name(headers, self._tokens)
        if refused := self._limited(f"token {name}" if name is not None else _address(scope)):
            return refused
        if name is not None:
            return None
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse(f"/login?next={quote(_asked(scope), safe='')}", 303)
        challenge = {"WWW-Authenticate": 'Bearer realm="kexpert"'}
        return problem_response(Problem(401, "a token is needed: Authorization: Bearer TOKEN", challenge))

    def _check(self, scope: Scope, headers: Headers) -> None:
        if scope["path"] not in _PROBES and host_name(headers.get("host", "")) not in self._host_names:
            raise Problem(400, "this host name is not served here; --host-name NAME adds one", {"Connection": "close"})
        if len(scope["raw_path"]) + len(scope["query_string"]) > _MAX_URL_BYTES:
            raise Problem(414, f"the address has more than {_MAX_URL_BYTES} bytes", {"Connection": "close"})
        length = headers.get("content-length", "0")
        most = _MAX_AGENT_BODY_BYTES if scope["path"] == _AGENTS else MAX_BODY_BYTES
        if not length.isdecimal() or int(length[:18]) > most:
            raise Problem(413, f"the body has more than {most} bytes", {"Connection": "close"})

    def _limited(self, client: str) -> Response | None:
        seconds = self._rate.wait_seconds(client)
        if not seconds:
            return None
        return problem_response(Problem(429, f"too many requests; wait {seconds} s", {"Retry-After": str(seconds)}))

    def _name(self, headers: Headers, tokens: Tokens) -> str | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return tokens.name_of(token.strip())
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return None
        return tokens.name_of_cookie(cookies[COOKIE].value) if COOKIE in cookies else None


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def _address(scope: Scope) -> str:
    client: Any = scope.get("client")
    return str(client[0]) if client else "?"


def _asked(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    return quote(str(scope["path"])) + (f"?{query.decode('latin-1')}" if query else "")
