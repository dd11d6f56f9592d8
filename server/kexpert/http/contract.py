"""What an endpoint takes and gives, as data: arguments are checked by it and OpenAPI is written from it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from starlette.requests import Request

from kexpert.http.problems import Problem

Json: TypeAlias = dict[str, Any]
Arguments: TypeAlias = dict[str, Any]

#: How long an answer takes: "fast" never reads more than a few files, "slow" may read thousands, "model" waits for one.
Lane = Literal["fast", "slow", "model"]

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_BODY_BYTES = 64 << 10
_MAX_BODY_SECONDS = 15.0
_CLOSE = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument in the path, the query or the body. ``low`` and ``high`` bound an integer; a text has
    ``high`` characters at most and ``low`` at least."""

    name: str
    description: str
    kind: Literal["string", "integer", "boolean"] = "string"
    where: Literal["path", "query", "body"] = "query"
    default: str | int | bool | None = None
    required: bool = False
    low: int = 0
    high: int = 1000
    choices: tuple[str, ...] = ()
    example: str | int | None = None

    def schema(self) -> Json:
        """As JSON Schema."""
        found: Json = {"type": self.kind}
        if self.kind == "integer":
            found |= {"minimum": self.low, "maximum": self.high}
        elif self.choices:
            found["enum"] = list(self.choices)
        elif self.kind == "string":
            found |= {"minLength": self.low, "maxLength": self.high}
        if self.default is not None:
            found["default"] = self.default
        return found

    def from_text(self, text: str) -> Any:
        """The value of a path or query argument. Raises Problem."""
        if self.kind == "integer":
            if not _INTEGER.fullmatch(text):
                raise self._wrong(f"must be an integer, not {text[:40]!r}")
            return self._checked(int(text))
        if self.kind == "boolean":
            if text not in ("true", "false"):
                raise self._wrong(f"must be true or false, not {text[:40]!r}")
            return text == "true"
        return self._checked(text)

    def from_json(self, value: Any) -> Any:
        """The value of an entry of the body. Raises Problem."""
        wanted = {"string": str, "integer": int, "boolean": bool}[self.kind]
        if self.kind == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)  # in JSON Schema 5.0 is an integer
        if type(value) is not wanted:
            raise self._wrong(f"must be of type {self.kind}")
        return self._checked(value)

    def _checked(self, value: Any) -> Any:
        if self.kind == "integer" and not self.low <= value <= self.high:
            raise self._wrong(f"must be {self.low} to {self.high}, not {value}")
        if self.kind == "string":
            if self.choices and value not in self.choices:
                raise self._wrong(f"must be one of {', '.join(self.choices)}")
            if not self.choices and not self.low <= len(value) <= self.high:
                raise self._wrong(f"must have {self.low} to {self.high} characters, not {len(value)}")
            if _SURROGATE.search(value):
                raise self._wrong("is not valid Unicode")
        return value

    def _wrong(self, what: str) -> Problem:
        return Problem(400, f"{self.name} {what}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the API below ``/v1``. ``answer`` names a schema; ``handler`` answers a checked request."""

    path: str
    summary: str
    answer: str
    handler: Callable[..., Any]
    method: Literal["GET", "POST"] = "GET"
    lane: Lane = "fast"
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    #: Problems beside those that any request may have, with what they mean.
    problems: Mapping[int, str] | None = None
    #: Also without ``/v1``.
    is_short: bool = False
    media_types: tuple[str, ...] = ("application/json",)
    tag: str = "code"

    @property
    def name(self) -> str:
        """For OpenAPI and metrics: ``definition``, ``symbols_name``."""
        return re.sub(r"\W+", "_", self.path).strip("_")

    @property
    def takes_body(self) -> bool:
        return any(parameter.where == "body" for parameter in self.parameters)


async def arguments_of(endpoint: Endpoint, request: Request) -> Arguments:
    """The checked arguments of a request, defaults filled in. Raises Problem."""
    body: Json = {}
    if endpoint.takes_body:
        try:
            async with asyncio.timeout(_MAX_BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            raise Problem(408, f"the body did not come within {_MAX_BODY_SECONDS:.0f} s", _CLOSE) from None
    found: Arguments = {}
    for parameter in endpoint.parameters:
        if parameter.where == "body":
            given = [parameter.from_json(body[parameter.name])] if parameter.name in body else []
        elif parameter.where == "path":
            given = [parameter.from_text(request.path_params[parameter.name])]
        else:
            texts = request.query_params.getlist(parameter.name)
            if len(texts) > 1:
                raise Problem(400, f"{parameter.name} is given {len(texts)} times")
            given = [parameter.from_text(text) for text in texts]
        if not given and parameter.required:
            raise Problem(400, f"{parameter.name} is missing")
        found[parameter.name] = given[0] if given else parameter.default
    return found


async def _body(request: Request) -> Json:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "the body must be application/json")
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise Problem(413, f"the body has more than {MAX_BODY_BYTES} bytes", _CLOSE)
        pieces.append(piece)
    try:
        value = json.loads(b"".join(pieces))
    except (ValueError, RecursionError):
        raise Problem(400, "the body is no JSON") from None
    if not isinstance(value, dict):
        raise Problem(400, "the body must be a JSON object")
    return value
