"""Steps of an explanation quote the comments that the author wrote at them."""

from __future__ import annotations

import pytest

from kexpert.features.explain.remarks import first_sentence
from kexpert.render.explain import to_json, to_markdown, to_plain_text
from tests.features.explain.facts_of import explained


def remarks(body: str) -> dict[str, str]:
    """Text of a step -> the comment at it, of the steps that have one."""
    found = explained(f"int f(struct dev *dev, int x)\n{{\n{body}\n}}\n")
    return {step.text: step.remark for step in found.steps if step.remark}


def test_a_comment_goes_with_the_statement_below_it() -> None:
    assert remarks("""
	/* Reset the controller. It needs 5 ms afterwards. */
	write_reg(dev, 0xE2);
	write_reg(dev, 0x10);
	/*
	 * Set bias ratio,
	 * e.g. 1/9
	 */
	write_reg(dev, 0xE8);
	other(dev);
	// without power it
	// answers nothing
	dev->ops->power(dev);
	return 0;
""") == {
        "Calls `write_reg()`.": "Reset the controller",
        "Calls `write_reg()` and `other()`.": "Set bias ratio, e.g. 1/9",
        "Calls `dev->ops->power()`.": "without power it answers nothing",
    }


def test_a_comment_on_a_branch_or_at_its_beginning() -> None:
    assert remarks("""
	/* PV guests need not wait */
	if (dev->pv)
		return 0;
	if (x) {
		/* nobody listens */
		return -ENODEV;
	}
	if (x > 1) {
		/* tell the others */
		wake_up(&dev->wait);
	}
	/* now the slow way */
	if (x > 2) {
		/* one by one */
		a(dev);
		dev->n = 1;
		/* and the last */
		b(dev);
	}
	while (x--) { /* until all are gone */
		c(dev);
	}
	return 0;
""") == {
        "If `dev->pv`, returns `0`.": "PV guests need not wait",
        "If `x`, returns `-ENODEV`.": "nobody listens",
        "If `x > 1`: calls `wake_up()`.": "tell the others",
        "If `x > 2`:": "now the slow way",
        "Calls `a()`.": "one by one",
        "Calls `b()`.": "and the last",
        "Loops: `while (x--)`: calls `c()`.": "until all are gone",
    }


def test_a_commented_write_to_a_local_is_told_and_a_plain_one_is_not() -> None:
    body = "\tint n, m;\n\n\tn = x - 4;\n\t/* ignore the CRC */\n\tm = n - 4;\n\treturn use(dev, m);"
    assert remarks(body) == {"Sets `m` to `n - 4`.": "ignore the CRC"}
    texts = [step.text for step in explained(f"int f(struct dev *dev, int x)\n{{\n{body}\n}}\n").steps]
    assert texts == ["Sets `m` to `n - 4`.", "Returns what `use()` returns."]


def test_a_comment_behind_a_call_but_not_one_in_a_table_of_writes() -> None:
    assert remarks("""
	dev->a = 1; /* the first one */
	dev->b = 2; /* the second one */
	msleep(10); /* wait for the PLL */
	return 0;
""") == {"Calls `msleep()`.": "wait for the PLL"}


@pytest.mark.parametrize("comment", [
    "/* foo(dev); */", "/* if (x) {\n\t}\n\t */", "/* fall through */", "/* ---------- */", "/* else */", "/* x */",
    "/* NOTREACHED */", "/* p0 p1 ... pm\n\t *  / \\ / \\ / \\ */", "/* #define DEBUG */", "//dev->x = 1;",
    "/* do nothing */", "/**/", "/* stop here */\n",
])  # fmt: skip
def test_what_is_no_remark(comment: str) -> None:
    """Code that is commented out, marks for other programs, drawings, and comments before a blank line."""
    assert remarks(f"\t{comment}\n\ta(dev);\n\treturn 0;") == {}


@pytest.mark.parametrize(("text", "sentence"), [
    ("Take it. Then go.", "Take it."),
    ("Use e.g. foo.c or i.e. bar. Then go.", "Use e.g. foo.c or i.e. bar."),
    ("No end", "No end"),
    ("Is it? Yes", "Is it?"),
    ("aaa bbb ccc", "aaa …"),
])  # fmt: skip
def test_the_first_sentence(text: str, sentence: str) -> None:
    assert first_sentence(text, 9 if sentence.endswith("…") else 160) == sentence


def test_it_is_quoted_in_every_form_of_the_page_and_no_markup() -> None:
    found = explained("int f(int x)\n{\n\t/* Ask *twice*, see [x](y) and __foo__ */\n\ta(x);\n\treturn 0;\n}\n")
    lines = to_markdown(found).split("\n")
    step = next(line for line in lines if line.startswith("1. "))
    assert step == "1. Calls `a()`. *“Ask \\*twice\\*, see \\[x\\](y) and `__foo__`”* [L4](drivers/x/x.c#L4)"
    assert 'Calls a(). "Ask *twice*, see [x](y) and __foo__"' in to_plain_text(found)
    assert to_json(found)["steps"][0]["comment"] == "Ask *twice*, see [x](y) and __foo__"
    assert "comment" not in to_json(found)["steps"][1]
