"""What a name is: find_function, find_type, find_symbol, find_config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexpert.mcp.tool import NAME, PATH, Param, Question, Tool
from kexpert.mcp.tools.found import some

if TYPE_CHECKING:
    from kexpert.features.named.definitions import Definitions

_MAX_BODY_LINES = 250
_MAX_TYPE_LINES = 160
_MAX_HELP_CHARS = 6000


def _find_function(question: Question) -> str:
    by_name = question.snapshot.by_name
    found = some(question, by_name.functions(question["name"], question["path"]), "function or macro")
    return _answer(question, found, _MAX_BODY_LINES if question["body"] else 0)


def _find_type(question: Question) -> str:
    by_name = question.snapshot.by_name
    found = some(question, by_name.types(question["name"], question["path"]), "struct, union, enum or typedef")
    return _answer(question, found, _MAX_TYPE_LINES)


def _find_symbol(question: Question) -> str:
    found = some(question, question.snapshot.by_name.symbols(question["name"], question["path"]), "symbol")
    return _answer(question, found, 0)


def _answer(question: Question, found: Definitions, max_text_lines: int) -> str:
    """``max_text_lines``: of the text of the first definition; 0 for none."""
    from kexpert.render import named

    by_name = question.snapshot.by_name
    first, *others = by_name.described(found.symbols)
    card = by_name.card_of(first.symbol)
    text = by_name.text_of(first.symbol, max_text_lines) if max_text_lines else None
    return named.definitions(found, first, card, others, text)


def _find_config(question: Question) -> str:
    from kexpert.render import named, plain_text

    by_name = question.snapshot.by_name
    found = some(question, by_name.options(question["name"]), "configuration option")
    card = by_name.card_of(found.symbols[0])
    first = found.symbols[0]
    title = named.head(f"{first.name}, {named.place(first.path, first.line)}", "exact")
    text = plain_text.hover_card(card) if card is not None else ""
    if len(text) > _MAX_HELP_CHARS:
        text = f"{text[:_MAX_HELP_CHARS]}…\n(cut; {found.total} entries in all)"
    return f"{title}\n{text}"


FIND_FUNCTION = Tool(
    "find_function",
    "Function, macro or syscall: signature, place, variants with conditions, callers, locks; body=true adds its text",
    (NAME, PATH, Param("body", "boolean", False, aliases=("verbose",))),
    _find_function,
)
FIND_TYPE = Tool("find_type", "Text of a struct, union, enum or typedef, each variant", (NAME, PATH), _find_type)
FIND_SYMBOL = Tool(
    "find_symbol",
    "Any name: global, member (file_operations.open), enumerator and macro with value, tracepoint, CONFIG_X",
    (NAME, PATH),
    _find_symbol,
)
FIND_CONFIG = Tool(
    "find_config", "Kconfig option: prompt, depends, selects, help, what it builds", (NAME,), _find_config
)
