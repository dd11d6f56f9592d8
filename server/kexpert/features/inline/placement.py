"""Whether a suggestion is possible where it is to be inserted, by brackets and the few words that need another before.

Tokens alone are read: while a line is typed, no syntax tree is right there.
"""

from __future__ import annotations

from kexpert.core.c.tokens import Tokens
from kexpert.features.semantics.cursor import CursorContext

_OPENING = {")": "(", "]": "[", "}": "{"}
_STATEMENTS = frozenset(
    {"if", "for", "while", "do", "switch", "return", "goto", "break", "continue", "case", "default"}
)
#: What comes before the brace of an initialiser.
_BEFORE_INITIALISER = frozenset({"=", ",", "{", ")"})
_MAX_REST_OF_LINE = 200
#: Brackets whose partners are looked for around the cursor are at most this many tokens away.
_MAX_TOKENS = 20_000


def misplaced(cursor: CursorContext, text: bytes) -> str:
    """The part of a suggestion that is impossible at the cursor; "" if nothing is wrong with it."""
    data, offset = cursor.source.data, cursor.offset
    if text.count(b"*/") > text.count(b"/*") and cursor.lexical_class == "code":
        return "*/"
    tokens = cursor.tokens
    last = tokens.at_offset(offset - 1)
    if last >= 0 and tokens.stop(last) > offset:  # the cursor is inside a word or a string
        last -= 1
    begun = _begun_word(data, offset)
    open_brackets = _open_brackets(tokens, last)
    inserted = Tokens(begun + text)
    wrong = _first_wrong(tokens, open_brackets, inserted)
    if not wrong:
        line_end = data.find(b"\n", offset)
        rest = data[offset : line_end if line_end >= 0 else len(data)][:_MAX_REST_OF_LINE]
        if rest.strip() and not _first_wrong(tokens, open_brackets, Tokens(begun + rest)):
            wrong = _first_wrong(tokens, open_brackets, Tokens(begun + text + rest))
    if not wrong and inserted[0] == "else" and not _ends_an_if(tokens, _before_word(tokens, last, begun)):
        wrong = "else"
    return wrong


def _begun_word(data: bytes, offset: int) -> bytes:
    start = offset
    while start and (data[start - 1 : start].isalnum() or data[start - 1 : start] == b"_"):
        start -= 1
    return data[start:offset]


def _before_word(tokens: Tokens, last: int, begun: bytes) -> int:
    """The token before the word at the cursor."""
    return last - 1 if begun and tokens[last] == begun.decode("latin-1") else last


def _open_brackets(tokens: Tokens, last: int) -> list[int]:
    """Tokens up to ``last`` that open a bracket which is not closed before the cursor, outermost first."""
    stack: list[int] = []
    for at in range(max(0, last - _MAX_TOKENS), last + 1):
        text = tokens[at]
        if text in ("(", "[", "{"):
            stack.append(at)
        elif text in _OPENING and stack and tokens[stack[-1]] == _OPENING[text]:
            stack.pop()
    return stack


def _first_wrong(tokens: Tokens, open_brackets: list[int], inserted: Tokens) -> str:
    """The first token that closes what is not open, or that no initialiser may hold."""
    stack = [(tokens[at], _opens_initialiser(tokens, at)) for at in open_brackets]
    has_outer = bool(stack)
    for at, token in enumerate(inserted.items):
        text = token.text
        if text in ("(", "[", "{"):
            stack.append((text, False))
        elif text in _OPENING:
            if not stack:
                return text if has_outer or text != "}" else ""
            if stack[-1][0] != _OPENING[text]:
                return text
            stack.pop()
        elif stack and stack[-1][1] and (text == ";" or (text in _STATEMENTS and inserted[at - 1] not in (".", "->"))):
            return text
    return ""


def _opens_initialiser(tokens: Tokens, at: int) -> bool:
    """True for the brace after ``=``, and for those inside it."""
    if tokens[at] != "{":
        return False
    before = tokens[at - 1]
    if before == "=":
        return True
    outer = tokens.enclosing(at - 1, "{") if before in _BEFORE_INITIALISER else -1
    return outer >= 0 and tokens[outer] == "{" and tokens[outer - 1] == "="


def _ends_an_if(tokens: Tokens, last: int) -> bool:
    """True if the statement that ends with token ``last`` is an ``if``, as far as can be told."""
    if tokens[last] == "}":
        opening = tokens.partner(last)
        return opening < 0 or tokens[opening - 1] == ")" or tokens[opening - 1] == "else" or tokens[opening - 1] == "do"
    if tokens[last] != ";":
        return False
    at = last - 1
    while at >= 0 and tokens[at] not in (";", "{", "}"):
        if tokens[at] in (")", "]") and tokens.partner(at) >= 0:
            at = tokens.partner(at)
        if tokens[at] in ("if", "else"):
            return True
        at -= 1
    return False
