"""Prompts: one form for training and for serving, and words that are never cut."""

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


def test_prompts_are_the_golden_ones_of_this_version() -> None:
    """Models are trained on this form. A change of it is a new PROMPT_VERSION, and a new golden file."""
    golden = json.loads(GOLDEN.read_text())
    assert golden["version"] == PROMPT_VERSION, "write the golden file anew for the new version"
    assert rendered() == golden["prompts"], "the prompts changed: raise PROMPT_VERSION and write the golden file anew"


def test_a_golden_file_that_was_written_anew_has_a_new_version() -> None:
    """Each version keeps the hash of its prompts: a golden file cannot change under an old version."""
    golden = json.loads(GOLDEN.read_text())
    digest = hashlib.sha256(json.dumps(golden["prompts"], sort_keys=True).encode()).hexdigest()[:16]
    assert golden["history"][str(PROMPT_VERSION)] == digest
    assert sorted(map(int, golden["history"])) == list(range(1, PROMPT_VERSION + 1))


@pytest.mark.parametrize("order", ["spm", "psm"])
def test_an_example_begins_with_the_prompt_for_its_hole(order: str) -> None:
    prompt, example = written(render(CONTEXT, order)), written(render(CONTEXT, order, "nd(toy)"))  # type: ignore[arg-type]
    assert example == prompt + "nd(toy)" + Marker.END.value


def test_what_is_typed_stands_last() -> None:
    assert render(CONTEXT)[-1] == CONTEXT.prefix


def test_markers_are_ids_and_text_is_not_read_for_markers() -> None:
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
def test_the_last_word_is_left_to_the_model(prefix: str, tail: str) -> None:
    assert heal(prefix) == (prefix.removesuffix(tail), tail)


def test_a_very_long_word_is_left_whole() -> None:
    assert heal("/* " + "*" * 200) == ("/* " + "*" * 200, "")


#: Qwen2's own regex in the terms of ``re``: letters and digits of the samples are ASCII.
QWEN2 = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CODE = st.lists(
    st.sampled_from(["foo", "_bar", "->", "(", ")", ";", "\n", "\t", " ", "42", "*", "if", "{", "}", "'", '"', "="])
).map("".join)


@given(CODE, CODE)
def test_no_continuation_changes_how_the_prompt_is_divided(prefix: str, written_next: str) -> None:
    """Training tokenises the whole, serving the prompt: the prompt's pre-tokens must be the whole's first ones."""
    kept, tail = heal(prefix)
    first, _, _ = f"{tail}{written_next}".partition("\n")
    if not tail or not first.strip():  # a line of blanks alone joins the line's end before it
        return
    whole = QWEN2.findall(prefix + written_next)
    ours = QWEN2.findall(kept)
    assert whole[: len(ours)] == ours
