"""Locals that a macro of another file declares: ``TOY_ITER(it, toy);`` with ``struct toy_iter name = …`` in a header.

``core.c.scope`` knows those whose macro's name says so, or whose macro is in the same file. Here the macro is looked
up in the tree, which is worth it only for a name that is nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from kexpert.core.c.function_extent import enclosing_function, function_tokens
from kexpert.core.c.macro_text import Macro, substitute
from kexpert.core.c.scope import Local, block_locals
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens

_STATEMENT_ENDS = frozenset({";", "{", "}", ")", ":"})
_MAX_CALLS = 4


def local_by_macro(source: Source, name: str, offset: int, macro: Callable[[str], Macro | None]) -> Local | None:
    """The local of this name that a macro call above an offset in the same function declares; None if none does."""
    function = enclosing_function(source, offset)
    if function is None or offset <= function.body_start:
        return None
    tokens = function_tokens(source, function)
    calls = 0
    for at in range(tokens.at_offset(function.body_start), len(tokens)):
        if tokens.start(at) > offset or calls >= _MAX_CALLS:
            break
        if tokens[at] != name or tokens[at - 1] not in ("(", ",") or tokens[at + 1] not in (")", ","):
            continue
        opening = tokens.enclosing(at, "(")
        if opening < 2 or not tokens.is_word(opening - 1) or tokens[opening - 2] not in _STATEMENT_ENDS:
            continue
        calls += 1
        if found := _declared(tokens, opening, name, macro(tokens[opening - 1])):
            block = max(tokens.enclosing(opening, "{"), 0)
            return Local(
                name, found.type, tokens.start(at), "local", tokens.start(opening - 1),
                tokens.stop(tokens.past(opening) - 1), tokens.start(block), tokens.stop(tokens.past(block) - 1),
            )  # fmt: skip
    return None


def _declared(tokens: Tokens, opening: int, name: str, macro: Macro | None) -> Local | None:
    """The local that a macro declares when it is called with the arguments after ``(``."""
    arguments = [tokens.join(*each) for each in tokens.commas(opening + 1, tokens.past(opening) - 1)]
    text = substitute(macro, arguments) if macro and macro.parameters else None
    if not text:
        return None
    made = block_locals(Tokens(f"{{ {text}; }}".encode("latin-1", "replace")), 0)
    return next((local for local in made if local.name == name and local.kind != "label"), None)
