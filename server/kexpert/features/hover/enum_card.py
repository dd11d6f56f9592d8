"""The values of enumerators, worked out from the text of their enum."""

from __future__ import annotations

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.tokens import Tokens
from kexpert.features.hover.card import Enumerator
from kexpert.features.semantics.macro_expansion import Lookup, evaluate

MAX_ENUM = 256 * 1024  # bytes of one enum that are read
_MAX_EXPRESSION = 100


def enumerators(text: bytes, lookup: Lookup) -> list[Enumerator]:
    """The names in ``enum … { … }`` with their values; behind one that cannot be
    worked out, and behind an ``#if``, values are unknown until one is written out again."""
    tokens = Tokens(text)
    brace = next((at for at in range(len(tokens)) if tokens[at] == "{"), -1)
    if brace < 0:
        return []
    stop = tokens.partner(brace) if tokens.partner(brace) >= 0 else len(tokens)
    found: list[Enumerator] = []
    known: dict[str, int] = {}
    following: int | None = 0
    previous = tokens.stop(brace)
    for start, end in tokens.commas(brace + 1, stop):
        if not tokens.is_word(start):
            continue
        name = tokens[start]
        equals = next((at for at in range(start, end) if tokens[at] == "="), -1)
        if b"#" in blank_comments(text[previous : tokens.start(start)]):
            following = None
        previous = tokens.start(start)
        if equals >= 0:
            words = [tokens[at] for at in range(equals + 1, end)]
            expression = " ".join(f"({known[word]})" if word in known else word for word in words)
            following = evaluate(expression, lookup) if len(words) < _MAX_EXPRESSION else None
        found.append(Enumerator(name, following))
        if following is not None:
            known[name] = following
            following += 1
    return found


def enum_around(data: bytes, at: int) -> tuple[int, int] | None:
    """The (start, end) of the ``enum … { … }`` whose braces hold ``at``."""
    floor = max(0, at - MAX_ENUM)
    brace = data.rfind(b"{", floor, at)
    start = data.rfind(b"enum", floor, brace) if brace >= 0 else -1
    end = data.find(b"}", at, at + MAX_ENUM)
    if start < 0 or end < 0 or b";" in data[start:brace] or brace - start > 300:
        return None
    return start, end + 1
