"""A client that shows no Markdown gets plain text, and is told so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.lsp_client import Client

PLAIN = {
    "textDocument": {
        "hover": {"contentFormat": ["plaintext"]},
        "completion": {"completionItem": {"documentationFormat": ["plaintext"]}},
        "signatureHelp": {"signatureInformation": {"documentationFormat": ["plaintext"]}},
    }
}
URI = "file:///elsewhere/spin.c"
TEXT = """\
/**
 * spin_up() - turn a &struct widget
 * @w: the widget, not %NULL
 *
 * It is **never** stopped.
 */
int spin_up(struct widget *w)
{
	return 0;
}

int f(struct widget *w)
{
	return spin_up(w);
}
"""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client() as client:
        client.initialize(**PLAIN)
        client.open(URI, TEXT)
        yield client


def position_after(text: str) -> dict[str, int]:
    before = TEXT[: TEXT.rindex(text) + len(text)].split("\n")
    return {"line": len(before) - 1, "character": len(before[-1])}


def check_plain(markup: dict[str, Any]) -> None:
    assert markup["kind"] == "plaintext"
    for mark in ("`", "**", "---", "\\", "&", "%"):
        assert mark not in markup["value"]


def test_hover(client: Client) -> None:
    found = client.at("hover", URI, position_after("return spin"))
    check_plain(found["contents"])
    first, place, words, *_ = found["contents"]["value"].split("\n\n")
    assert first == "int spin_up(struct widget *w)"
    assert "Defined in" in place and "1 caller" in place
    assert words == "turn a struct widget"
    assert "- w: the widget, not NULL\n\nIt is never stopped." in found["contents"]["value"]


def test_documentation_of_a_completion(client: Client) -> None:
    found = client.at("completion", URI, position_after("return spin_u"), context={"triggerKind": 1})
    [item] = [item for item in found["items"] if item["label"] == "spin_up"]
    resolved = client.request("completionItem/resolve", item)
    check_plain(resolved["documentation"])
    assert "turn a struct widget" in resolved["documentation"]["value"]


def test_signature_help(client: Client) -> None:
    [signature] = client.at("signatureHelp", URI, position_after("return spin_up("))["signatures"]
    assert signature["documentation"] == {"kind": "plaintext", "value": "turn a struct widget"}
    assert signature["parameters"][0]["documentation"] == {"kind": "plaintext", "value": "the widget, not NULL"}
