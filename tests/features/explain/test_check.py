"""Of what a model wrote, only what the sources bear out is kept, as plain text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kexpert.features.explain.check import Evidence, checked_summary, checked_text, finished_part, sentences
from kexpert.render.explain import to_markdown
from tests.features.explain.facts_of import explained

CODE = """\
int toy_start(struct toy *toy, u16 len)
{
	spin_lock(&toy->lock);
	if (!toy->ops)
		return -EINVAL;
	return spring_go(toy, 0x10);
}"""
GIVEN = Evidence([CODE, "drivers/toy/core.c", "runs as an interrupt handler (irq)"])


def summary(text: str) -> str:
    return checked_summary(text, GIVEN, "toy_start", CODE, ["Stop the toy"])


def explanation(text: str) -> str:
    return checked_text(text, GIVEN, 4, 600)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Start the toy", "Start the toy"),
        ("start the toy.", "Start the toy"),
        ("toy_start() - Start the toy", "Start the toy"),
        ("Summary: Start the toy\nMore words follow.", "Start the toy"),
        ("This function starts the toy.", "Starts the toy"),
        ("`toy_start()` starts the toy with @len", "toy_start() starts the toy with len"),
        ("Write a 16-bit length to toy->ops", "Write a 16-bit length to toy->ops"),
        ("Handle the IRQ of the toy", "Handle the IRQ of the toy"),
        ("**Start** the toy — “now”", 'Start the toy - "now"'),
        ('"Start the toy."', "Start the toy"),
        ("<think>Hm, what is foo_bar()?</think>\nStart the toy", "Start the toy"),
        ("Start the toy<|im_end|>\n<|im_start|>user\nAnd now?", "Start the toy"),
        ("\x1b[31mStart the toy", ""),
        ("Start\x00 the\x07 toy", "Start the toy"),
    ],
)
def test_a_good_line_is_kept(written: str, shown: str) -> None:
    assert summary(written) == shown


@pytest.mark.parametrize(
    "written",
    [
        "",
        "   \n\n",
        "Start",
        "toy start",
        "The toy_start function",
        "int toy_start(struct toy *toy, u16 len)",
        "Stop the toy",  # as the other function that it was shown
        "Start the toy with foo_bar",
        "Start the toy by calling rewind()",
        "Start the toy through toy->bogus_ops",
        "Set the member toy.bogus",
        "Start the DMA engine",
        "Start the WindUp engine",
        "Start 17 toys",
        "Start the toy or return -ENOMEM",
        "Start the toy under RCU",
        "Start the toy. " * 1 + "x" * 200,
        "Start the toy the toy the toy",
        "Start start the toy",
        "Start the toy, wind it up and start the toy",
        "See [the page](https://example.org)",
        "See https://example.org for more",
        "See www.example.org for more",
        "Ask terry@example.org about it",
        "<b>Start</b> the toy",
        "Start the toy &lt;now&gt;",
        "| Start | the toy |",
        "# Start the toy",
        "Starte das Spielzeug für alle",
        "I am a language model and start the toy",
        "Summarize in one line.",
        "The code is summarized as:",
        "The code is concise and effectively conveys the toy.",
        "File: drivers/toy/core.c",
        "```c\nint toy_start();\n```",
        "<|im_start|>assistant Start the toy",
    ],
)
def test_a_bad_line_is_no_text(written: str) -> None:
    assert summary(written) in ("", "Start the toy")
    assert summary(written) == "" or written.startswith("Start the toy. ")


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("It holds the mutex.", "mutex_lock"),
        ("The caller must hold the lock.", "spin_lock"),
        ("It may sleep here.", "might_sleep"),
        ("It runs in atomic mode.", "in_atomic"),
        ("It disables interrupts now.", "local_irq_save"),
        ("It returns an error code.", "err"),
    ],
)
def test_a_claim_about_locks_contexts_and_errors_needs_a_source(claim: str, evidence: str) -> None:
    assert checked_text(claim, Evidence(["int f(int value)"]), 3, 200) == ""
    assert checked_text(claim, Evidence([evidence]), 3, 200) == claim


def test_sentences_are_judged_one_by_one() -> None:
    written = (
        "Sure! Here is what it does.\n\n1. **Takes** the lock `toy->lock`.\n2. Calls `spring_go()` with the toy,\n"
        "   e.g. after a check.\n3. Calls zap(). It returns -EINVAL if there are no ops.\n```c\nx();\n```\n# End\n"
        "Takes the lock toy->lock."
    )
    assert explanation(written) == (
        "Takes the lock toy->lock. Calls spring_go() with the toy, e.g. after a check. "
        "It returns -EINVAL if there are no ops."
    )


def test_a_name_at_the_beginning_stays_as_it_is_written() -> None:
    assert explanation("spring_go() is called at the end. it returns then.") == (
        "spring_go() is called at the end. It returns then."
    )
    assert summary("toy_ops2 of a spring are set") == ""
    assert summary("spring_go and the rest of it") == "spring_go and the rest of it"


def test_an_english_word_at_the_beginning_gets_a_capital_though_the_code_has_it_too() -> None:
    assert summary("lock of the toy is taken") == "Lock of the toy is taken"


def test_no_more_sentences_and_characters_than_wanted() -> None:
    many = " ".join(f"The toy is {word} now." for word in ("red", "blue", "green", "wound", "slow", "fast"))
    assert explanation(many).count(".") == 4
    assert len(checked_text(many, GIVEN, 9, 45)) <= 45


def test_only_whole_sentences_of_an_answer_that_goes_on() -> None:
    assert finished_part("One is. Two are, e.g. th") == "One is. "
    assert finished_part("One") == ""


def test_list_marks_and_paragraphs_end_sentences() -> None:
    assert list(sentences("One line\ngoes on\n\n- Two\n* Three. Four")) == ["One line goes on", "Two", "Three.", "Four"]


#: Text as a model writes it that has lost its way: words of the code, words of its own, markup, markers.
PIECES = st.sampled_from([
    "toy_start()", "toy->lock", "foo_bar", "zap()", "-EINVAL", "-EIO", "Start", "the", "toy", ". ", ", ", "\n", "\n\n",
    "- ", "1. ", "# ", "<b>", "</b>", "<script>alert(1)</script>", "[x](http://a.b)", "![i](j.png)", "http://x.org",
    "<|im_end|>", "<|im_start|>", "</s>", "[INST]", "```", "`", "*", "_", "|", "&lt;", "&amp", "\\", "\u202e", "\u200b",
    "é", "𝓯oo", "16", "0x10", "4711", "CPU", "irq", "FooBar", "x86", "\x1b[0m", "\x00", "<!--", "-->", "<https://a.b>",
    "javascript:alert(1)", "[a]: b", "~~~", "<think>", "foo.bar", "a@b", "@len", "%ZAP", "&zap", "e.g.", "(", ")", ";",
])  # fmt: skip
ANSWERS = st.lists(PIECES | st.text(max_size=12), max_size=40).map("".join) | st.lists(PIECES, max_size=40).map(
    " ".join
)


@given(ANSWERS)
@example("Start the toy <|im_end|> more")
@example("toy->lock-->Start")
@example("@zap starts the toy. %ZAP starts the toy. &zap; starts the toy.")
def test_nothing_that_a_model_writes_becomes_markup_or_an_unknown_name(written: str) -> None:
    for text in (summary(written), explanation(written)):
        assert re.fullmatch(r"[ !\"%'()+,\-./:;=?\w>&@]*", text, re.ASCII)
        assert not re.search(r"[<\[\]`|\\*#]|(?<!-)>|://|www|&\w|@|im_end|im_start|INST", text)
        known = set(re.findall(r"\w+", CODE)) | {"drivers", "core", "c", "irq"}
        for word in re.findall(r"\w*_\w*|\w+(?=\(\))|\w*[a-z][A-Z]\w*|(?<=->)\w+", text):
            assert word in known
        for number in re.findall(r"\d+", text):
            assert int(number) in (10, 16, 0)


@given(ANSWERS)
@example("toy->lock toy_start()")
@example("toy () takes the lock.")
def test_what_is_kept_stays_kept(written: str) -> None:
    once = explanation(written)
    assert explanation(once) == once


@given(ANSWERS)
def test_a_page_holds_no_link_that_a_model_wrote(written: str) -> None:
    from dataclasses import replace

    from kexpert.features.explain.explanation import Location, Written

    found = explained("int f(void) { return 0; }")
    text = explanation(written)
    mark = Written(text or "Nothing.", "m](x) <b>", "<|a|>", (Location("a.c", 0),))
    page = to_markdown(replace(found, written_summary=mark, written_text=mark))
    words = page.split("## In the words of a model")[1].split("*Machine-written")[0]
    assert "](" not in words
    assert not re.search(r"(?<!\\)<", words)
