"""Search results of a question in a tree in memory."""

from __future__ import annotations

from kexpert.core.retrieval.chunk import ChunkKind
from kexpert.features.hover.hover import HoverConfig, hover
from kexpert.features.search.search import SearchResult, search, similar
from kexpert.render import markdown
from kexpert.view import SearchMethod
from tests.support.memory_view import MemoryView, at_cursor, files_of

TREE = """\
//- mm/writeback.c
/* Wait until writeback of a folio is over. */
void /*|*/folio_wait_writeback(struct folio *folio)
{
	int tries = 3;

	trace_folio_wait(folio);
	wait_on_bit(folio, WRITEBACK);
}
//- fs/wait.c
/* Wait until a page is unlocked. */
void wait_on_page(struct folio *folio)
{
	int tries = 3;

	trace_folio_wait(folio);
	wait_on_bit(folio, LOCKED);
}
//- fs/other.c
/* Wait for writeback here. */
static int here(void)
{
	return 0;
}
"""


def lines_of(found: SearchResult, view: MemoryView) -> list[str]:
    source = view.source(found.path)
    assert source is not None
    for number, text in found.lines:
        assert source.lines.line_bytes(number).decode().strip() == text
    return [text for _, text in found.lines]


def test_result_has_the_place_of_its_name_and_the_matching_lines() -> None:
    view = MemoryView(files_of(TREE.replace("/*|*/", "")))
    found = search(view, "wait for the writeback of a folio")
    first = found[0]
    assert (first.name, first.kind) == ("folio_wait_writeback", ChunkKind.FUNCTION)
    assert view.data(first.path)[first.start : first.end] == b"folio_wait_writeback"  # type: ignore[index]
    assert first.line == 1
    assert lines_of(first, view) == ["trace_folio_wait(folio);", "wait_on_bit(folio, WRITEBACK);"]


def test_definition_named_in_the_question_comes_first() -> None:
    view = MemoryView(files_of(TREE.replace("/*|*/", "")))
    assert search(view, "who calls wait_on_page")[0].name == "wait_on_page"
    assert search(view, "wait on page")[0].name == "wait_on_page"
    asked = [each.name for each in search(view, "wait on page", method=SearchMethod.BM25)]
    assert len(asked) == len(set(asked))


def test_selection_finds_similar_code_in_other_files() -> None:
    view, source, _ = at_cursor(TREE)
    start = source.data.index(b"\tint tries")
    assert similar(view, source, start, len(source.data))[0].name == "wait_on_page"


def test_empty_selection_means_the_function_around_it() -> None:
    view, source, offset = at_cursor(TREE)
    assert similar(view, source, offset, offset)[0].name == "wait_on_page"
    assert similar(view, source, len(source.data) - 1, len(source.data) - 1)[:1] != []


def test_see_also_is_of_other_files_and_part_of_the_card() -> None:
    view, source, offset = at_cursor(TREE)
    card = hover(view, source, offset, HoverConfig(similar_within_seconds=1.0))
    assert card is not None
    assert card.similar[0].name == "wait_on_page"
    assert "- See also `wait_on_page` in `fs/wait.c:2`" in markdown.hover_card(card)
    without = hover(view, source, offset)
    assert without is not None
    assert "See also" not in markdown.hover_card(without)
