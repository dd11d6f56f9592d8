"""What went wrong with a request, as ``application/problem+json`` (RFC 9457) for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

PROBLEM_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that gets no answer; ``detail`` is one line for the person who asked."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def problem_response(problem: Problem) -> Response:
    body = {"title": HTTPStatus(problem.status).phrase, "status": problem.status, "detail": problem.detail}
    return Response(json.dumps(body), problem.status, problem.headers, PROBLEM_TYPE)
