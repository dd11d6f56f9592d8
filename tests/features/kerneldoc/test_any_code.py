"""Code that is being typed: a comment for whatever is left, or a reason; never an error, and never a broken comment."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.core.docs.kerneldoc import parse_kerneldoc
from kexpert.core.text import encode
from kexpert.features.kerneldoc.declaration import Undocumentable
from kexpert.features.kerneldoc.draft import draft
from kexpert.features.kerneldoc.target import target_at
from tests.support.memory_view import MemoryView

CODE = b"""\
/* Wind it. It takes a while. */
int toy_wind(struct toy *toy, unsigned int turns)
{
	if (toy->broken)
		return -EINVAL;
	mutex_lock(&toy->lock);
	toy->turns = turns;
	mutex_unlock(&toy->lock);
	return 0;
}
/**
 * g - it
 * @a: one
 */
int g(int a, char *b[], int (*c)(int))
{
	return f(a, b, c);
}
#define F(a, \\
	b...) f(a, b)
struct s {
	int a; /* one */
	union { int b; u8 c[2]; };
} __packed;
enum e { A = 1, B };
SYSCALL_DEFINE1(toy, int, id)
{
	return 0;
}
"""
INSERTED = [b"", b"(", b"{", b"/*", b"*/", b"\xff", b",", b"#"]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(CODE)), st.integers(0, 60), st.sampled_from(INSERTED))
def test_any_edit_gives_a_comment_or_a_reason(start: int, length: int, new: bytes) -> None:
    data = CODE[:start] + new + CODE[start + length :]
    view = MemoryView({"a.c": data})
    source = view.source("a.c")
    assert source is not None
    for symbol in view.symbols_in("a.c"):
        with contextlib.suppress(Undocumentable):
            target = target_at(view, source, symbol.name_start)
            if target is None or target.is_complete:
                continue
            made = draft(view, source, target)
            comment = encode(made.comment())
            assert comment.startswith(b"/**\n") and comment.endswith(b"*/") and comment.count(b"*/") == 1
            doc = parse_kerneldoc(comment)
            assert doc is not None
            described = {param.name for param in doc.params}
            assert described >= {each.name for each in target.declaration.parameters if each.name != "..."}
