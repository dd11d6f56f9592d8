"""What code says: struct_layout, lock_rules, kernel_doc, explain_function."""

from __future__ import annotations

from kexpert.mcp.tool import NAME, PATH, Question, Tool, ToolFailure
from kexpert.mcp.tools.found import best, others_note

_MAX_FIELDS = 200
_FUNCTION = "function or macro"


def _struct_layout(question: Question) -> str:
    from kexpert.render import named

    by_name = question.snapshot.by_name
    found = by_name.records(question["name"], question["path"])
    symbol = best(question, found, "struct or union")
    card = by_name.layout_card(symbol)
    if card is None:
        raise ToolFailure(f"{symbol.path} cannot be read")
    return named.layout(symbol, card, _MAX_FIELDS) + others_note(found)


def _lock_rules(question: Question) -> str:
    from kexpert.render import named

    by_name = question.snapshot.by_name
    found = by_name.functions(question["name"], question["path"])
    symbol = best(question, found, _FUNCTION)
    locking = by_name.locking(symbol)
    if locking is None:
        raise ToolFailure(f"{symbol.path} cannot be read")
    return named.locking(locking) + others_note(found)


def _kernel_doc(question: Question) -> str:
    from kexpert.render import named

    by_name = question.snapshot.by_name
    found = by_name.symbols(question["name"], question["path"])
    symbol = best(question, found, "symbol")
    card = by_name.card_of(symbol)
    if card is None:
        raise ToolFailure(f"{named.full_name(symbol)} has no documentation")
    return named.documentation(symbol, card) + others_note(found)


def _explain_function(question: Question) -> str:
    from kexpert.render import explain, named

    by_name = question.snapshot.by_name
    found = by_name.code(question["name"], question["path"])
    page = by_name.explained(best(question, found, "function or macro with a body"))
    if page is None:
        raise ToolFailure(f"{question['name']} cannot be explained: its file cannot be read")
    title = named.head(f"explanation of {page.name}, lines are of {page.path}", "by syntax")
    return f"{title}\n{explain.to_plain_text(page)}{others_note(found)}"


STRUCT_LAYOUT = Tool("struct_layout", "Offsets, sizes and holes of a struct or union", (NAME, PATH), _struct_layout)
LOCK_RULES = Tool(
    "lock_rules",
    "Locks a function needs, takes and releases; its contexts; whether it may sleep",
    (NAME, PATH),
    _lock_rules,
)
KERNEL_DOC = Tool("kernel_doc", "All the documentation of a name", (NAME, PATH), _kernel_doc)
EXPLAIN_FUNCTION = Tool(
    "explain_function",
    "Page of facts about a function: how to call it, return values and when, steps, users",
    (NAME, PATH),
    _explain_function,
)
