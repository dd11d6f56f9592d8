"""The API over a real server: what a program asks and gets."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

CORE = "drivers/toy/core.c"
WIND = {"path": CORE, "line": 14, "column": 5}


def answer(web: httpx.Client, endpoint: str, **parameters: Any) -> Any:
    found = web.get(f"/v1{endpoint}", params=parameters)
    assert found.status_code == 200, found.text
    return found.json()


def problem(found: httpx.Response, status: int) -> str:
    """The line for the person who asked."""
    assert found.status_code == status
    assert found.headers["content-type"] == "application/problem+json"
    assert found.json()["status"] == status
    return str(found.json()["detail"])


def test_hover_gives_the_card_as_data_and_as_text(web: httpx.Client) -> None:
    card = answer(web, "/hover", **WIND)["card"]
    assert card["name"] == "toy_wind" and card["what"] == "function"
    assert card["place"] == {"path": CORE, "line": 14, "what": "", "conditions": ["CONFIG_TOY"]}
    assert card["callers"] == 2 and "wind a toy up" in card["markdown"]
    assert '<a href="/source/drivers/toy/core.c#L14">' in card["html"]


def test_nothing_to_hover_over_is_no_error(web: httpx.Client) -> None:
    assert answer(web, "/hover", path=CORE, line=3)["card"] is None


def test_definition_and_references(web: httpx.Client) -> None:
    use = {"path": "drivers/toy/user.c", "line": 6, "column": 12}
    assert answer(web, "/definition", **use)["places"][0] == {
        "path": CORE, "line": 14, "column": 5, "text": "int toy_wind(struct toy *toy, unsigned int turns)",
    }  # fmt: skip
    found = answer(web, "/references", **use, limit=2)
    assert found["total"] > len(found["places"]) == 2
    assert found["places"][0]["path"] == "drivers/toy/user.c", "uses in the same file come first"


def test_columns_count_characters_where_bytes_are_not_utf_8(web: httpx.Client) -> None:
    assert answer(web, "/hover", path="drivers/toy/latin.c", line=1, column=16)["card"]["name"] == "cafe_toy"


def test_callers_name_the_function_and_the_line(web: httpx.Client) -> None:
    found = answer(web, "/callers", **WIND)
    calls = {call["symbol"]["name"]: [place["line"] for place in call["places"]] for call in found["calls"]}
    assert calls == {"car_wind": [6], "car_play": [15, 15]}
    callees = answer(web, "/callees", path="drivers/toy/user.c", line=13, column=5)
    assert [call["symbol"]["name"] for call in callees["calls"]] == ["toy_wind"]


def test_a_callback_is_named_where_it_is_passed_on(web: httpx.Client) -> None:
    found = answer(web, "/callers", path="drivers/toy/alarm.c", line=1, column=13)
    assert (found["name"], found["total"], found["calls"]) == ("ring", 0, [])
    assert found["passed_on"] == [
        {"path": "drivers/toy/alarm.c", "line": 6, "column": 13, "text": "call_later(ring);"}
    ]  # fmt: skip


def test_implementations_of_a_member(web: httpx.Client) -> None:
    found = answer(web, "/implementation", path="include/linux/toy.h", line=13, column=9)
    assert [place["text"] for place in found["places"]] == ["static int car_wind(struct toy *toy, unsigned int turns)"]


def test_a_name_is_given_with_each_variant_and_its_conditions(web: httpx.Client) -> None:
    found = answer(web, "/symbols/spin_toy")
    conditions = {symbol["path"]: symbol["conditions"] for symbol in found["symbols"]}
    assert conditions == {"arch/x86/toy.c": ["arch x86", "CONFIG_SMP"], "arch/arm64/toy.c": ["arch arm64"]}
    assert problem(web.get("/v1/symbols/no_such_name"), 404) == "nothing in the index is called no_such_name"


def test_a_word_is_searched_by_name_and_words_by_meaning(web: httpx.Client) -> None:
    by_name = answer(web, "/search", q="toy_win")
    assert by_name["mode"] == "name" and by_name["results"][0]["name"] == "toy_wind"
    by_meaning = answer(web, "/search", q="wind a toy up")
    assert by_meaning["mode"] == "meaning" and by_meaning["results"][0]["name"] == "toy_wind"
    assert answer(web, "/search", q="toy/user")["files"] == ["drivers/toy/user.c"]
    assert "kind:nonsense is none of" in problem(web.get("/v1/search", params={"q": "wind kind:nonsense it"}), 400)


def test_explanation_is_a_page_with_links(web: httpx.Client) -> None:
    found = answer(web, "/explain", **WIND)
    assert found["name"] == "toy_wind" and found["steps"]
    assert "/source/drivers/toy/core.c#L" in found["html"]
    assert "no function" in problem(web.get("/v1/explain", params={"path": "MAINTAINERS", "line": 1}), 404)


def test_source_gives_lines_and_folders(web: httpx.Client) -> None:
    found = answer(web, f"/source/{CORE}", start=14, end=15)
    assert found["text"] == "int toy_wind(struct toy *toy, unsigned int turns)\n{" and found["lines"] == 23
    names = {entry["name"]: entry["folder"] for entry in answer(web, "/source/drivers")["entries"]}
    assert names == {"toy": True}
    assert answer(web, "/source/")["folder"] is True
    assert answer(web, "/source/drivers/toy/latin.c")["text"].startswith("/* café */")


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "drivers/../../secret.txt", "drivers/toy/outside.c", ".git/config", "drivers/toy/.git/x",
     "/etc/passwd", "%2e%2e/secret.txt", "drivers/toy/core.c%00", "drivers/toy/data.bin", "nothing.c"],
)  # fmt: skip
def test_what_lies_outside_the_tree_is_not_shown(web: httpx.Client, path: str) -> None:
    for found in (
        web.get(f"/v1/source/{path}"),
        web.get("/v1/source/x".replace("x", path.replace("/", "%2F"))),
        web.get(f"/source/{path}"),
        web.get("/v1/hover", params={"path": path.replace("%2e", ".").replace("%00", "\0"), "line": 1}),
    ):
        assert found.status_code in (200, 404) and "secret" not in found.text.replace("secret.txt", "")
        if found.status_code == 200:  # a binary file has no names
            assert path.endswith("data.bin") and found.json() == {"card": None}


def test_documents_are_paged_to_the_end(web: httpx.Client) -> None:
    seen: list[str] = []
    after = ""
    while after is not None:
        page = answer(web, "/documents", limit=3, after=after)
        assert 0 < len(page["documents"]) <= 3
        seen += [document["path"] for document in page["documents"]]
        after = page["next"]
    assert seen == sorted(set(seen)) and len(seen) == page["total"] and CORE in seen
    under = answer(web, "/documents", under="arch/")["documents"]
    assert [document["path"] for document in under] == ["arch/arm64/toy.c", "arch/x86/toy.c"]


def test_health_says_what_is_there(web: httpx.Client) -> None:
    found = answer(web, "/health")
    assert found["status"] == "ready" and found["index"]["complete"] is True
    assert found["model"] == {"chat": None, "reason": "turned off for this server"}
    assert web.get("/readyz").status_code == 200 and web.get("/livez").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/documents?limit=1", "/metrics"])
def test_short_spellings(web: httpx.Client, path: str) -> None:
    short, full = web.get(path), web.get(f"/v1{path}")
    assert short.status_code == full.status_code == 200
    assert short.headers["content-type"] == full.headers["content-type"]


def events_of(text: str) -> list[tuple[str, Any]]:
    parts = [part.split("\n") for part in text.split("\n\n") if part.startswith("event: ")]
    return [(lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in parts]


def test_a_question_is_answered_with_cited_sources_as_events(web: httpx.Client) -> None:
    found = web.post("/query", json={"question": "when does toy_wind return -22?"})
    assert found.headers["content-type"].startswith("text/event-stream")
    events = events_of(found.text)
    assert [name for name, _ in events] == ["sources", "answer", "done"]
    said = events[1][1]
    assert said["origin"] == "facts" and "toy->broken" in said["answer"] and "[1]" in said["answer"]
    assert said["citations"][0]["path"] == CORE


def test_a_question_is_answered_as_json_where_that_is_asked_for(web: httpx.Client) -> None:
    body = {"question": "what does toy_wind return?", "top_k": 1}
    found = web.post("/v1/query", json=body, headers={"Accept": "application/json"}).json()
    assert len(found["citations"]) + len(found["others"]) == 1


def test_what_is_wrong_with_a_request_is_said_in_one_line(web: httpx.Client) -> None:
    assert problem(web.get("/v1/hover", params={"path": CORE}), 400) == "line is missing"
    assert problem(web.get("/v1/hover", params={"path": CORE, "line": "x"}), 400) == "line must be an integer, not 'x'"
    wrong = web.get("/v1/hover?path=a&path=b&line=1")
    assert problem(wrong, 400) == "path is given 2 times"
    assert "1 to 6" in problem(web.post("/query", json={"question": "x", "top_k": 7}), 400)
    assert problem(web.post("/query", content=b"[", headers={"Content-Type": "application/json"}), 400) == (
        "the body is no JSON"
    )
    assert "object" in problem(web.post("/query", json=[1]), 400)
    assert "type string" in problem(web.post("/query", json={"question": 1}), 400)
    assert "application/json" in problem(web.post("/query", data={"question": "x"}), 415)
    assert problem(web.delete("/v1/health"), 405)
    assert problem(web.get("/v1/nothing"), 404)


def test_the_state_of_the_index_comes_as_an_event(web: httpx.Client) -> None:
    with web.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        assert [next(lines), next(lines)] == ["event: index", 'data: {"index": "ready"}']


def test_figures_are_in_the_form_of_prometheus(web: httpx.Client) -> None:
    web.get("/v1/symbols/toy_wind")
    lines = web.get("/metrics").text.splitlines()
    counter = 'kexpert_requests_total{endpoint="symbols_name",status="200"}'
    counted = [line for line in lines if line.startswith(counter)]
    assert counted and int(counted[0].split()[-1]) >= 1
    buckets = [line for line in lines if line.startswith('kexpert_request_seconds_bucket{endpoint="symbols_name"')]
    counts = [int(line.split()[-1]) for line in buckets]
    assert counts == sorted(counts), "buckets count all that is faster"
    assert f'kexpert_request_seconds_count{{endpoint="symbols_name"}} {counts[-1]}' in lines
    assert all(line.startswith("#") or len(line.rsplit(" ", 1)) == 2 for line in lines)
