"""The page in a real Chromium, with mouse and keys. SCREENSHOTS=DIR keeps pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chromium import Page, chromium, find_chromium

CORE = "/source/drivers/toy/core.c"


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: apt-get install --no-install-recommends chromium, or CHROMIUM=/path/to/it")
    with chromium(program) as page:
        yield page


@pytest.fixture
def page(browser: Page, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page on a desk; afterwards nothing may have been refused or gone wrong, and no text of the tree has run."""
    browser.screen(1280, 860)
    browser.complaints.clear()
    yield browser
    if folder := os.environ.get("SCREENSHOTS"):
        browser.screenshot(Path(folder) / f"{request.node.name}.png")
    assert browser.complaints == []
    assert browser.run("window.hacked === undefined")


def name(text: str, line: int) -> str:
    """The first link of a name in a line, as an expression."""
    return f"[...document.querySelectorAll('#L{line} code a')].find(a => a.textContent === '{text}')"


def test_results_come_as_one_types_and_lead_to_the_line(page: Page, address: str) -> None:
    page.open(f"{address}/")
    page.key("/")
    page.type("toy_wi")
    page.sees("#results", "toy_wind", "drivers/toy/core.c:14")
    page.key("ArrowDown", "ArrowUp", "Enter")
    page.wait(f"location.pathname === '{CORE}' && location.hash === '#L14'")
    page.wait("document.querySelector('#L14.chosen') !== null")


def test_words_are_searched_by_meaning(page: Page, address: str) -> None:
    page.open(f"{address}/")
    page.key("/")
    page.type("wind a toy up")
    page.sees("#results", "toy_wind")
    page.key("Escape")
    page.wait("document.getElementById('results').hidden")


def test_a_card_is_shown_under_the_pointer(page: Page, address: str) -> None:
    page.open(f"{address}/source/drivers/toy/user.c")
    page.move_to(name("toy_wind", 6))
    page.sees("#card", "wind a toy up", "Terry Toy")
    page.move_to("document.querySelector('.brand')")
    page.wait("document.getElementById('card').hidden")


def test_a_click_shows_uses_beside_the_code(page: Page, address: str) -> None:
    page.open(f"{address}{CORE}")
    page.sees("#panel", "Outline", "toy_wind")
    page.click(name("toy_wind", 14))
    page.sees("#panel", "wind a toy up", "Callers 2", "drivers/toy/user.c", "car_play")
    page.click("[...document.querySelectorAll('#panel summary')].find(s => s.textContent.includes('References'))")
    page.sees("#panel", "this file")
    page.click("document.querySelector('#panel .uses a')")
    page.wait("location.pathname === '/source/drivers/toy/user.c' && location.hash.startsWith('#L')")


def test_a_callback_is_shown_where_it_is_passed_on(page: Page, address: str) -> None:
    page.open(f"{address}/source/drivers/toy/alarm.c")
    page.click(name("ring", 1))
    page.sees("#panel", "Callers 0", "passed on as a pointer", "call_later(ring);")


def test_a_local_variable_is_known_by_its_place(page: Page, address: str) -> None:
    page.open(f"{address}{CORE}")
    page.click(name("total", 20))
    page.sees("#panel", "unsigned int total = toy->turns + turns;", "References 3")


def test_a_function_is_explained_beside_the_code(page: Page, address: str) -> None:
    page.open(f"{address}{CORE}")
    page.click(name("toy_wind", 14))
    page.sees("#panel", "Explain")
    page.click("[...document.querySelectorAll('#panel button')].find(b => b.textContent === 'Explain')")
    page.sees("#panel", "HOW IT WORKS", "L18")


def test_everything_is_reached_by_keys(page: Page, address: str) -> None:
    page.open(f"{address}/source/drivers/toy/user.c#L6")
    page.wait("document.querySelector('#L6.at') !== null")
    page.key("w", "K")
    page.sees("#card", "wind a toy up")
    page.key("Escape")
    page.wait("document.getElementById('card').hidden")
    page.key("Enter")
    page.sees("#panel", "Callers 2")
    page.key("g", "d")
    page.wait(f"location.pathname === '{CORE}' && location.hash === '#L14'")
    page.wait("document.querySelector('#L14.at') !== null")
    page.key("j", "j", "k")
    page.wait("document.querySelector('#L15.at') !== null")
    page.key("?")
    page.sees("dialog", "copy the link to the lines")
    page.key("Escape")
    page.wait("document.querySelector('dialog') === null")


def test_lines_have_permanent_links(page: Page, address: str) -> None:
    page.open(f"{address}{CORE}#L14-L16")
    page.wait("document.querySelectorAll('.chosen').length === 3")
    page.click("document.querySelector('#L18 > a')")
    page.wait("location.hash === '#L18'")
    page.click("document.querySelector('#L21 > a')", modifiers=8)
    page.wait("location.hash === '#L18-L21' && document.querySelectorAll('.chosen').length === 4")


def test_a_line_of_another_part_of_a_large_file_is_found(page: Page, address: str) -> None:
    page.open(f"{address}/source/net/long.c#L12100")
    shown = "location.search === '?from=12001' && document.querySelector('#L12100.chosen') !== null"
    page.wait(shown, seconds=120)  # the first part has 12,000 lines, which a busy machine lays out slowly


def test_a_question_is_answered_with_links_to_the_lines(page: Page, address: str) -> None:
    page.open(f"{address}/ask")
    page.type("when does toy_wind return -22?")
    page.key("Enter")
    page.sees("#answer", "toy->broken", "[1]", "drivers/toy/core.c:19", "from the code")
    page.click("document.querySelector('#answer .cite')")
    page.wait(f"location.pathname === '{CORE}' && location.hash === '#L19'")


def test_the_page_about_a_name_shows_variants_and_uses(page: Page, address: str) -> None:
    page.open(f"{address}/symbol/spin_toy")
    page.sees("main", "arch/x86/toy.c:2", "arch arm64", "CONFIG_SMP")
    page.open(f"{address}/symbol/toy_wind")
    page.sees("#uses", "Callers 2", "car_wind")


def test_hostile_text_is_shown_and_not_run(page: Page, address: str) -> None:
    page.open(f"{address}/source/drivers/toy/hostile.c")
    page.click(name("evil_toy", 6))
    page.sees("#panel", "<script>hacked=1</script>")
    page.move_to(name("turns", 6))
    page.sees("#card", "turns")


def test_dark_and_light(page: Page, address: str) -> None:
    def paper() -> str:
        return str(page.run("getComputedStyle(document.body).backgroundColor"))

    page.screen(1280, 860, dark=True)
    page.open(f"{address}{CORE}")
    dark = paper()
    page.key("t")
    light = paper()
    assert sum(map(int, dark.removeprefix("rgb(").removesuffix(")").split(","))) < 150 and light == "rgb(255, 255, 255)"
    page.open(f"{address}/")
    assert paper() == light, "the choice is kept"
    page.run("localStorage.clear()")


def test_it_works_on_a_phone(page: Page, address: str) -> None:
    page.screen(390, 844, phone=True)
    page.open(f"{address}{CORE}#L14")
    page.wait("document.querySelector('#L14.chosen') !== null")
    assert page.run("document.documentElement.scrollWidth <= innerWidth"), "only the code scrolls sideways"
    page.click(name("toy_wind", 14))
    page.sees("#panel", "Callers 2")
    page.wait(f"({name('toy_wind', 14)}).getBoundingClientRect().bottom < "
              "document.getElementById('panel').getBoundingClientRect().top")
    page.click("document.querySelector('#panel header button')")
    page.wait("document.body.classList.contains('closed')")
    for path in ("/", "/symbol/spin_toy", "/search?q=toy", "/ask", "/docs", "/source/drivers/toy/"):
        page.open(f"{address}{path}")
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), path
