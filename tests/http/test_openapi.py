"""The OpenAPI document is right, and nothing that it allows or forbids makes the server fail."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from unittest import SkipTest

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from kexpert.http.contract import Endpoint
from kexpert.http.endpoints import ENDPOINTS, STREAMED

load_all_checks()

#: Those that this API does not promise: it ignores query parameters that it does not know, and 405 is HTTP's business.
_LEFT_OUT = ("negative_data_rejection", "unsupported_method", "missing_required_header")


@pytest.fixture(scope="module")
def api(address: str) -> Any:
    return schemathesis.openapi.from_url(f"{address}/v1/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("endpoint", [*ENDPOINTS, STREAMED[1]], ids=lambda endpoint: endpoint.name)
def test_nothing_that_may_be_asked_makes_the_server_fail(api: Any, endpoint: Endpoint, mode: GenerationMode) -> None:
    operation = api[f"/v1{endpoint.path}"][endpoint.method]
    left_out = [check for check in CHECKS.get_all() if check.__name__ in _LEFT_OUT]

    @settings(
        max_examples=20, deadline=None, derandomize=True, database=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(timeout=60, excluded_checks=left_out)

    with contextlib.suppress(SkipTest, Unsatisfiable):  # an endpoint without arguments cannot be given wrong ones
        ask()


def test_the_document_is_openapi_and_its_examples_are_answered(web: httpx.Client) -> None:
    document = web.get("/v1/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    for name, shape in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(shape)
        assert json.dumps(shape).count("#/components/schemas/") == sum(
            json.dumps(shape).count(f'"#/components/schemas/{other}"') for other in document["components"]["schemas"]
        ), f"{name} refers to what is not there"
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    wanted = {"/query", "/health", "/documents", "/metrics", "/v1/query", "/v1/health", "/v1/documents", "/v1/search",
              "/v1/symbols/{name}", "/v1/source/{path}", "/v1/metrics", "/v1/hover", "/v1/definition"}  # fmt: skip
    assert wanted <= set(document["paths"])


def test_each_endpoint_is_on_the_page_for_people(web: httpx.Client) -> None:
    html = web.get("/docs").text
    for path in web.get("/v1/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in html
