"""Initialisers: the struct that the braces fill, and so the meaning of ``.open`` in them."""

from __future__ import annotations

from kexpert.core.c.declarators import CType, read_declaration, read_parameter
from kexpert.core.c.tokens import Tokens
from kexpert.features.semantics.type_inference import Types

_MAX_NESTING = 12


def designated(tokens: Tokens, dot: int) -> bool:
    """True if the ``.`` belongs to a designator, ``.a.b[2].c``, and is no member access."""
    if tokens[dot] != ".":
        return False
    at = dot
    while at > 0 and (tokens[at] == "." or tokens.is_word(at) or tokens[at] == "]"):
        if tokens[at] != "." and tokens[at + 1] not in (".", "["):
            return False
        at = tokens.partner(at) - 1 if tokens[at] == "]" else at - 1
    return tokens[at] in ("{", ",", "") and tokens[at + 1] in (".", "[") and tokens.enclosing(dot, "(", "{") >= 0 and (
        tokens[tokens.enclosing(dot, "(", "{")] == "{"
    )


def designated_owner(types: Types, tokens: Tokens, dot: int, offset: int) -> CType | None:
    """The type whose member the name after the ``.`` of a designator is."""
    outer = braces_type(types, tokens, tokens.enclosing(dot, "{"), offset)
    return _designated_type(types, tokens, _designator_start(tokens, dot), dot, outer)


def braces_type(types: Types, tokens: Tokens, brace: int, offset: int, depth: int = 0) -> CType | None:
    """The type that the initialiser which opens at ``brace`` fills: of an array for the braces of an array.

    Inside those, ``.`` can only mean an element: then the type of the element.
    """
    if brace < 1 or depth > _MAX_NESTING:
        return None
    before = tokens[brace - 1]
    if before == ")":
        opening = tokens.partner(brace - 1)
        literal = read_parameter(tokens, opening + 1, brace - 1, types.source.path) if opening >= 0 else None
        return literal.type if literal and not literal.name else None
    if before in ("{", ","):
        outer = braces_type(types, tokens, tokens.enclosing(brace, "{"), offset, depth + 1)
        return outer.target() if outer and outer.derived[:1] == ("[]",) else None
    if before != "=":
        return None
    start = _designator_start(tokens, brace - 2)
    if tokens[start] in (".", "["):
        outer = braces_type(types, tokens, tokens.enclosing(brace, "{"), offset, depth + 1)
        return _designated_type(types, tokens, start, brace - 1, outer)
    declaration = read_declaration(tokens, _declaration_start(tokens, brace), types.source.path)
    for declared in reversed(declaration.declared if declaration else []):
        if declared.start < tokens.start(brace) and declared.name_start < tokens.start(brace):
            return declared.type
    # ``*p = (struct x) {`` and the like have no declaration: ask the left side
    return types.at(tokens, start, brace - 1, offset)


def _designator_start(tokens: Tokens, at: int) -> int:
    """Go back over ``.a.b[2]`` to the beginning of the designator, or of the left side of an assignment."""
    while at > 0:
        if tokens[at] == "]" and tokens.partner(at) > 0:
            at = tokens.partner(at)
        if tokens[at - 1] in ("{", ",", ";", "}", "("):
            break
        at -= 1
    return max(at, 0)


def _designated_type(types: Types, tokens: Tokens, at: int, stop: int, outer: CType | None) -> CType | None:
    """The type of ``.a.b[2]`` in braces of type ``outer``."""
    while outer is not None and at < stop:
        if tokens[at] == "[":
            outer, at = outer.target(), tokens.past(at)
        elif tokens[at] == ".":
            member = types.member(outer, tokens[at + 1])
            outer, at = (member.type if member else None), at + 2
        else:
            return None
    return outer


def _declaration_start(tokens: Tokens, at: int) -> int:
    """Go back to the beginning of the declaration that token ``at`` belongs to."""
    at -= 1
    while at >= 0:
        text = tokens[at]
        if text in (";", "{"):
            break
        if text == "}":
            opening = tokens.partner(at)
            record = opening - 1 if tokens[opening - 1] in ("struct", "union", "enum") else opening - 2
            if opening < 0 or tokens[record] not in ("struct", "union", "enum"):
                break
            at = record - 1
            continue
        if text in (")", "]"):
            at = max(tokens.partner(at), 0)
        at -= 1
    return at + 1
