"""Where a postfix expression begins, ``a`` of ``a->b[1].c(x)``."""

from __future__ import annotations

from kexpert.core.c.tokens import Tokens


def chain_start(tokens: Tokens, at: int) -> int:
    """The first token of the postfix expression that ends with token ``at``: ``a`` of ``a->b[1].c(x)``."""
    while at >= 0:
        text = tokens[at]
        if text in (")", "]", "}"):
            opening = tokens.partner(at)
            if opening < 0:
                return at + 1
            before = tokens[opening - 1]
            if text == ")" and not (before in (")", "]") or _is_operand_word(tokens, opening - 1)):
                return opening
            at = opening - 1
        elif tokens.is_word(at):
            # a line that ends in ``->`` is being typed: the line below is another expression
            if tokens[at - 1] not in (".", "->") or tokens.begins_line(at):
                return at
            at -= 2
        elif text[:1] == '"':
            return at
        elif text in ("++", "--") and (tokens[at - 1] in (")", "]") or _is_operand_word(tokens, at - 1)):
            at -= 1
        else:
            return at + 1
    return 0


def _is_operand_word(tokens: Tokens, at: int) -> bool:
    return tokens.is_word(at) and tokens[at] not in ("return", "if", "while", "switch", "case", "else", "sizeof")
