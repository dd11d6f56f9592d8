"""Inline completion: what is told to the model, where its answer ends, when it is hidden."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

from kexpert.abilities import NO_NEIGHBOURS, Neighbours, Proximity, Token
from kexpert.core.c.source import Source
from kexpert.features.inline.context import Gathered, Recent, gather
from kexpert.features.inline.filter import doubt
from kexpert.features.inline.memory import Memory
from kexpert.features.inline.neighbours import Nearby, neighbours
from kexpert.features.inline.stopping_rule import end_of, shape_at, trimmed
from kexpert.features.inline.suggest import Settings, State, Suggestion, ahead, as_item, recall, suggest
from kexpert.prompt.fim import Context
from tests.support.memory_view import CURSOR, MemoryView, at_cursor

TREE = """\
//- include/linux/toy.h
struct toy {
	int turns;
	struct spring *spring;
};
struct spring {
	int force;
};
int toy_wind(struct toy *toy, int turns);
#define TOY_MAX 100
//- drivers/toy/user.c
#include <linux/toy.h>

static int helper(int a)
{
	return a;
}

"""


@dataclass
class Says:
    """An engine that writes what a test wants, a word a token, and keeps what it was asked."""

    text: str
    logprob: float = -0.1
    context: int = 1024
    ends: bool = True
    asked: list[Context] = field(default_factory=list)
    near: list[Neighbours] = field(default_factory=list)
    taken: int = 0

    def stream(
        self, context: Context, most: int, cancelled: Callable[[], bool], near: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        self.asked.append(context)
        self.near.append(near)
        for word in self.text.replace(" ", "\0 ").replace("\n", "\0\n").split("\0"):
            self.taken += 1
            yield Token(word, self.logprob)
        if self.ends:
            yield Token("", self.logprob, last=True)

    def ready(self, cancelled: Callable[[], bool]) -> None: ...

    def close(self) -> None: ...


def ask(code: str, says: Says | str, settings: Settings | None = None, state: State | None = None) -> Suggestion | None:
    view, source, offset = at_cursor(TREE + code)
    engine = Says(says) if isinstance(says, str) else says
    return suggest(view, source, offset, engine, settings or Settings(), state or State())


def check(code: str, says: str, expected: str) -> None:
    """The text that is shown at the cursor; "" when it is hidden."""
    found = ask(code, says)
    assert found
    assert (found.text if found.shown else "", found.doubt, found.about) == (expected, found.doubt, found.about)


# Where an answer ends


@pytest.mark.parametrize(
    ("before", "says", "after", "expected"),
    [
        ("\tret = ", "helper(1);\n\treturn ret;\n", "\n}\n", "helper(1);"),
        ("\t", "int a = 1;\n\treturn a;\n}\n\nint g(void)\n", "\n}\n", "int a = 1;\n\treturn a;"),
        ("\tif (a) {\n\t\t", "a = 1;\n\t}\n\treturn a;\n", "\n\t}\n}\n", "a = 1;"),
        ("\tif (a", ") {\n\t\treturn 1;\n\t}\n\treturn 0;\n", "\n}\n", ") {\n\t\treturn 1;\n\t}"),
        ("\tif (a", " && b", ")\n\t\treturn;\n", " && b"),
        ("\thelper(", "1, 2);\n\thelper(3);\n", ");\n", "1, 2"),
        ("\thelper(", "\n\t\t1,\n\t\t2);\n\tother();\n", "\n}\n", "\n\t\t1,\n\t\t2);"),
        ("\t", "a();\n\n\tb();\n", "\n}\n", "a();"),
        ("", "a();\nb();\nc();\nd();\ne();\nf();\ng();\n", "\n}\n", "a();\nb();\nc();\nd();\ne();"),
        ("\t", "a();\n\tb(x,\n\t  y,\n\t  z,\n\t  u,\n\t  v,\n\t  w);\n", "\n}\n", "a();"),
        ("\tx = ", "'{' + \"}\"; /* } */\n\ty = 2;\n", "\n}\n", "'{' + \"}\"; /* } */"),
        ("\t", "return a;\n", "\n\treturn a;\n}\n", "return a;"),
        ("\t", "a();\n\treturn a;\n", "\n\treturn a;\n}\n", "a();"),
        ("\ta();", "\n\tb();\n\tc();\n\n", "\n}\n", "\n\tb();\n\tc();"),
        ("\tif (a)", "\n\t\tb();\n\tc();\n", "\n}\n", "\n\t\tb();"),
        ("\t\tgo = ", "f(1);", "f(1);\n", ""),
        ("\t", "a();\n\tb();\n\tc();\n", "\n\tb();\n}\n", "a();"),
        ("\t", "if (a) {\n\t\tc();\n\t}\n", "\n\t\tb();\n\t}\n}\n", "if (a) {"),
        ("\thelper(", "1,\n\t\t7,\n\t\t8);\n", "\n\t\t2);\n}\n", "1,"),
        ("\tif (", "a)\n\t\tc();\n", "\n\t\tb();\n}\n", "a)"),
        ("\tx = a +", " b +\n\t\td;\n", "\n\t\tc;\n}\n", " b +"),
    ],
)
def test_an_answer_ends_with_its_statement_or_block(before: str, says: str, after: str, expected: str) -> None:
    shape = shape_at(before, after, 5)
    end = next((cut for size in range(len(says) + 1) if (cut := end_of(says[:size], shape)) is not None), None)
    assert trimmed(says[:end], shape) == expected


def test_no_more_tokens_are_taken_than_are_shown() -> None:
    engine = Says("a = helper(1);\n" + "a = helper(1);\n" * 50)
    ask(f"int f(int a)\n{{\n\ta = {CURSOR}\n}}\n", engine)
    assert engine.taken < 12


def test_another_line_is_shown_only_if_it_is_likely() -> None:
    class Unsure(Says):
        def stream(self, *asked: Any) -> Generator[Token, None, None]:
            yield Token("a = helper(1);\n\t", -0.1)
            yield Token("helper(", self.logprob)
            yield Token("2);\n", -0.1)
            yield Token("", -0.1, last=True)

    code = f"int f(int a)\n{{\n\t{CURSOR}\n}}\n"
    for logprob, expected in ((-0.2, "a = helper(1);\n\thelper(2);"), (-3.0, "a = helper(1);")):
        found = ask(code, Unsure("", logprob))
        assert found
        assert found.text == expected


def test_half_a_line_is_not_shown_when_the_tokens_run_out() -> None:
    found = ask(f"int f(int a)\n{{\n\t{CURSOR}\n}}\n", Says("a = helper(1);\n\ta = helper(", ends=False))
    assert found
    assert found.text == "a = helper(1);"


@pytest.mark.parametrize("text", ["(" * 20000, "{\n" * 20000, '"' * 20000, "/*" * 20000, "\\" * 20000, "'\\" * 9999])
def test_the_end_of_nonsense_is_found_in_no_time(text: str) -> None:
    end_of(text, shape_at("\t", "\n}\n", 5))


# What is hidden


@pytest.mark.parametrize(
    ("code", "says", "why"),
    [
        ("\ttoy_wind(toy, {});", "2", ""),
        ("\t{}", "toy_wind(toy, TOY_MAX);", ""),
        ("\t{}", "int fresh = helper(1);\n\n\treturn fresh;", ""),
        ("\t{}", "toy->spring->force = 1;", ""),
        ("\t{}", "toy_unwind(toy);", "unknown name"),
        ("\ttoy_w{}", "ind(toy, 1);", ""),
        ("\ttoy_w{}", "ound(toy, 1);", "unknown name"),
        ("\t{}", "toy->force = 1;", "unknown name"),
        ("\t{}", "toy->spring->turns = 1;", "unknown name"),
        ("\t{}", 'helper("unheard_of");', ""),
        ("\t{}", "/* unheard of */", ""),
        ("\t{}", "helper(1);\n\thelper(1);\n\thelper(1);", "repetition"),
        ("\thelper(2);\n\t{}", "helper(2);", "repetition"),
        ("\t{}", "helper(turns, turns, turns, turns);", "repetition"),
        ("\t{}", " ", "empty"),
    ],
)
def test_what_is_doubtful_is_hidden(code: str, says: str, why: str) -> None:
    found = ask(f"int f(struct toy *toy)\n{{\n{code.replace('{}', CURSOR)}\n}}\n", says)
    assert found
    assert (found.doubt, found.about if not why else "") == (why, "")
    assert found.shown == (not why)


def test_what_the_model_is_unsure_of_is_hidden() -> None:
    code = f"int f(int a)\n{{\n\ta = {CURSOR}\n}}\n"
    unsure = ask(code, Says("helper(1);", logprob=-2.0))
    assert unsure
    assert unsure.doubt == "unsure"
    asked_for = ask(code, Says("helper(1);", logprob=-2.0), Settings(least=float("-inf")))
    assert asked_for
    assert asked_for.shown
    silent = ask(code, Says("helper(1);", logprob=float("nan")))  # a server that gives no probabilities
    assert silent
    assert silent.shown


@pytest.mark.parametrize("text", [b"a" * 5000, b"a, " * 1500, b"\n" * 5000, b"->" * 2500, b"{" * 5000, b"a->" * 1500])
def test_a_huge_answer_does_not_take_long_to_judge(text: bytes) -> None:
    view, source, offset = at_cursor(TREE + f"int f(struct toy *toy)\n{{\n\t{CURSOR}\n}}\n")
    doubt(view, source, offset, text, 0.0, -1.0)


# Where nothing is asked


@pytest.mark.parametrize(
    "code",
    [f"int f(void)\n{{\n\t/* so {CURSOR} */\n}}\n", f"// so {CURSOR}\n", f'char *s = "so {CURSOR}";\n',
     f"int f{CURSOR}oo;\n"],
)  # fmt: skip
def test_comments_strings_and_middles_of_words_are_left_alone(code: str) -> None:
    engine = Says("helper(1);")
    assert ask(code, engine) is None
    assert not engine.asked


# Typing through


def type_on(view: MemoryView, source: Source, offset: int, letters: bytes) -> tuple[Source, int]:
    data = source.data[:offset] + letters + source.data[offset:]
    return Source(source.path, data), offset + len(letters)


def test_what_is_typed_through_a_suggestion_costs_no_call() -> None:
    view, source, offset = at_cursor(TREE + f"int f(int a)\n{{\n\ta = {CURSOR}\n}}\n")
    engine, state = Says("helper(1);"), State()
    suggest(view, source, offset, engine, Settings(), state)
    for typed, left in ((b"h", "elper(1);"), (b"elper(", "1);"), (b"1", ");")):
        source, offset = type_on(view, source, offset, typed)
        found = suggest(view, source, offset, engine, Settings(), state)
        assert found
        assert (found.text, found.origin) == (left, "typed through")
    assert len(engine.asked) == 1
    source, offset = type_on(view, source, offset, b"x")
    suggest(view, source, offset, engine, Settings(), state)
    assert len(engine.asked) == 2


@dataclass
class Copies(Says):
    """An engine that copies the first lines of its text and writes the rest itself."""

    copied_lines: int = 1

    def stream(self, *asked: Any) -> Generator[Token, None, None]:
        lines = self.text.splitlines(keepends=True)
        for at, line in enumerate(lines):
            yield Token(line, self.logprob, origin="copied" if at < self.copied_lines else "model")
        yield Token("", self.logprob, last=True)


@pytest.mark.parametrize(
    ("says", "copied_lines", "text", "origin"),
    [
        ("a = helper(1);\n", 1, "a = helper(1);", "copied"),
        ("a = helper(1);\n\thelper(2);\n", 2, "a = helper(1);\n\thelper(2);", "copied"),
        ("a = helper(1);\n\thelper(2);\n", 1, "a = helper(1);\n\thelper(2);", "model"),
        ("a = helper(1);\n}\n\nint g;\n", 1, "a = helper(1);", "copied"),  # the model's "}" is not shown
        ("a = helper(1);\n", 0, "a = helper(1);", "model"),
    ],
)
def test_a_suggestion_of_copied_lines_alone_is_copied(says: str, copied_lines: int, text: str, origin: str) -> None:
    found = ask(f"int f(int a)\n{{\n\t{CURSOR}\n}}\n", Copies(says, copied_lines=copied_lines))
    assert found
    assert (found.text, found.origin) == (text, origin)


def test_what_is_left_of_a_copied_suggestion_is_typed_through() -> None:
    view, source, offset = at_cursor(TREE + f"int f(int a)\n{{\n\t{CURSOR}\n}}\n")
    engine, state = Copies("a = helper(1);\n"), State()
    first = suggest(view, source, offset, engine, Settings(), state)
    assert first
    assert first.origin == "copied"
    found = suggest(view, *type_on(view, source, offset, b"a = "), engine, Settings(), state)
    assert found
    assert (found.text, found.origin) == ("helper(1);", "typed through")


def test_an_edit_elsewhere_ends_a_suggestion() -> None:
    view, source, offset = at_cursor(TREE + f"int f(int a)\n{{\n\ta = {CURSOR}\n}}\n")
    engine, state = Says("helper(1);"), State()
    suggest(view, source, offset, engine, Settings(), state)
    suggest(view, Source(source.path, b"/* new */" + source.data), offset + 9, engine, Settings(), state)
    assert len(engine.asked) == 2


def test_a_suggestion_that_is_taken_shows_what_was_thought_ahead() -> None:
    view, source, offset = at_cursor(TREE + f"int f(int a)\n{{\n\ta = {CURSOR}\n}}\n")
    engine, state = Says("helper(1);"), State()
    shown = suggest(view, source, offset, engine, Settings(), state)
    assert shown
    engine.text = "\n\treturn a;"
    suggest(view, *ahead(source, shown), engine, Settings(), state)
    taken, at = type_on(view, source, offset, b"helper(1);")
    found = suggest(view, taken, at, engine, Settings(), state)
    assert found
    assert (found.text, found.origin) == ("\n\treturn a;", "typed through")
    assert len(engine.asked) == 2


def test_files_with_crlf_keep_it() -> None:
    view, source, offset = at_cursor(TREE + f"int f(int a)\n{{\n\t{CURSOR}\n}}\n")
    data = source.data.replace(b"\n", b"\r\n")
    offset += source.data[:offset].count(b"\n")
    engine = Says("a = helper(1);\n\treturn a;")
    found = suggest(view, Source(source.path, data), offset, engine, Settings(), State())
    assert found
    assert found.text == "a = helper(1);\r\n\treturn a;"
    assert "\r" not in engine.asked[0].prefix + engine.asked[0].suffix


def test_a_menu_entry_replaces_the_word() -> None:
    view, source, offset = at_cursor(TREE + f"int f(int a)\n{{\n\ta = hel{CURSOR}\n}}\n")
    found = suggest(view, source, offset, Says("per(1);"), Settings(), State())
    assert found
    item = as_item(source, found)
    assert (item.label, item.insert_text) == ("helper(1);", "helper(1);")
    assert source.data[item.replace_start : item.replace_end] == b"hel"


# What the model is told


def told(code: str, tokens: int = 1000, recent: Recent | None = None) -> Context:
    view, source, offset = at_cursor(TREE + code)
    return gather(view, source, offset, tokens, recent=recent)


def test_types_in_scope_and_callees_near_are_told() -> None:
    context = told(f"int f(struct toy *toy)\n{{\n\ttoy_wind(toy, 1);\n\thelper(2);\n\t{CURSOR}\n}}\n")
    [excerpt] = context.excerpts
    assert excerpt.path == "include/linux/toy.h"
    assert excerpt.text == (
        "struct toy {\n\tint turns;\n\tstruct spring *spring;\n};\nint toy_wind(struct toy *toy, int turns);"
    )
    assert context.prefix.endswith("\thelper(2);\n\t")
    assert context.suffix == "\n}\n"


def test_typing_moves_nothing_before_the_cursor() -> None:
    """Else the model would read everything again with each letter."""
    view, source, offset = at_cursor(
        TREE + "int a;\n" * 3000 + f"int f(struct toy *toy)\n{{\n\t{CURSOR}\n}}\n" + "int b;\n" * 3000
    )
    gathered = Gathered()
    first = gather(view, source, offset, 300, gathered)
    letters = b"toy_wind(toy, 1);\n\tif (toy->turns)"
    for size in range(1, len(letters)):
        typed, at = type_on(view, source, offset, letters[:size])
        context = gather(view, typed, at, 300, gathered)
        assert context.excerpts == first.excerpts
        assert context.suffix == first.suffix
        assert context.prefix == first.prefix + letters[:size].decode()


@pytest.mark.parametrize("tokens", [16, 64, 256, 1024])
def test_a_context_keeps_to_its_room(tokens: int) -> None:
    big = "int some_name(struct toy *toy);\n" * 500
    context = told(big + f"int f(struct toy *toy)\n{{\n\ttoy_wind(toy, 1);\n\t{CURSOR}\n}}\n" + big, tokens)
    size = len(context.prefix) + len(context.suffix) + sum(len(e.path) + len(e.text) for e in context.excerpts)
    assert size <= tokens * 3


def test_a_new_type_is_told_as_soon_as_it_is_declared() -> None:
    view, source, offset = at_cursor(TREE + f"int f(struct toy *toy)\n{{\n\t{CURSOR}\n}}\n")
    gathered = Gathered()
    gather(view, source, offset, 1000, gathered)
    typed, at = type_on(view, source, offset, b"struct spring *spring = toy->spring;\n\n\t")
    context = gather(view, typed, at, 1000, gathered)
    assert "int force;" in context.excerpts[0].text


def test_what_was_edited_last_elsewhere_is_told() -> None:
    recent = Recent()
    recent.edited("include/linux/toy.h", 6)
    context = told(f"int f(void)\n{{\n\t{CURSOR}\n}}\n", recent=recent)
    assert any("int force;" in excerpt.text for excerpt in context.excerpts)


def test_what_is_edited_elsewhere_meanwhile_is_told() -> None:
    view, source, offset = at_cursor(TREE + f"int f(struct toy *toy)\n{{\n\t{CURSOR}\n}}\n")
    gathered, recent = Gathered(), Recent()
    recent.edited(source.path, 3)
    first = gather(view, source, offset, 1000, gathered, recent)
    recent.edited("include/linux/toy.h", 1)
    second = gather(view, source, offset, 1000, gathered, recent)
    assert len(second.excerpts) > len(first.excerpts)
    recent.edited(source.path, 4)
    assert gather(view, source, offset, 1000, gathered, recent).excerpts == second.excerpts


def test_declarations_leave_room_for_edits_and_for_a_function_like_this_one() -> None:
    many = "".join(f"int toy_step_{at}(struct toy *toy, int how_far_it_goes);\n" for at in range(12))
    calls = "".join(f"\ttoy_step_{at}(toy, {at});\n" for at in range(12))
    other = f"//- drivers/toy/other.c\nstatic int car_probe(struct toy *toy)\n{{\n{calls}\treturn 0;\n}}\n"
    edited = "//- drivers/car/car.c\n" + "int nothing;\n" * 40 + "int edited_here;\n" + "int nothing;\n" * 40
    steps = f"//- include/linux/steps.h\n{many}"
    here = f"//- drivers/toy/here.c\nstatic int ball_probe(struct toy *toy)\n{{\n{calls}\t{CURSOR}\n}}\n"
    view, source, offset = at_cursor(TREE + steps + edited + other + here)
    edits = Recent([("drivers/car/car.c", 40)])
    for recent, wanted in ((edits, "int edited_here;"), (None, "static int car_probe(")):
        excerpts = gather(view, source, offset, 928, recent=recent).excerpts
        assert any(wanted in excerpt.text for excerpt in excerpts)
        assert any("int toy_step_" in excerpt.text for excerpt in excerpts)


def test_the_struct_that_an_initialiser_fills_is_told() -> None:
    context = told(f"static struct toy a_toy = {{\n\t.turns = 1,\n\t{CURSOR}\n}};\n")
    assert context.excerpts[0].text == "struct toy {\n\tint turns;\n\tstruct spring *spring;\n};"


def test_a_function_like_this_one_is_told() -> None:
    other = "//- drivers/toy/other.c\nstatic int car_probe(struct toy *toy)\n{\n\tint force;\n\n"
    other += "\ttoy_wind(toy, 7);\n\treturn 0;\n}\n"
    here = f"//- drivers/toy/here.c\nstatic int ball_probe(struct toy *toy)\n{{\n\tint force;\n\n\t{CURSOR}\n}}\n"
    view, source, offset = at_cursor(TREE + other + here)
    context = gather(view, source, offset, 2000)
    assert any("toy_wind(toy, 7);" in e.text for e in context.excerpts if e.path == "drivers/toy/other.c")


# What may be copied from


FUNCTION = f"int f(struct toy *toy)\n{{\n\ttoy_wind(toy, 1);\n\t{CURSOR}\n\treturn 0;\n}}\n"
NEAR = """\
//- drivers/toy/here.c
int before_it;
{}int behind_it;
//- drivers/toy/here_too.c
int beside_it;
//- drivers/car/car.c
int winds_too(struct toy *toy)
{{
	toy_wind(toy, 2);
	return somewhere_else;
}}

int does_not(void)
{{
	return unlike;
}}
"""


def test_the_file_its_folder_and_callers_of_the_same_may_be_copied_from() -> None:
    says = Says("helper(1);")
    ask(NEAR.format(FUNCTION), says)
    [near] = says.near
    assert near.before == "int f(struct toy *toy)\n{\n\ttoy_wind(toy, 1);\n\t"
    assert near.after == "\n\treturn 0;\n}"
    kinds = {kin: "".join(text.text for text in near.texts if text.proximity is kin) for kin in Proximity}
    assert kinds[Proximity.FUNCTION] == ""
    assert kinds[Proximity.FILE].split() == ["int", "before_it;", "int", "behind_it;"]
    assert "beside_it" in kinds[Proximity.FOLDER]
    assert "somewhere_else" in kinds[Proximity.TREE]
    assert "unlike" not in kinds[Proximity.TREE]


def test_typing_leaves_neighbours_as_they_are() -> None:
    """Else they would be read again with each letter."""
    view, source, offset = at_cursor(TREE + NEAR.format(FUNCTION))
    state, says = State(), Says("?")
    suggest(view, source, offset, says, Settings(), state)
    for size in range(1, 12):
        typed, at = type_on(view, source, offset, b"toy_wind(toy, 3);\n"[:size])
        suggest(view, typed, at, says, Settings(), state)
    assert len({tuple(text.key for text in near.texts) for near in says.near}) == 1


def test_an_edit_changes_the_block_that_it_is_in() -> None:
    long = "".join(f"int f{at}(void)\n{{\n\treturn {at};\n}}\n\n" for at in range(2000))
    keys = []
    for code in (long, long.replace("return 7;", "return 1000;")):
        says = Says("?")
        ask("//- drivers/toy/long.c\n" + code + FUNCTION, says)
        keys.append({text.key for text in says.near[0].texts})
    assert len(keys[0] - keys[1]) == 1
    assert len(keys[0]) > 5


@pytest.mark.parametrize(
    "code", [CURSOR, "x" * 100_000 + CURSOR, "}\n" * 30_000 + CURSOR + "{\n" * 30_000, "\xff" + CURSOR]
)
def test_neighbours_of_nonsense_are_bounded(code: str) -> None:
    view, source, offset = at_cursor(code)
    near = neighbours(view, source, offset, Nearby(), Recent())
    assert len(near.before) + len(near.after) + sum(len(text.text) for text in near.texts) < 400_000


def test_edits_close_to_one_another_are_one_place() -> None:
    recent = Recent()
    for line in (100, 101, 105, 300, 102):
        recent.edited("a.c", line)
    assert recent.places == [("a.c", 102), ("a.c", 300)]


def test_bytes_that_are_no_text_are_told_as_something() -> None:
    view = MemoryView({"a.c": b"\xff\xfe int a;\n"})
    source = view.source("a.c")
    assert source
    context = gather(view, source, len(source.data), 100)
    assert context.prefix.endswith(" int a;\n")


# What is remembered


def test_what_was_shown_to_who_asked_for_it_is_hidden_again_from_who_did_not() -> None:
    """Confidence is asked for anew each time, by a menu too."""
    code, state = f"int f(int a)\n{{\n\ta = {CURSOR}\n}}\n", State()
    says = Says("helper(1);", logprob=-2)
    sure, asked = Settings(least=-1), Settings(least=-math.inf)
    assert shown(ask(code, says, sure, state)) == ""
    assert shown(ask(code, says, asked, state)) == "helper(1);"
    assert shown(ask(code, says, sure, state)) == ""
    _, source, offset = at_cursor(TREE + code)
    assert recall(source, offset, sure, state) is None
    assert shown(recall(source, offset, asked, state)) == "helper(1);"


def test_a_model_that_does_not_say_how_sure_it_is_is_remembered() -> None:
    code, state, says = f"int f(int a)\n{{\n\ta = {CURSOR}\n}}\n", State(), Says("helper(1);", logprob=math.nan)
    assert [shown(ask(code, says, state=state)) for _ in range(2)] == ["helper(1);"] * 2
    assert len(says.asked) == 1


def shown(suggestion: Suggestion | None) -> str:
    return suggestion.text if suggestion and suggestion.shown else ""


def test_what_is_remembered_of_large_files_is_little() -> None:
    memory = Memory()
    tracemalloc.start()
    try:
        for number in range(32):
            memory.keep(Source("a.h", b"int i;\n" * 150_000 + b"%d" % number), 7_000, b"int j;", -0.1)
        assert tracemalloc.get_traced_memory()[0] < 1 << 20
    finally:
        tracemalloc.stop()
    found = memory.find(Source("a.h", b"int i;\n" * 1000 + b"int" + b"int i;\n" * 149_000 + b"9"), 7_003, -1)
    assert found
    assert found.text == b" j;"
