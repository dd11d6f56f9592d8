"""The comments that the author wrote at the statements of a body."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tree_sitter import Node

from kexpert.core.docs.kerneldoc import comment_text
from kexpert.features.explain.body import Body

MAX_CHARS = 160

#: Up to a full stop that ends a sentence: not that of "e.g." or of "drivers/foo.c".
_SENTENCE = re.compile(r"(.{4,}?(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bvs)(?<!\bcf)[.!?])(?=\s+[^a-z\s]|\s*\Z)", re.S)
#: Of code that is commented out, or of a ruler.
_NO_PROSE = re.compile(r"[;{}]\s*(?:\n|\Z)|\A\s*[#@<]|[-=*#_+~/]{4}|\A[\w>.-]+\([^()]*\)\s*;?\Z")
_WORD = re.compile(r"[^\W\d_]{2,}")
_MARKS = re.compile(
    r"fall[\s-]*through?|(?:not|never) reached|notreached|do(?:es)? nothing|nothing(?: to do)?|empty|no-?op|"
    r"(?:no )?break|else.*|end\b.*|endif.*|default.*|SPDX.*|for checkpatch.*|sparse.*|lint.*|coverity.*",
    re.I,
)


def first_sentence(paragraph: str, max_chars: int = MAX_CHARS) -> str:
    """The first sentence of prose on one line, cut between words where it is longer than ``max_chars``."""
    match = _SENTENCE.match(paragraph)
    sentence = match[1] if match else paragraph
    if len(sentence) <= max_chars:
        return sentence
    return sentence[: max_chars - 1].rsplit(None, 1)[0].rstrip(",;:") + " …"


def remarks_of(body: Body, children: Sequence[Node]) -> dict[int, str]:
    """Id of a statement -> the first sentence of the comment directly above it, or else behind a call on its line.

    ``children``: all children of a block, comments among them.
    """
    found: dict[int, str] = {}
    above: list[Node] = []
    before: Node | None = None
    for node in children:
        if node.type != "comment":
            if above and body.line(node) - body.end_line(above[-1]) <= 1 and (text := _remark(body, above)):
                found[node.id] = text
            above, before = [], node
        elif before is not None and body.line(node) == body.end_line(before):
            is_call = before.type == "expression_statement" and next(body.calls_in(before), None) is not None
            if is_call and before.id not in found and (text := _remark(body, [node])):
                found[before.id] = text
        elif above and body.raw(node).startswith(b"//") and body.line(node) - body.end_line(above[-1]) == 1:
            above.append(node)
        else:
            above = [node]
    return found


def opening_remark(body: Body, then: Node) -> str:
    """The comment on the first statement of a branch."""
    children = then.named_children if then.type == "compound_statement" else []
    first = next((child for child in children if child.type != "comment"), None)
    return remarks_of(body, children).get(first.id, "") if first is not None else ""


def _remark(body: Body, comments: Sequence[Node]) -> str:
    text = comment_text(b"\n".join(body.raw(comment) for comment in comments)).split("\n\n", 1)[0]
    if _NO_PROSE.search(text):
        return ""
    sentence = first_sentence(" ".join(text.split())).replace("`", "'").strip(" .:-")
    return sentence if _is_prose(sentence) and not _MARKS.fullmatch(sentence) else ""


def _is_prose(sentence: str) -> bool:
    """Whether most of it is words: no drawing, no table, no formula."""
    words = sum(_WORD.search(part) is not None for part in sentence.split())
    return words >= 2 and words >= 0.6 * len(sentence.split())
