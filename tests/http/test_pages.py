"""The pages as HTML: links, parts of large files, and that no text of the tree becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import pytest

from tests.support.web_server import HOSTILE


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page(web: httpx.Client, path: str) -> str:
    found = web.get(path, headers={"Accept": "text/html"})
    assert found.status_code == 200, found.text
    return found.text


PAGES = (
    "/", "/source/", "/source/drivers/toy/", "/source/drivers/toy/hostile.c", "/symbol/evil_toy", "/symbol/CONFIG_SMP",
    "/source/Kconfig", "/docs", "/ask?question=what+does+evil_toy+return", "/search?q=evil_toy", "/search?q=evil+toy",
    f"/search?q={HOSTILE}", f"/ask?question={HOSTILE}", "/login", "/login?next=%22%3E%3Cscript%3E",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_no_text_becomes_markup(web: httpx.Client, path: str) -> None:
    elements = Elements(page(web, path)).found
    scripts = [attributes for tag, attributes in elements if tag == "script"]
    addresses = [str(attributes["src"]).partition("?")[0] for attributes in scripts]
    assert addresses == ["/static/theme.js", "/static/page.js"]
    assert all(tag != "img" for tag, _ in elements)
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on") or name == "style"]
    outside = [a["href"] for _, a in elements if (a.get("href") or "/").startswith(("javascript", "data", "http"))]
    assert not outside, "nothing is loaded from elsewhere"


@pytest.mark.parametrize("path", ["/v1/hover?path=drivers/toy/hostile.c&line=6&column=5", "/v1/symbols/CONFIG_SMP",
                                  "/v1/explain?path=drivers/toy/hostile.c&line=6"])  # fmt: skip
def test_no_text_becomes_markup_in_the_html_of_the_api(web: httpx.Client, path: str) -> None:
    found = web.get(path).json()
    html = found["html"] if "html" in found else found["card"]["html"]
    assert "hacked=1" in html, "the text itself is shown"
    assert not {tag for tag, _ in Elements(html).found} & {"script", "img"}


def test_every_page_has_a_policy_that_allows_no_inline_script(web: httpx.Client) -> None:
    for path in (*PAGES, "/v1/health", "/nothing", "/static/page.js"):
        headers = web.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["script-src"] == policy["style-src"] == "'self'"
        assert headers["x-content-type-options"] == "nosniff"


def test_each_identifier_is_a_link_and_each_line_has_an_address(web: httpx.Client) -> None:
    html = page(web, "/source/drivers/toy/core.c")
    line = re.search(r'<div id="L14">(.*?)</div>', html, re.S)
    assert line is not None
    links = re.findall(r'href="([^"]*)"', line[1])
    assert links == ["#L14", "/symbol/toy_wind", "/symbol/toy", "/symbol/toy", "/symbol/turns"]
    assert '<a class=s href="/source/include/linux/toy.h">&lt;linux/toy.h&gt;</a>' in html
    assert html.count('<div id="L') == 23


def test_a_large_file_comes_in_parts_with_links_to_each_other(web: httpx.Client) -> None:
    first, second = page(web, "/source/net/long.c"), page(web, "/source/net/long.c?from=12001")
    assert 'id="L12000"' in first and 'id="L12001"' not in first
    assert 'id="L12001"' in second and 'id="L12000"' not in second and "int <" not in second
    assert '/symbol/long_12001"' in second
    assert 'href="/source/net/long.c?from=12001"' in first


def test_the_conditions_of_variants_are_shown(web: httpx.Client) -> None:
    html = page(web, "/symbol/spin_toy")
    assert "arch arm64" in html and '<a href="/symbol/CONFIG_SMP">CONFIG_SMP</a>' in html


def test_a_page_that_did_not_change_is_not_sent_again(web: httpx.Client) -> None:
    first = web.get("/source/drivers/toy/core.c")
    again = web.get("/source/drivers/toy/core.c", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_folders_and_files_have_one_address_each(web: httpx.Client) -> None:
    assert web.get("/source/drivers").headers["location"] == "/source/drivers/"
    assert web.get("/source/drivers//toy/core.c").headers["location"] == "/source/drivers/toy/core.c"


def test_what_is_not_there_is_a_page_for_people(web: httpx.Client) -> None:
    for path in ("/nothing", "/symbol/no_such", "/source/no.c"):
        found = web.get(path, headers={"Accept": "text/html"})
        assert found.status_code == 404 and "<h1>404</h1>" in found.text
