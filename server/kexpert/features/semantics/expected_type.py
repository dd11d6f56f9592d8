"""The call around a place, and the type that is expected there."""

from __future__ import annotations

from dataclasses import dataclass

from kexpert.core.c.declarators import CType, read_declaration, read_type
from kexpert.core.c.function_extent import enclosing_function, function_tokens
from kexpert.core.c.postfix import chain_start
from kexpert.core.c.tokens import Tokens
from kexpert.features.semantics.initialisers import designated, designated_owner
from kexpert.features.semantics.type_inference import Types

_NOT_CALLED = frozenset(
    {"if", "while", "for", "switch", "return", "sizeof", "typeof", "__typeof__", "defined", "__attribute__", "case",
     "else", "do", "alignof", "_Alignof"}
)  # fmt: skip
_COMPARED = frozenset({"=", "==", "!=", "<", ">", "<=", ">=", "|=", "&=", "|", "&"})


@dataclass(frozen=True, slots=True)
class CallSite:
    """``callee`` is the token range before the parenthesis; ``argument`` counts from 0."""

    callee: tuple[int, int]
    opening: int
    argument: int


def call_around(tokens: Tokens, at: int) -> CallSite | None:
    """The innermost call whose parentheses hold the token after ``at``."""
    opening = tokens.enclosing(at + 1, "(")
    while opening > 0:
        before = tokens[opening - 1]
        if before in (")", "]") or (tokens.is_word(opening - 1) and before not in _NOT_CALLED):
            argument = max(len(tokens.commas(opening + 1, at + 1)) - 1, 0)
            return CallSite((chain_start(tokens, opening - 1), opening), opening, argument)
        opening = tokens.enclosing(opening, "(")
    return None


def expected_type(types: Types, tokens: Tokens, at: int, offset: int) -> CType | None:
    """The type expected after token ``at``: in an assignment, a comparison, a ``case``, an argument, a ``return``."""
    text = tokens[at]
    if text in _COMPARED:
        return types.at(tokens, chain_start(tokens, at - 1), at, offset) or _designated(types, tokens, at, offset)
    if text == "case":
        brace = tokens.enclosing(at, "{")
        opening = tokens.partner(brace - 1) if brace > 0 and tokens[brace - 1] == ")" else -1
        if opening > 0 and tokens[opening - 1] == "switch":
            return types.at(tokens, opening + 1, brace - 1, offset)
        return None
    if text == "return":
        return _returned(types, offset)
    if text in ("(", ","):
        call = call_around(tokens, at)
        return _argument(types, tokens, call, offset) if call else None
    return None


def _designated(types: Types, tokens: Tokens, at: int, offset: int) -> CType | None:
    if tokens[at] != "=" or not designated(tokens, at - 2):
        return None
    owner = designated_owner(types, tokens, at - 2, offset)
    member = types.member(owner, tokens[at - 1]) if owner else None
    return member.type if member else None


def _returned(types: Types, offset: int) -> CType | None:
    function = enclosing_function(types.source, offset)
    declaration = read_declaration(function_tokens(types.source, function), 0) if function else None
    return declaration.declared[0].type.returned() if declaration and declaration.declared else None


def _argument(types: Types, tokens: Tokens, call: CallSite, offset: int) -> CType | None:
    callee = types.at(tokens, *call.callee, offset)
    if callee is None:
        return None
    signature = next((step for step in types.resolved(callee).derived if step.startswith("(")), "")
    inner = Tokens(signature.encode("latin-1", "replace"))
    parameters = inner.commas(1, len(inner) - 1)
    return read_type(inner.join(*parameters[call.argument])) if call.argument < len(parameters) else None
