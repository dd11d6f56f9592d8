"""Prompts: the golden form, and tokens that are never cut at the cursor."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.extract import extract
from kexpert.prompt.declaration_summary import summarise_declaration
from kexpert.prompt.fim import (
    PROMPT_VERSION,
    Context,
    Excerpt,
    Marker,
    heal,
    render,
    render_document,
    token_ids,
)  # fmt: skip

GOLDEN = Path(__file__).parent / "golden" / "prompts.json"

CONTEXT = Context(
    "drivers/toy/toy.c",
    "int toy_play(struct toy *toy)\n{\n\treturn toy_wi",
    ";\n}\n",
    (Excerpt("include/linux/toy.h", "struct toy {\n\tint turns;\n};\nint toy_wind(struct toy *toy);"),),
)


def written(pieces: list[object]) -> str:
    return "".join(piece.value if isinstance(piece, Marker) else str(piece) for piece in pieces)


def rendered() -> dict[str, str]:
    kept, tail = heal(CONTEXT.prefix)
    return {
        "spm": written(render(CONTEXT)),
        "psm": written(render(CONTEXT, "psm")),
        "example spm": written(render(CONTEXT, "spm", "nd(toy)")),
        "example psm": written(render(CONTEXT, "psm", "nd(toy)")),
        "document": written(render_document("a.c", "int a;\n", CONTEXT.excerpts)),
        "healed": f"{kept}|{tail}",
        "brief": "\n".join(
            summarise_declaration(SYMBOLS[s.start : s.end], s.kind)
            for s in extract("a.h", SYMBOLS).symbols
            if s.kind.name != "MEMBER"
        ),
    }


SYMBOLS = b"""\
/** a doc */
extern int __must_check toy_wind(struct toy *toy, /* how far */
				 unsigned int turns);
struct toy {
	int turns;	/* wound */

	struct {
		u8 broken;
	};
} __packed;
#define TOY_MAX(a, b) \\
	((a) > (b) ? (a) : (b))
#define TOY_TURNS 100
typedef unsigned int toy_t;
static inline int toy_is_broken(struct toy *toy) { return toy->broken; }
"""


def test_prompts_equal_the_golden_file() -> None:
    """Models are trained on this form: a changed form needs a new PROMPT_VERSION and a new golden file."""
    golden = json.loads(GOLDEN.read_text())
    assert golden["version"] == PROMPT_VERSION, "write a golden file for the new version"
    assert rendered() == golden["prompts"], "the prompts changed: raise PROMPT_VERSION and write a new golden file"


def test_a_changed_golden_file_has_a_new_version() -> None:
    """The golden file keeps the hash of each version, so it cannot change without a new version."""
    golden = json.loads(GOLDEN.read_text())
    digest = hashlib.sha256(json.dumps(golden["prompts"], sort_keys=True).encode()).hexdigest()[:16]
    assert golden["history"][str(PROMPT_VERSION)] == digest
    assert sorted(map(int, golden["history"])) == list(range(1, PROMPT_VERSION + 1))


@pytest.mark.parametrize("order", ["spm", "psm"])
def test_an_example_begins_with_the_prompt_for_its_hole(order: str) -> None:
    prompt, example = written(render(CONTEXT, order)), written(render(CONTEXT, order, "nd(toy)"))  # type: ignore[arg-type]
    assert example == prompt + "nd(toy)" + Marker.END.value


def test_the_prompt_ends_with_the_typed_text() -> None:
    assert render(CONTEXT)[-1] == CONTEXT.prefix


def test_markers_in_text_are_not_parsed() -> None:
    markers = {marker: at for at, marker in enumerate(Marker)}
    ids = token_ids([Marker.FIM_PREFIX, "<|fim_middle|>", Marker.END], lambda text: [100 + len(text)], markers)
    assert ids == [0, 114, 6]


def test_a_marker_that_a_vocabulary_lacks_is_left_out() -> None:
    assert token_ids([Marker.FILE_SEP, "a.c\n"], lambda text: [7], {}) == [7]


@pytest.mark.parametrize(
    ("prefix", "tail"),
    [
        ("x = kmal", " kmal"),
        ("x = kmalloc(", "("),
        ("\tif (ret)\n\t\tre", "\t\tre"),
        ("\tif (ret)\n\t\t", "\t\t"),
        ("toy->", "->"),
        ("toy->tur", "tur"),
        ("foo_ba", "_ba"),
        ("a = 12", "2"),
        ("return 0;\n", ";\n"),
        ("", ""),
    ],
)
def test_the_prompt_ends_before_the_last_word(prefix: str, tail: str) -> None:
    assert heal(prefix) == (prefix.removesuffix(tail), tail)


def test_a_very_long_word_stays_in_the_prompt() -> None:
    assert heal("/* " + "*" * 200) == ("/* " + "*" * 200, "")


#: The regex of Qwen2, written for ``re``. Letters and digits of the samples are ASCII.
QWEN2 = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CODE = st.lists(
    st.sampled_from(["foo", "_bar", "->", "(", ")", ";", "\n", "\t", " ", "42", "*", "if", "{", "}", "'", '"', "="])
).map("".join)


@given(CODE, CODE)
def test_no_continuation_changes_the_tokens_of_the_prompt(prefix: str, written_next: str) -> None:
    """Training tokenizes the whole text, serving only the prompt. Their first pre-tokens must be equal."""
    kept, tail = heal(prefix)
    first, _, _ = f"{tail}{written_next}".partition("\n")
    if not tail or not first.strip():  # a line of blanks forms one pre-token with the line break before it
        return
    in_training = QWEN2.findall(prefix + written_next)
    in_serving = QWEN2.findall(kept)
    assert in_training[: len(in_serving)] == in_serving
