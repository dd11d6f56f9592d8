"""How it works, step by step; selections; and input that is no good."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.core.c.source import Source
from kexpert.features.explain.explain import explain
from kexpert.features.explain.explanation import Explanation
from kexpert.render.explain import to_json, to_markdown, to_plain_text
from tests.features.explain.facts_of import explained
from tests.support.complexity import assert_linear
from tests.support.memory_view import MemoryView


def steps(body: str, before: str = "") -> list[str]:
    body = "\n".join(line if line.startswith(("#", "\t")) else f"\t{line}" for line in body.split("\n"))
    found = explained(f"{before}int f(struct dev *dev, int x)\n{{\n{body}\n}}\n")
    return ["  " * step.depth + step.text for step in found.steps]


def test_a_branch_that_only_leaves_is_one_sentence() -> None:
    body = 'if (!dev)\nreturn -EINVAL;\nif (x) {\npr_err("no");\nret = -EIO;\ngoto out;\n}\nout:\nreturn 0;'
    assert steps(body) == [
        "If `!dev`, returns `-EINVAL`.",
        "If `x`, sets `ret` to `-EIO` and goes to `out`.",
        "At `out` (from line 8):",
        "Returns `0`.",
    ]


def test_a_call_and_the_check_of_its_result_are_one_step() -> None:
    before = "/**\n * start_it() - Start the thing.\n */\nint start_it(struct dev *dev)\n{\n\treturn 0;\n}\n\n"
    body = "int ret = start_it(dev);\nif (ret < 0)\nreturn ret;\ndev->p = find(x);\nif (!dev->p)\nreturn -ENOENT;"
    assert steps(f"{body}\nreturn 0;", before) == [
        "Calls `start_it()` (start the thing), result in `ret`; if that fails, returns its error.",
        "Calls `find()`, result in `dev->p`; if that fails, returns `-ENOENT`.",
        "Returns `0`.",
    ]


def test_runs_of_calls_and_of_writes_are_one_step_each_and_logging_none() -> None:
    body = 'int y;\na();\nb();\ndev_info(dev, "x");\ndev->x = 1;\ndev->y = 2;\ny = 3;\ndev->ops->open(dev);'
    assert steps(f"{body}\nreturn 0;") == [
        "Calls `a()` and `b()`.",
        "Sets `dev->x` to `1` and `dev->y` to `2`.",
        "Calls `dev->ops->open()`.",
        "Returns `0`.",
    ]


def test_a_write_says_the_value_unless_it_is_long_or_one_of_many() -> None:
    assert steps("dev->a |= BUSY;\ndev->b &= ~IDLE;\ngo(dev);\nreturn 0;")[0] == (
        "Sets `BUSY` in `dev->a` and clears `IDLE` in `dev->b`."
    )
    assert steps("dev->a++;\ngo(dev);\ndev->a = dev->b = 3;\nreturn 0;")[::2] == [
        "Increments `dev->a`.", "Sets `dev->a` and `dev->b` to `3`.",
    ]  # fmt: skip
    long = " + ".join(["dev->something_or_other"] * 4)
    assert steps(f"dev->a = {long};\ngo(dev);\nreturn 0;")[0] == "Sets `dev->a`."
    assert steps("dev->a = be32_to_cpup(p);\ngo(dev);\nreturn 0;")[0] == "Sets `dev->a` to `be32_to_cpup(p)`."
    cases = "switch (x) {\ncase 1:\ndev->a = 1;\nbreak;\ncase 2:\ndev->a = 2;\n}"
    assert steps(f"if (x) {{\n{cases}\ngo(dev);\n}}\nreturn 0;")[1] == "  Depending on `x`: changes `dev->a`."
    many = "dev->a = 1;\ndev->b = 2;\ndev->c |= 3;\ngo(dev);\nreturn 0;"
    assert steps(many)[0] == "Sets `dev->a`, `dev->b` and `dev->c`."
    assert steps("if (x)\ndev->a = 1;\nelse\ndev->a = 2;\nreturn 0;")[:2] == [
        "If `x`: sets `dev->a` to `1`.", "Otherwise: sets `dev->a` to `2`.",
    ]  # fmt: skip


def test_loops_scopes_switches_and_nesting() -> None:
    assert steps("""
	list_for_each_entry(p, &dev->list, node) {
		if (p->x)
			continue;
		spin_lock(&p->lock);
	}
	scoped_guard(mutex, &dev->m) {
		go(dev);
		stop(dev);
		kfree(dev->p);
	}
	switch (x) {
	case A:
	case B:
		return 1;
	case C:
		go(dev);
		break;
	default:
		dev->x = 1;
	}
	do {
		go(dev);
	} while (x--);
	return go(dev);""") == [
        "Loops: `list_for_each_entry(p, &dev->list, node)`:",
        "  If `p->x`, goes on with the next round.",
        "  Takes `&p->lock` (spinlock).",
        "Within `scoped_guard(mutex, &dev->m)`:",
        "  Calls `go()` and `stop()`.",
        "  Frees `dev->p` (`kfree()`).",
        "Depending on `x`:",
        "  `A` or `B`: returns `1`.",
        "  `C`: calls `go()`.",
        "  `default`: sets `dev->x` to `1`.",
        "Repeats while `x--`: calls `go()`.",
        "Returns what `go()` returns.",
    ]  # fmt: skip


def test_branches_that_only_choose_a_value_say_which() -> None:
    assert steps("""
	int flags = 0, size;
	flags |= A;
	if (x > 3)
		flags |= B;
	else
		flags &= ~C;
	switch (x) {
	case 1:
		size = SMALL;
		break;
	case 2:
		if (dev->big)
			size = LARGE;
		break;
	}
	if (x == 4) {
		flags |= D | E;
		goto out;
	}
	set(flags, size);
out:
	return 0;""") == [
        "If `x > 3`: sets `B` in `flags`.",
        "Otherwise: clears `C` in `flags`.",
        "Depending on `x`:",
        "  `1`: sets `size` to `SMALL`.",
        "  `2`: changes `size` on further conditions.",
        "If `x == 4`, sets `D | E` in `flags` and goes to `out`.",
        "Calls `set()`.",
        "At `out` (from line 21):",
        "Returns `0`.",
    ]


def test_what_was_not_told_is_not_referred_to() -> None:
    """No "otherwise" after a condition that is not on the page, no "depending on" without cases."""
    quiet = 'pr_debug("x");'
    assert steps(f"if (x) {{\n{quiet}\n}} else {{\na();\nb();\n}}\nreturn 0;") == [
        "Unless `x`: calls `a()` and `b()`.",
        "Returns `0`.",
    ]
    assert steps(f"if (x)\n{quiet}\nelse if (x == 2)\na();\nreturn 0;")[0] == "Unless `x`, if `x == 2`: calls `a()`."
    found = steps(f"if (x)\n{quiet}\nelse if (x == 2)\n{quiet}\nelse\na();\nreturn 0;")
    assert found[0] == "Unless a condition from line 3 on holds: calls `a()`."
    assert steps(f"switch (x) {{\ncase 1:\n{quiet}\nbreak;\n}}\nreturn 0;") == ["Returns `0`."]


def test_what_happens_on_further_conditions_is_told_apart() -> None:
    inner = "if (lock_it(dev) != 0) {\n*dev->err = x;\ngoto out;\n}\ndev->b = 1;"
    assert steps(f"while (x--) {{\nif (dev->a) {{\n{inner}\n}}\nrun(dev);\n}}\nout:\nreturn 0;")[1] == (
        "  If `dev->a`: calls `lock_it()`; sets `dev->b` to `1`; on further conditions sets `*dev->err` to `x`."
    )


def test_a_returned_macro_stands_as_it_is_written() -> None:
    assert steps("int err = run(dev);\nif (err)\ngoto out;\nstop(dev);\nout:\nreturn ERR_PTR(err);")[-1] == (
        "Returns `ERR_PTR(err)`."
    )


def test_conditional_compilation_is_said() -> None:
    assert steps("#ifdef CONFIG_X\na();\n#else\nb();\n#endif\n#ifndef CONFIG_Y\nc();\n#endif\nreturn 0;") == [
        "Built with `CONFIG_X`:",
        "  Calls `a()`.",
        "Otherwise built:",
        "  Calls `b()`.",
        "Built without `CONFIG_Y`:",
        "  Calls `c()`.",
        "Returns `0`.",
    ]


def test_the_number_of_steps_is_bounded() -> None:
    found = steps("".join(f"\tif (x == {at}) {{\n\t\ta{at}();\n\t\tkfree(p);\n\t}}\n" for at in range(300)))
    assert len(found) == 41
    assert found[-1] == "… and 260 further steps"


TWO = """static int one(int x)
{
	if (x)
		return -EINVAL;
	return helper(x);
}

/* Does the second thing. More of it. */
static int two(int x)
{
	msleep(x);
	return 0;
}
"""


def selected(text: str, start: str, end: str) -> Explanation | None:
    view = MemoryView({"a.c": text.encode()})
    source = view.source("a.c")
    assert source is not None
    last = text.index(end, text.index(start)) + len(end)
    return explain(view, source, len(text[: text.index(start)].encode()), len(text[:last].encode()))


def test_a_selection_within_a_function_has_its_own_facts_and_steps() -> None:
    found = selected(TWO, "if (x)", "-EINVAL;")
    assert found is not None
    assert (found.name, found.what, found.line, found.end_line) == ("one, lines 3 to 4", "selection", 2, 3)
    assert [fact.text for fact in found.facts] == ["returns `-EINVAL` if `x`"]
    assert [step.text for step in found.steps] == ["If `x`, returns `-EINVAL`."]
    assert found.summary.text == "Part of the function `one`"


def test_a_selection_over_two_functions_says_what_each_does() -> None:
    found = selected(TWO, "return helper", "msleep(x);")
    assert found is not None
    assert found.summary.text == "2 definitions: `one` and `two`"
    texts = [step.text for step in found.steps]
    assert texts == ["`one`: A function: calls `helper()`", "`two`: Does the second thing."]


def test_a_selection_of_a_whole_function_explains_the_function() -> None:
    found = selected(TWO, "static int one", "(x);\n}")
    assert found is not None
    assert (found.name, found.what) == ("one", "function")


@pytest.mark.parametrize(
    "text", ["", "   \n\n  ", "int x;\n", "struct x { int y; };\n", "#include <x.h>\n", "/* f() { } */"]
)
def test_what_is_no_function_has_no_explanation(text: str) -> None:
    view = MemoryView({"a.c": text.encode()})
    source = view.source("a.c")
    assert source is not None
    assert explain(view, source, 0, 0) is None
    assert explain(view, source, 0, len(text)) is None


def test_blanks_that_are_selected_are_nothing() -> None:
    assert selected(TWO, "\n\n", "\n") is None


def test_a_macro_is_explained_by_its_body() -> None:
    found = explained("""
/**
 * frob - frob it
 */
#define frob(x) do { \\
	might_sleep(); \\
	if (x) \\
		go(x); \\
} while (0)
""", "frob")
    assert (found.what, found.summary.text, found.signature) == ("macro", "frob it", "#define frob(x) do {")
    assert [(step.text, step.line) for step in found.steps] == [("If `x`: calls `go()`.", 6)]
    contexts = [(fact.text, fact.line) for fact in found.facts if fact.kind == "context"]
    assert contexts == [("may sleep: `might_sleep()`", 5)]


def test_a_use_outside_functions_is_explained_at_its_definition() -> None:
    text = "int two(int x)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL(two);\n"
    view = MemoryView({"a.c": text.encode()})
    source = view.source("a.c")
    assert source is not None
    at = text.rindex("two")
    found = explain(view, source, at, at)
    assert found is not None
    assert (found.name, found.line) == ("two", 0)


def test_a_long_function_is_explained() -> None:
    body = "\tret = foo(x);\n\tif (ret)\n\t\tgoto out;\n" * 1000
    text = f"int f(struct d *d, int x)\n{{\n\tint ret;\n{body}out:\n\treturn ret;\n}}\n"
    view = MemoryView({"a.c": text.encode()})
    source = view.source("a.c")
    assert source is not None
    assert source.facts.symbols
    found = explain(view, source, 5, 5)
    assert found is not None
    assert "what `foo()` returns, unless 0" in [row.value for row in found.returns]


UNITS = [
    "\tif (x == 3)\n\t\tgoto out;\n\tret = -EINVAL;\n",
    "\tspin_lock(&d->lock);\n\td->x = g();\n\tspin_unlock(&d->lock);\n",
    "\tif (x) {\n\t\tret = 1;\n\t} else ",
    "\tif (x)\n\t\tret = -EIO;\n",
    "\twhile (x) {\n",
    "\tx = (",
    "#ifdef X\n",
    "\tcase 1:\n",
]


@pytest.mark.parametrize("unit", UNITS)
def test_the_time_grows_with_the_length(unit: str) -> None:
    def run(size: int) -> None:
        text = f"int f(struct d *d, int x)\n{{\n\tint ret = 0;\n{unit * (size // 8)}\t;\nout:\n\treturn ret;\n}}\n"
        view = MemoryView({"a.c": text.encode()})
        explain(view, Source("a.c", text.encode()), 5, 5)

    assert_linear(run)


PIECES = st.sampled_from([
    b"int f(int x)\n{\n", b"}\n", b"{", b"if (x)", b"else ", b"return -EINVAL;", b"return", b"goto out;",
    b"out:", b"switch (x) {", b"case 1:", b"default:", b"#if X\n", b"#else\n", b"#endif\n",
    b"#define f(x) \\\n", b"mutex_lock(&x->m);", b"mutex_lock(", b"guard(mutex)(", b"scoped_guard(",
    b"list_for_each_entry(x, y, z) {", b"(", b")", b";", b"`", b"/*", b"*/", b'"', b"'", b"\\\n", b"\xff\xfe",
    b"\x00", b"x->y = kmalloc(1, GFP_KERNEL);", b"ret = PTR_ERR(x);", b"? :", b"\n", b"&&", b"request_irq(",
])  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=8), max_size=30), st.integers(0, 300), st.integers(0, 300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_an_answer(pieces: list[bytes], start: int, end: int) -> None:
    data = b"".join(pieces)
    view = MemoryView({"a.c": data})
    source = view.source("a.c")
    assert source is not None
    found = explain(view, source, start, end)
    if found is not None:
        last = data.count(b"\n") + data.count(b"\r")
        assert all(0 <= fact.line <= last for fact in found.facts)
        assert all(0 <= step.line <= last for step in found.steps)
        assert all(step.text.count("`") % 2 == 0 for step in found.steps)
        to_markdown(found)
        to_plain_text(found)
        to_json(found)
