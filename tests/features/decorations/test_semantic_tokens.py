"""Semantic tokens: what the names of a text are."""

from __future__ import annotations

import itertools
from typing import get_args

from kexpert.core.c.source import Source
from kexpert.features.decorations.semantic_tokens import Modifier, TokenType, semantic_tokens
from kexpert.lsp.token_legend import TOKEN_MODIFIERS, TOKEN_TYPES
from tests.support.memory_view import MemoryView

FILES = {
    "include/linux/pump.h": b"""\
#define PUMP_MAX 8
struct pump_ops { int (*start)(struct pump *pump, int speed); };
typedef unsigned int pump_t;
enum pump_state { PUMP_IDLE };
DECLARE_PER_CPU(int, pump_count);
int pump_start(struct pump *pump, int speed);
""",
    "drivers/pump.c": b"""\
#include <linux/pump.h>

#ifdef CONFIG_PUMP /* not CONFIG_COMMENT */
static DEFINE_PER_CPU(int, pump_load);
#endif
static int pump_users;

static int pump_go(struct pump *pump, int speed)
{
	static pump_t calls;
	int state = PUMP_IDLE;

	if (speed > PUMP_MAX || IS_ENABLED(CONFIG_PUMP))
		goto out;
	pump_users++;
	state = pump->ops->start(pump, speed);
	calls += this_cpu_read(pump_load) + pump->size;
	return pump_start(pump, state);
out:
	return 0;
}

static const struct pump_ops pump_ops = {
	.start = pump_go,
};
""",
}


def tokens_of(start: int = 0, end: int | None = None) -> list[tuple[str, str, frozenset[str]]]:
    view = MemoryView(FILES)
    source = view.source("drivers/pump.c")
    assert source is not None
    found = semantic_tokens(view, source, start, len(source.data) if end is None else end, lambda: False)
    return [(source.data[token.start : token.end].decode(), token.type, token.modifiers) for token in found]


def test_names_are_told_apart() -> None:
    found = {(name, kind, "+".join(sorted(modifiers))) for name, kind, modifiers in tokens_of()}
    assert found >= {
        ("CONFIG_PUMP", "macro", "config"),
        ("pump_load", "variable", "definition+perCpu+static"),
        ("pump_load", "variable", "perCpu+static"),
        ("pump_users", "variable", "static"),
        ("pump_go", "function", "definition+static"),
        ("pump_go", "function", "static"),
        ("pump", "struct", ""),
        ("pump", "parameter", "definition"),
        ("speed", "parameter", ""),
        ("pump_t", "type", ""),
        ("calls", "variable", "definition+static"),
        ("state", "variable", "definition"),
        ("PUMP_IDLE", "enumMember", ""),
        ("PUMP_MAX", "macro", ""),
        ("out", "label", ""),
        ("out", "label", "definition"),
        ("start", "method", ""),
        ("size", "property", ""),
        ("pump_start", "function", ""),
        ("pump_ops", "struct", ""),
        ("pump_ops", "variable", "definition+static"),
    }
    assert not {"int", "return", "static", "CONFIG_COMMENT"} & {name for name, _, _ in found}


def test_tokens_are_in_order_and_do_not_overlap() -> None:
    view = MemoryView(FILES)
    source = view.source("drivers/pump.c")
    assert source is not None
    found = semantic_tokens(view, source, 0, len(source.data), lambda: False)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


def test_a_range_gives_what_the_whole_gives_there() -> None:
    text = FILES["drivers/pump.c"]
    start, end = text.index(b"static pump_t"), text.index(b"goto out")
    view = MemoryView(FILES)
    source = view.source("drivers/pump.c")
    assert source is not None
    whole = semantic_tokens(view, source, 0, len(text), lambda: False)
    part = semantic_tokens(view, source, start, end, lambda: False)
    assert part == [token for token in whole if start <= token.start < end]
    assert {"pump_t", "PUMP_IDLE", "speed", "CONFIG_PUMP"} <= {name for name, _, _ in tokens_of(start, end)}


def test_a_half_typed_line_leaves_the_others_their_colours() -> None:
    view = MemoryView(FILES)
    source = view.source("drivers/pump.c")
    assert source is not None
    broken = Source(source.path, source.data.replace(b"pump_users++;", b"if (pump_users && ("))
    found = semantic_tokens(view, broken, 0, len(broken.data), lambda: False)
    kinds = {(broken.data[token.start : token.end], token.type) for token in found}
    assert {(b"start", "method"), (b"speed", "parameter"), (b"pump_start", "function")} <= kinds


def test_a_cancelled_question_gives_nothing() -> None:
    view = MemoryView(FILES)
    source = view.source("drivers/pump.c")
    assert source is not None
    assert semantic_tokens(view, source, 0, len(source.data), lambda: True) == []


def test_the_legend_names_every_type_and_modifier() -> None:
    assert get_args(TokenType) == TOKEN_TYPES
    assert get_args(Modifier) == TOKEN_MODIFIERS
