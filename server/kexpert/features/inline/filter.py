"""Which suggestions are hidden: a wrong one costs more attention than it saves keys."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from kexpert.core.c.function_extent import Function
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.postfix import chain_start
from kexpert.core.c.scope import block_locals
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind
from kexpert.core.text import decode
from kexpert.features.inline.placement import misplaced
from kexpert.features.semantics.cursor import CursorContext

#: The reason for which a suggestion is hidden; "" for a shown suggestion.
HiddenReason = Literal["", "empty", "unsure", "repetition", "misplaced", "unknown name"]

_WORD = re.compile(rb"[A-Za-z_]\w*")
_BESIDE_MEMBERS = tuple(kind for kind in Kind if kind is not Kind.MEMBER)
#: Maximum names looked up for one suggestion.
_MAX_NAMES = 40
_MAX_FILE_BYTES = 400_000
_MAX_REST_OF_LINE = 200
#: Names that the compiler or the preprocessor defines.
_BUILT_IN = re.compile(r"__(?:builtin_\w+|func__|FUNCTION__|FILE__|LINE__|VA_ARGS__|VA_OPT__|COUNTER__)|defined")
_DIRECTIVES = frozenset({"include", "define", "ifdef", "ifndef", "if", "elif", "else", "endif", "undef", "error"})
#: A line of fewer letters may repeat; a longer one may occur this often.
_MIN_LINE_LETTERS, _MAX_SAME_LINES = 4, 2
#: Groups of up to ``_MAX_WORD_GROUP`` words may not occur ``_REPEATED_WORDS`` times in a row.
_MAX_WORD_GROUP, _REPEATED_WORDS = 3, 4


def reason_to_hide(
    cursor: CursorContext, text: bytes, logprob: float, min_logprob: float
) -> tuple[HiddenReason, str]:
    """(reason to hide a suggestion, the part of it that is wrong); ("", "") for a suggestion to show.

    ``logprob`` is the model's confidence, NaN if the engine gives none.
    """
    if not text.strip():
        return "empty", ""
    if logprob < min_logprob:
        return "unsure", f"{logprob:.2f}"
    if repeated := _repetition(cursor.source.data, cursor.offset, text):
        return "repetition", repeated
    if wrong := misplaced(cursor, text):
        return "misplaced", wrong
    tokens = _tokens_of_lines(cursor, text)
    for name, is_member in _new_names(cursor, text, tokens):
        if not _exists(cursor, name, is_member):
            return "unknown name", name
    if member := _missing_member(cursor, text, tokens):
        return "unknown name", member
    return "", ""


def _repetition(data: bytes, offset: int, text: bytes) -> str:
    """A line or a group of words that a suggestion repeats, or a line that is above or below it already."""
    lines = [line.strip() for line in text.split(b"\n")]
    long_lines = [line for line in lines if len(line) >= _MIN_LINE_LETTERS]
    for line in long_lines:
        if long_lines.count(line) > _MAX_SAME_LINES:
            return decode(line)
    line_start = data.rfind(b"\n", 0, offset) + 1
    first = (data[line_start:offset] + lines[0]).strip()
    above_end = max(line_start - 1, 0)
    above = data[data.rfind(b"\n", 0, above_end) + 1 : above_end].strip()
    line_end = data.find(b"\n", offset)
    below = [line.strip() for line in data[line_end + 1 : line_end + 2000].split(b"\n")] if line_end >= 0 else []
    below = [line for line in below if line]
    suggested = [first, *(line for line in lines[1:] if line)]
    is_below = suggested == below[: len(suggested)] or (first == below[0] and len(long_lines) == 1 if below else False)
    repeats_neighbour = first == above or is_below
    if len(first) >= _MIN_LINE_LETTERS and repeats_neighbour:
        return decode(first)
    return _repeated_words(_WORD.findall(text))


def _repeated_words(words: list[bytes]) -> str:
    """``foo`` of "foo, foo, foo, foo"."""
    for size in range(1, _MAX_WORD_GROUP + 1):
        for at in range(len(words) - _REPEATED_WORDS * size + 1):
            if words[at : at + size] * _REPEATED_WORDS == words[at : at + _REPEATED_WORDS * size]:
                return decode(b" ".join(words[at : at + size]))
    return ""


def _tokens_of_lines(cursor: CursorContext, text: bytes) -> Tokens:
    """The tokens of the lines that hold a suggestion, once it is inserted."""
    data, offset = cursor.source.data, cursor.offset
    line_start, line_end = data.rfind(b"\n", 0, offset) + 1, data.find(b"\n", offset)
    rest = data[offset : line_end if line_end >= 0 else len(data)]
    return Tokens(data[line_start:offset] + text + rest[:_MAX_REST_OF_LINE], base=line_start)


def _new_names(cursor: CursorContext, text: bytes, tokens: Tokens) -> list[tuple[str, bool]]:
    """(identifier, whether it names a member) of those that a suggestion uses and does not declare, each once; all of
    a word that it completes."""
    data, offset = cursor.source.data, cursor.offset
    line_start, end = data.rfind(b"\n", 0, offset) + 1, offset + len(text)
    as_block = Tokens(b"{" + data[line_start:offset] + text + b"}")
    declared = {local.name for local in block_locals(as_block, 0) if local.name_start > offset - line_start}
    found: dict[tuple[str, bool], None] = {}
    for at, token in enumerate(tokens.items):
        touches = token.end > offset and token.start < end
        if touches and tokens.is_word(at) and token.text not in KEYWORDS and token.text not in declared:
            found[token.text, tokens[at - 1] in (".", "->")] = None
    return list(found)[:_MAX_NAMES]


@lru_cache(maxsize=8)
def _words_of_file(source: Source) -> frozenset[bytes]:
    return frozenset(_WORD.findall(source.data[:_MAX_FILE_BYTES]))


@lru_cache(maxsize=2)
def _words_of_function(source: Source, function: Function) -> frozenset[bytes]:
    return frozenset(_WORD.findall(source.data[function.start : function.end]))


def _exists(cursor: CursorContext, name: str, is_member: bool) -> bool:
    """True if a name is known at the cursor: inside a function the locals of others are not."""
    if name in _DIRECTIVES or _BUILT_IN.fullmatch(name):
        return True
    word = name.encode()
    if is_member or cursor.function is None:
        return word in _words_of_file(cursor.source) or bool(cursor.view.lookup(name, limit=1))
    if word in _words_of_function(cursor.source, cursor.function):
        return True
    return bool(cursor.view.lookup(name, _BESIDE_MEMBERS, limit=1))


def _missing_member(cursor: CursorContext, text: bytes, tokens: Tokens) -> str:
    """A member that a suggestion takes of a struct that is known and does not have it."""
    end = cursor.offset + len(text)
    for at, token in enumerate(tokens.items):
        is_inserted = token.end > cursor.offset and token.start < end
        if not is_inserted or tokens[at - 1] not in (".", "->") or not tokens.is_word(at):
            continue
        start = chain_start(tokens, at - 2)
        if start >= at - 1:  # ``.member = …`` of an initialiser
            continue
        owner = cursor.types.expression(tokens, start, at - 1, cursor.local_types.get)
        members = cursor.types.members(owner) if owner is not None else []
        if members and not any(member.name == token.text for member in members):
            return f"{tokens.join(start, at - 1)}{tokens[at - 1]}{token.text}"
    return ""
