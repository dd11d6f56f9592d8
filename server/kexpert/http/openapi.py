"""The OpenAPI 3.1 document, written from the table of endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from kexpert import __version__
from kexpert.http.contract import MAX_BODY_BYTES, Endpoint, Json
from kexpert.http.problems import PROBLEM_TYPE
from kexpert.http.schemas import SCHEMAS

#: Bodies that are not the endpoint's answer itself.
_MEDIA: dict[str, Json] = {
    "text/plain": {"type": "string"},
    "text/event-stream": {
        "type": "object",
        "required": ["event", "data"],
        "properties": {"event": {"type": "string"}, "data": {"type": "string", "contentMediaType": "application/json"}},
    },
}
_ANY_REQUEST = {
    400: "The request or its Host header is wrong.",
    401: "A token is needed: `Authorization: Bearer …`.",
    414: "The address is too long.",
    429: "Too many requests; Retry-After says when to ask again.",
    503: "Too many questions at once, or the answer took too long.",
}


def openapi(endpoints: Sequence[Endpoint], needs_token: bool) -> Json:
    paths: dict[str, Json] = {}
    for endpoint in endpoints:
        for prefix in ("/v1", "") if endpoint.is_short else ("/v1",):
            operation = _operation(endpoint)
            if not prefix:
                operation |= {"operationId": f"short_{operation['operationId']}", "summary": f"As /v1{endpoint.path}"}
            paths.setdefault(prefix + endpoint.path, {})[endpoint.method.lower()] = operation
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "kexpert",
            "version": __version__,
            "description": (
                "What kexpert knows of one Linux kernel tree. Read-only. Paths are relative to the tree, lines and "
                "columns count from 1, columns count characters."
            ),
            "license": {"name": "GPL-2.0-or-later", "identifier": "GPL-2.0-or-later"},
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }
    if needs_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _operation(endpoint: Endpoint) -> Json:
    operation: Json = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "responses": _responses(endpoint),
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    outside = [parameter for parameter in endpoint.parameters if parameter.where != "body"]
    if outside:
        operation["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.where,
                "description": parameter.description,
                "required": parameter.required or parameter.where == "path",
                "schema": parameter.schema(),
                **({} if parameter.example is None else {"example": parameter.example}),
            }
            for parameter in outside
        ]
    if endpoint.takes_body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _body_schema(endpoint)}},
        }
    return operation


def _body_schema(endpoint: Endpoint) -> Json:
    inside = [parameter for parameter in endpoint.parameters if parameter.where == "body"]
    return {
        "type": "object",
        "required": [parameter.name for parameter in inside if parameter.required],
        "properties": {
            parameter.name: {**parameter.schema(), "description": parameter.description} for parameter in inside
        },
    }


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    problems = {**_ANY_REQUEST, **(endpoint.problems or {})}
    if endpoint.takes_body:
        problems |= {408: "The body did not come in time."}
        problems |= {413: f"The body has more than {MAX_BODY_BYTES} bytes.", 415: "The body is no application/json."}
    schema = {"$ref": f"#/components/schemas/{endpoint.answer}"}
    content = {media: {"schema": _MEDIA.get(media, schema)} for media in endpoint.media_types}
    found: dict[str, Any] = {"200": {"description": endpoint.summary, "content": content}}
    for status, text in sorted(problems.items()):
        found[str(status)] = {
            "description": text or HTTPStatus(status).phrase,
            "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found
