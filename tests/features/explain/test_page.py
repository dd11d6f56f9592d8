"""The page: as Markdown (golden files), as plain text and as JSON.

Golden files: ``tests/features/explain/golden/*.md``; ``KEXPERT_GOLDEN=write pytest …`` writes them anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kexpert.features.explain.explanation import (
    Explanation,
    Fact,
    FactKind,
    Location,
    ReturnValue,
    Statement,
    Step,
    Summary,
)
from kexpert.render.explain import relative_link, to_json, to_markdown, to_plain_text
from tests.features.explain.facts_of import explained

GOLDEN = Path(__file__).parent / "golden"

DRIVER = """//- drivers/frob/frob.c
#include <linux/frob.h>

static unsigned int frob_count;

/**
 * frob_reset() - Put the hardware into a known state.
 * @frob: the device
 */
static int frob_reset(struct frob *frob)
{
	return frob->ops->reset(frob) ? -EIO : 0;
}

static irqreturn_t frob_irq(int irq, void *data)
{
	struct frob *frob = data;

	spin_lock(&frob->lock);
	frob->pending = readl(frob->base);
	spin_unlock(&frob->lock);
	if (!frob->pending)
		return IRQ_NONE;
	schedule_work(&frob->work);
	return IRQ_HANDLED;
}

static int frob_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct frob *frob;
	int ret;

	frob = kzalloc(sizeof(*frob), GFP_KERNEL);
	if (!frob)
		return -ENOMEM;
	frob->clk = clk_get(dev, NULL);
	if (IS_ERR(frob->clk)) {
		ret = PTR_ERR(frob->clk);
		goto err_free;
	}
	ret = frob_reset(frob);
	if (ret)
		goto err_clk;
	mutex_lock(&frob_mutex);
	list_add_tail(&frob->list, &frobs);
	frob_count++;
	mutex_unlock(&frob_mutex);
	ret = request_irq(frob->irq, frob_irq, 0, "frob", frob);
	if (ret) {
		dev_err(dev, "no irq\\n");
		goto err_list;
	}
	get_device(dev);
	return 0;

err_list:
	frob_forget(frob);
err_clk:
	clk_put(frob->clk);
err_free:
	kfree(frob);
	return ret;
}

static struct platform_driver frob_driver = {
	.probe = frob_probe,
};

/**
 * frob_wait() - Wait until nothing is pending.
 * @frob: the device
 * @timeout: how long, in milliseconds
 *
 * Context: Process context. Takes and releases &frob->lock.
 * Return: 0, or -ETIMEDOUT.
 */
int frob_wait(struct frob *frob, int timeout)
{
	unsigned long flags;

	do {
		spin_lock_irqsave(&frob->lock, flags);
		if (!frob->pending) {
			spin_unlock_irqrestore(&frob->lock, flags);
			return 0;
		}
		spin_unlock_irqrestore(&frob->lock, flags);
		msleep(1);
	} while (timeout--);
	return -ETIMEDOUT;
}

SYSCALL_DEFINE2(frob, int, id, int, timeout)
{
	struct frob *frob = frob_find(id);

	if (IS_ERR(frob))
		return PTR_ERR(frob);
#ifdef CONFIG_FROB_STATS
	frob_count++;
#endif
	return frob_wait(frob, timeout);
}
//- drivers/frob/Makefile
obj-$(CONFIG_FROB) += frob.o
"""


@pytest.mark.parametrize("name", ["frob_probe", "frob_irq", "frob_wait", "sys_frob"])
def test_pages_as_markdown(name: str) -> None:
    path = GOLDEN / f"{name}.md"
    text = to_markdown(explained(DRIVER, name))
    if os.environ.get("KEXPERT_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", ["frob_probe", "frob_irq", "frob_wait", "sys_frob"])
def test_every_statement_links_to_a_line_of_a_file(name: str) -> None:
    page = to_markdown(explained(DRIVER, name))
    for line in page.splitlines():
        if line == "- No caller by name is known":
            continue
        if re.match(r" *(-|\d+\.) ", line) or (line.startswith("| ") and "Returns" not in line and "---" not in line):
            assert re.search(r"\]\(drivers/frob/frob\.c#L\d+\)", line), line
    links = [int(number) for number in re.findall(r"\(drivers/frob/frob\.c#L(\d+)\)", page)]
    assert links
    assert max(links) < len(DRIVER.splitlines())


def test_plain_text_has_no_marks() -> None:
    text = to_plain_text(explained(DRIVER, "frob_probe"))
    assert "`" not in text
    assert "Returns -ENOMEM if !frob (line 35)" in text
    assert "Is .probe of struct platform_driver in frob_driver (line 66)" in text


def test_json_has_the_shape_that_programs_expect() -> None:
    found = to_json(explained(DRIVER, "frob_wait"))
    assert list(found) == ["name", "path", "line", "summary", "explanation", "facts", "steps", "markdown"]
    assert (found["name"], found["path"], found["line"]) == ("frob_wait", "drivers/frob/frob.c", 77)
    assert found["summary"] == {
        "text": "Wait until nothing is pending.",
        "origin": "documentation",
        "model": None,
        "adapter": None,
        "sources": [{"path": "drivers/frob/frob.c", "line": 69}],
    }
    errno = {"kind": "errno", "text": "returns `-ETIMEDOUT`", "path": "drivers/frob/frob.c", "line": 90}
    assert errno in found["facts"]
    assert {kind.value for kind in FactKind} >= {fact["kind"] for fact in found["facts"]}
    assert all(set(step) - {"comment"} == {"text", "line", "depth"} for step in found["steps"])


def test_a_summary_from_facts_says_so() -> None:
    found = to_json(explained(DRIVER, "frob_irq"))["summary"]
    assert (found["origin"], found["model"]) == ("facts", None)


HOSTILE = "a`b|c](javascript:x)<img src=x>*d*"


def test_text_of_the_code_is_never_markup() -> None:
    place = Location("a b/(c)\n.c", 3)
    found = Explanation(
        HOSTILE, "function", place.path, 3, 4, "```\nx", Summary(HOSTILE, "documentation", (place,)),
        (Fact(FactKind.LOCK, HOSTILE, place.path, 3),), (Statement("<c>"),), (Statement("<b> `x|y`", (place,)),),
        (ReturnValue("`a|b`", (Statement("`c || d`", (place,)),)),), (Step("`x` <i>", 3), Step("[y](z)", 3, 1)),
        users=(Statement("u"),), gaps=("<gap>",),
    )  # fmt: skip
    page = to_markdown(found)
    prose = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", page)  # without code
    for mark in ("<", "](javascript:", "](z)", "*d*"):
        assert mark not in re.sub(r"\\.", "", prose)
    assert "| `a\\|b` | `c \\|\\| d` [" in page
    assert relative_link(place) == "a%20b/%28c%29%0A.c#L4"
    assert page.count("\n\n````c\n") == 1
