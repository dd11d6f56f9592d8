"""Facts updated after an edit equal the facts extracted from the edited text."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kexpert.core.c.extract import extract
from kexpert.core.c.incremental_facts import updated_facts
from kexpert.core.c.source import Source
from kexpert.core.symbols import FileFacts

TEXT = b"""#include <linux/fs.h>
#define FIRST 1
static int helper(int a)
{
	int b = a;

	if (b) {
		might_sleep();
		call_one(b); /* a comment */
	}
	return FIRST;
}

static const struct ops ops = {
	.run = helper,
};

SYSCALL_DEFINE1(last, int, fd)
{
#define INSIDE 2
	struct args args = {
		.done = helper,
	};
	return helper(fd);
}
int after(void)
{
	return "x" + call_two();
}
EXPORT_SYMBOL(after);
"""  # fmt: skip
_BITS = [b"x", b"call(", b")", b"\n", b"\n}", b"{", b"}", b" ", b"\t", b"/", b"*", b'"', b"#define Z", b"\n{",
         b"\n#if 0\n", b"\n#else\n", b"\n#endif\n", b".a = b", b"schedule(", b"\\", b"'"]  # fmt: skip


def same(left: FileFacts, right: FileFacts) -> bool:
    return (left.symbols, left.calls, left.assignments) == (right.symbols, right.calls, right.assignments)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), st.sampled_from(_BITS)), min_size=1, max_size=4)
)
@example([(TEXT.index(b"call_one"), 0, b"call_none(1); ")])
@example([(50, 12, b"x"), (187, 6, b")"), (55, 0, b"call(")])
def test_facts_updated_by_edits_equal_extracted_facts(edits: list[tuple[int, int, bytes]]) -> None:
    source = Source("kernel/x.c", TEXT)
    assert source.facts
    for at, removed, added in edits:
        data = source.data[:at] + added + source.data[at + removed :]
        source = source.edited(data)
        fresh = extract("kernel/x.c", data)
        assert same(source.facts, fresh)
        assert source.facts.identifiers >= fresh.identifiers


def test_typing_in_a_body_needs_no_extraction() -> None:
    at = TEXT.index(b"\treturn FIRST")
    typed = TEXT[:at] + b"\tmight_sl" + TEXT[at:]
    updated = updated_facts(TEXT, extract("x.c", TEXT), typed)
    assert updated is not None
    assert same(updated, extract("x.c", typed))
