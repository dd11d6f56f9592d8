"""The declaration that a macro makes for a symbol, wherever the macro is defined."""

from __future__ import annotations

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.macro_choice import MacroText, includes, likely_definitions
from kexpert.core.c.made_elsewhere import Expander
from kexpert.core.c.made_names import declaration_in
from kexpert.core.c.made_text import declaration_made
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.view import View

_MAX_DEFINITIONS = 40


def made_declaration(view: View, symbol: Symbol) -> str:
    """The declaration as C, without a body; "" if no macro that the tree knows makes it."""
    source = view.source(symbol.path) if symbol.flags & Flag.IDIOM else None
    if source is None:
        return ""
    if own := declaration_made(source.data, symbol):
        return own
    calls = [call for call in source.facts.open_calls if call.start <= symbol.name_start < call.end]
    expander = Expander(
        lambda name: likely_definitions(
            symbol.path, _macros(view, name), lambda path: includes(view.data(path) or b"")
        )
    ) if calls else None
    for call in calls:
        if expander and (found := declaration_in(expander.expand(call, {}), symbol.name)):
            return found
    return ""


def _macros(view: View, name: str) -> list[MacroText]:
    return [
        MacroText(macro.path, blank_comments(view.text(macro), strings=False))
        for macro in view.lookup(name, (Kind.MACRO,), _MAX_DEFINITIONS)
    ]
