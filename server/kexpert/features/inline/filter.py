"""Whether a suggestion is worth showing: one that is wrong costs more attention than it saves keys."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.scope import block_locals, locals_at
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.text import decode
from kexpert.features.semantics.resolve import chain_start
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View

Doubt = Literal["", "empty", "unsure", "repetition", "unknown name"]

_WORD = re.compile(rb"[A-Za-z_]\w*")
#: Looked up for one suggestion; a longer one is not what it says of names.
_MOST_NAMES = 40
_REACH = 400_000
#: Names that the compiler or the preprocessor makes.
_BUILT_IN = re.compile(r"__(?:builtin_\w+|func__|FUNCTION__|FILE__|LINE__|VA_ARGS__|VA_OPT__|COUNTER__)|defined")
_DIRECTIVES = frozenset({"include", "define", "ifdef", "ifndef", "if", "elif", "else", "endif", "undef", "error"})


def doubt(view: View, source: Source, offset: int, text: bytes, logprob: float, least: float) -> tuple[Doubt, str]:
    """(why a suggestion is to be hidden, what of it); ("", "") for one to show.

    ``logprob`` is how sure the model is (NaN: the engine does not say), ``least`` the one below which it hides.
    """
    if not text.strip():
        return "empty", ""
    if logprob < least:
        return "unsure", f"{logprob:.2f}"
    if again := repeated(source.data, offset, text):
        return "repetition", again
    for name in names_in(source, offset, text):
        if not exists(view, source, name):
            return "unknown name", name
    if member := _no_member(view, source, offset, text):
        return "unknown name", member
    return "", ""


def repeated(data: bytes, offset: int, text: bytes) -> str:
    """A line that a suggestion says again and again, or that the lines around it say already."""
    lines = [line.strip() for line in text.split(b"\n")]
    inked = [line for line in lines if len(line) > 3]
    for line in inked:
        if inked.count(line) > 2:
            return decode(line)
    begin = data.rfind(b"\n", 0, offset) + 1
    first = (data[begin:offset] + lines[0]).strip()
    above = data[data.rfind(b"\n", 0, max(begin - 1, 0)) + 1 : max(begin - 1, 0)].strip()
    behind = data.find(b"\n", offset)
    below = data[behind + 1 : behind + 400].lstrip().partition(b"\n")[0].strip() if behind >= 0 else b""
    if len(first) > 3 and (first == above or (first == below and len(inked) == 1)):
        return decode(first)
    words = _WORD.findall(text)
    for size in (1, 2, 3):  # "foo, foo, foo, foo"
        for at in range(len(words) - 4 * size + 1):
            if words[at : at + size] * 4 == words[at : at + 4 * size]:
                return decode(b" ".join(words[at : at + size]))
    return ""


def names_in(source: Source, offset: int, text: bytes) -> list[str]:
    """Identifiers that a suggestion uses, each once and whole where it begins inside one; those that it
    declares itself are none."""
    tokens = _tokens(source, offset, text)
    begin = source.data.rfind(b"\n", 0, offset) + 1
    lines = Tokens(b"{" + source.data[begin:offset] + text + b"}")
    declared = {local.name for local in block_locals(lines, 0) if local.name_start > offset - begin}
    end = offset + len(text)
    found: dict[str, None] = {}
    for at, token in enumerate(tokens.items):
        touches = token.end > offset and token.start < end
        if touches and tokens.is_word(at) and token.text not in KEYWORDS and token.text not in declared:
            found[token.text] = None
    return list(found)[:_MOST_NAMES]


def _tokens(source: Source, offset: int, text: bytes) -> Tokens:
    """The tokens of the lines that hold a suggestion, as they would stand."""
    data = source.data
    begin = data.rfind(b"\n", 0, offset) + 1
    line_end = data.find(b"\n", offset)
    behind = data[offset : line_end if line_end >= 0 else len(data)]
    return Tokens(data[begin:offset] + text + behind[:200], base=begin)


@lru_cache(maxsize=8)
def _words(source: Source) -> frozenset[bytes]:
    return frozenset(_WORD.findall(source.data[:_REACH]))


def exists(view: View, source: Source, name: str) -> bool:
    """Whether the file or the index knows a name."""
    if name.encode() in _words(source) or name in _DIRECTIVES or _BUILT_IN.fullmatch(name):
        return True
    return bool(view.lookup(name, limit=1))


def _no_member(view: View, source: Source, offset: int, text: bytes) -> str:
    """A member that a suggestion takes of a struct which is known and does not have it."""
    data = source.data
    after = source.edited(data[:offset] + text + data[offset:])
    types = Types(view, after)
    tokens = _tokens(source, offset, text)
    visible = {local.name: local.type for local in locals_at(after, offset) if local.kind != "label"}
    end = offset + len(text)
    for at, token in enumerate(tokens.items):
        if token.end <= offset or token.start >= end or tokens[at - 1] not in (".", "->") or not tokens.is_word(at):
            continue
        start = chain_start(tokens, at - 2)
        if start >= at - 1:  # ``.member = …`` of an initialiser
            continue
        owner = types.expression(tokens, start, at - 1, visible.get)
        if owner is None:
            continue
        members = types.members(owner)
        if members and not any(member.name == token.text for member in members):
            return f"{tokens.join(start, at - 1)}{tokens[at - 1]}{token.text}"
    return ""
