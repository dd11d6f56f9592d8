"""Inline completion as a whole, with a model that writes what the test wants."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Generator
from dataclasses import dataclass

import pytest

from kexpert.abilities import NO_NEIGHBOURS, Neighbours, Token, TokenOrigin
from kexpert.core.c.source import Source
from kexpert.features.inline.memory import SuggestionMemory
from kexpert.features.inline.suggest import (
    InlineConfig,
    InlineState,
    Suggestion,
    ahead,
    another,
    as_item,
    recall,
    suggest,
    with_first_line,
)
from kexpert.prompt.fim import Context
from tests.support.memory_view import CURSOR, at_cursor
from tests.support.scripted_completer import TREE, ScriptedCompleter, suggested, typed

ASSIGNMENT = f"int f(int a)\n{{\n\ta = {CURSOR}\n}}\n"
STATEMENT = f"int f(int a)\n{{\n\t{CURSOR}\n}}\n"


def shown_text(suggestion: Suggestion | None) -> str:
    return suggestion.text if suggestion and suggestion.shown else ""


def test_no_more_tokens_are_taken_than_are_shown() -> None:
    completer = ScriptedCompleter("a = helper(1);\n" + "a = helper(1);\n" * 50)
    suggested(ASSIGNMENT, completer)
    assert completer.taken < 12


def test_end_that_follows_the_cursor_already_is_not_suggested() -> None:
    assert shown_text(suggested(f"int f(int a)\n{{\n\thelper({CURSOR});\n}}\n", "1);")) == "1"


@pytest.mark.parametrize(("logprob", "text"), [(-0.2, "a = helper(1);\n\thelper(2);"), (-3.0, "a = helper(1);")])
def test_another_line_is_shown_only_if_it_is_likely(logprob: float, text: str) -> None:
    class UnsureCompleter(ScriptedCompleter):
        def tokens(self) -> list[Token]:
            first, rest = Token("a = helper(1);\n\t", -0.1), Token("2);\n", -0.1)
            return [first, Token("helper(", self.logprob), rest, Token("", -0.1, last=True)]

    found = suggested(STATEMENT, UnsureCompleter("", logprob))
    assert found
    assert found.text == text


def test_unfinished_line_is_not_shown_when_the_tokens_run_out() -> None:
    found = suggested(STATEMENT, ScriptedCompleter("a = helper(1);\n\ta = helper(", ends=False))
    assert found
    assert found.text == "a = helper(1);"


@pytest.mark.parametrize("head", [
    "if (a)", "else", "\t} else if (a && (b))", "for (i = 0; i < 3; i++)", "list_for_each_entry(p, &l, n)", "while (a)",
])  # fmt: skip
def test_a_tab_that_the_editor_did_not_type_is_suggested_too(head: str) -> None:
    head = head if head.startswith("\t") else f"\t{head}"
    code = f"int f(int a, int b)\n{{\n{head}\n\t{CURSOR}\n}}\n"
    assert shown_text(suggested(code, "a = helper(1);")) == "\ta = helper(1);"
    assert shown_text(suggested(code.replace(CURSOR, f"\t{CURSOR}"), "a = helper(1);")) == "a = helper(1);"


@pytest.mark.parametrize("head", ["if (a) {", "a = b;", "call(a", "while (a);", "if (a", "x = y ? z", ""])
def test_no_tab_is_added_where_none_is_missing(head: str) -> None:
    code = f"int f(int a, int b)\n{{\n\t{head}\n\t{CURSOR}\n}}\n"
    assert not shown_text(suggested(code, "a = helper(1);")).startswith("\t")


def test_a_tab_that_is_typed_after_all_keeps_the_suggestion() -> None:
    state = InlineState()
    before = f"int f(int a)\n{{\n\tif (a)\n\t{CURSOR}\n}}\n"
    assert shown_text(suggested(before, "a = helper(1);", state=state)) == "\ta = helper(1);"
    found = suggested(before.replace(CURSOR, f"\t{CURSOR}"), ScriptedCompleter("nothing"), state=state)
    assert found is not None
    assert (found.text, found.origin) == ("a = helper(1);", "typed through")


@pytest.mark.parametrize(
    "code",
    [f"int f(void)\n{{\n\t/* so {CURSOR} */\n}}\n", f"// so {CURSOR}\n", f'char *s = "so {CURSOR}";\n',
     f"int f{CURSOR}oo;\n"],
)  # fmt: skip
def test_nothing_is_suggested_in_comments_strings_and_words(code: str) -> None:
    completer = ScriptedCompleter("helper(1);")
    assert suggested(code, completer) is None
    assert not completer.contexts


def test_times_and_tokens_are_reported() -> None:
    found = suggested(ASSIGNMENT, "helper(1);")
    assert found
    assert 0 < found.first_token <= found.seconds
    assert (found.tokens, found.origin) == (2, "model")
    assert found.logprob == pytest.approx(-0.1 * 2 / math.sqrt(2))


# Typing through


def test_typing_through_a_suggestion_runs_no_model() -> None:
    view, source, offset = at_cursor(TREE + ASSIGNMENT)
    completer, state = ScriptedCompleter("helper(1);"), InlineState()
    suggest(view, source, offset, completer, InlineConfig(), state)
    for letters, left in ((b"h", "elper(1);"), (b"elper(", "1);"), (b"1", ");")):
        source, offset = typed(source, offset, letters)
        found = suggest(view, source, offset, completer, InlineConfig(), state)
        assert found
        assert (found.text, found.origin) == (left, "typed through")
    assert len(completer.contexts) == 1
    source, offset = typed(source, offset, b"x")
    suggest(view, source, offset, completer, InlineConfig(), state)
    assert len(completer.contexts) == 2


@dataclass
class CopyingCompleter(ScriptedCompleter):
    """Copies the first lines of its text and writes the rest itself."""

    copied_lines: int = 1

    def tokens(self) -> list[Token]:
        lines = self.text.splitlines(keepends=True)
        origins: list[TokenOrigin] = ["copied" if at < self.copied_lines else "model" for at in range(len(lines))]
        tokens = [Token(line, self.logprob, origin=origin) for line, origin in zip(lines, origins, strict=True)]
        return [*tokens, Token("", self.logprob, last=True)]


@pytest.mark.parametrize(
    ("answer", "copied_lines", "text", "origin"),
    [
        ("a = helper(1);\n", 1, "a = helper(1);", "copied"),
        ("a = helper(1);\n\thelper(2);\n", 2, "a = helper(1);\n\thelper(2);", "copied"),
        ("a = helper(1);\n\thelper(2);\n", 1, "a = helper(1);\n\thelper(2);", "model"),
        ("a = helper(1);\n}\n\nint g;\n", 1, "a = helper(1);", "copied"),  # the model's "}" is not shown
        ("a = helper(1);\n", 0, "a = helper(1);", "model"),
    ],
)
def test_suggestion_of_copied_lines_alone_is_copied(answer: str, copied_lines: int, text: str, origin: str) -> None:
    found = suggested(STATEMENT, CopyingCompleter(answer, copied_lines=copied_lines))
    assert found
    assert (found.text, found.origin) == (text, origin)


class NeighbourlyCompleter(ScriptedCompleter):
    """Says what neighbours say if it has some, and else its own text."""

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        said = self if neighbours == NO_NEIGHBOURS else ScriptedCompleter("a = helper(1);\n")
        return ScriptedCompleter.stream(said, context, max_tokens, cancelled)


def test_a_second_suggestion_is_written_without_copying_and_remembered_behind_the_first() -> None:
    view, source, offset = at_cursor(TREE + STATEMENT)
    state, config = InlineState(), InlineConfig()
    completer = NeighbourlyCompleter("return helper(a);\n")
    first = suggest(view, source, offset, completer, config, state)
    assert first and first.text == "a = helper(1);"
    second = another(view, source, first, completer, config, state)
    assert second and second.text == "return helper(a);"
    again = suggest(view, source, offset, completer, config, state)
    assert again and again.text == first.text
    typed_along = suggest(view, *typed(source, offset, b"ret"), completer, config, state)
    assert typed_along and (typed_along.text, typed_along.origin) == ("urn helper(a);", "typed through")
    assert another(view, source, first, NeighbourlyCompleter("a = helper(1);\n"), config, state) is None


def test_the_first_line_is_offered_beside_a_longer_suggestion() -> None:
    assert with_first_line(["a;\n\tb;", "c;"]) == ["a;\n\tb;", "c;", "a;"]
    assert with_first_line(["a;"]) == ["a;"]
    assert with_first_line(["\n\tb;"]) == ["\n\tb;"]
    assert with_first_line(["a;\n\tb;", "a;"]) == ["a;\n\tb;", "a;"]
    assert with_first_line([]) == []


def test_rest_of_a_copied_suggestion_is_typed_through() -> None:
    view, source, offset = at_cursor(TREE + STATEMENT)
    completer, state = CopyingCompleter("a = helper(1);\n"), InlineState()
    first = suggest(view, source, offset, completer, InlineConfig(), state)
    assert first
    assert first.origin == "copied"
    found = suggest(view, *typed(source, offset, b"a = "), completer, InlineConfig(), state)
    assert found
    assert (found.text, found.origin) == ("helper(1);", "typed through")


def test_edit_elsewhere_ends_a_suggestion() -> None:
    view, source, offset = at_cursor(TREE + ASSIGNMENT)
    completer, state = ScriptedCompleter("helper(1);"), InlineState()
    suggest(view, source, offset, completer, InlineConfig(), state)
    comment = b"/* new */"
    edited = Source(source.path, comment + source.data)
    suggest(view, edited, offset + len(comment), completer, InlineConfig(), state)
    assert len(completer.contexts) == 2


def test_accepted_suggestion_shows_the_one_made_ahead() -> None:
    view, source, offset = at_cursor(TREE + ASSIGNMENT)
    completer, state = ScriptedCompleter("helper(1);"), InlineState()
    first = suggest(view, source, offset, completer, InlineConfig(), state)
    assert first
    completer.text = "\n\treturn a;"
    suggest(view, *ahead(source, first), completer, InlineConfig(), state)
    accepted = typed(source, offset, b"helper(1);")
    found = suggest(view, *accepted, completer, InlineConfig(), state)
    assert found
    assert (found.text, found.origin) == ("\n\treturn a;", "typed through")
    assert len(completer.contexts) == 2


def test_files_with_crlf_keep_it() -> None:
    view, source, offset = at_cursor(TREE + STATEMENT)
    data = source.data.replace(b"\n", b"\r\n")
    offset += source.data[:offset].count(b"\n")
    completer = ScriptedCompleter("a = helper(1);\n\treturn a;")
    found = suggest(view, Source(source.path, data), offset, completer, InlineConfig(), InlineState())
    assert found
    assert found.text == "a = helper(1);\r\n\treturn a;"
    assert "\r" not in completer.contexts[0].prefix + completer.contexts[0].suffix


def test_menu_entry_replaces_the_word() -> None:
    view, source, offset = at_cursor(TREE + f"int f(int a)\n{{\n\ta = hel{CURSOR}\n}}\n")
    found = suggest(view, source, offset, ScriptedCompleter("per(1);"), InlineConfig(), InlineState())
    assert found
    item = as_item(source, found)
    assert (item.label, item.insert_text) == ("helper(1);", "helper(1);")
    assert source.data[item.replace_start : item.replace_end] == b"hel"


# What is remembered


def test_unsure_suggestion_is_hidden_again_after_the_key_showed_it() -> None:
    state, completer = InlineState(), ScriptedCompleter("helper(1);", logprob=-2)
    confident, explicit = InlineConfig(min_logprob=-1), InlineConfig(min_logprob=-math.inf)
    assert shown_text(suggested(ASSIGNMENT, completer, confident, state)) == ""
    assert shown_text(suggested(ASSIGNMENT, completer, explicit, state)) == "helper(1);"
    assert shown_text(suggested(ASSIGNMENT, completer, confident, state)) == ""
    _, source, offset = at_cursor(TREE + ASSIGNMENT)
    assert recall(source, offset, confident, state) is None
    assert shown_text(recall(source, offset, explicit, state)) == "helper(1);"


def test_suggestion_without_probabilities_is_remembered() -> None:
    state, completer = InlineState(), ScriptedCompleter("helper(1);", logprob=math.nan)
    assert [shown_text(suggested(ASSIGNMENT, completer, state=state)) for _ in range(2)] == ["helper(1);"] * 2
    assert len(completer.contexts) == 1


def test_suggestions_in_large_files_take_little_memory() -> None:
    memory = SuggestionMemory()
    before, after = b"int i;\n" * 1000, b"int i;\n" * 149_000
    tracemalloc.start()
    try:
        for number in range(32):
            memory.keep(Source("a.h", before + after + b"%d" % number), len(before), b"int j;", -0.1)
        assert tracemalloc.get_traced_memory()[0] < 1 << 20
    finally:
        tracemalloc.stop()
    found = memory.find(Source("a.h", before + b"int" + after + b"9"), len(before) + len(b"int"), -1)
    assert found
    assert found.text == b" j;"
