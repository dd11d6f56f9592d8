"""The definition that a call means, or the failure that says which names come near."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexpert.mcp.tool import Question, ToolFailure

if TYPE_CHECKING:
    from kexpert.core.symbols import Symbol
    from kexpert.features.named.definitions import Definitions


def some(question: Question, found: Definitions, what: str) -> Definitions:
    """The definitions, if there are any. Raises ToolFailure with the nearest names."""
    from kexpert.render import named

    if found.symbols:
        return found
    text = named.no_such_name(what, found.name, found.nearest)
    if question.arguments.get("path"):
        text += f"; only {question['path']} was looked at"
    raise ToolFailure(text)


def best(question: Question, found: Definitions, what: str) -> Symbol:
    """The definition that is most likely meant. Raises ToolFailure."""
    return some(question, found, what).symbols[0]


def others_note(found: Definitions) -> str:
    """Which definitions an answer about the first one leaves out; "" for none."""
    from kexpert.render import named

    if found.total < 2:
        return ""
    rest = [named.place(each.path, each.line) for each in found.symbols[1:5]]
    more = found.total - 1 - len(rest)
    return f"\nOther definitions, path= chooses: {', '.join(rest)}" + (f" and {more} more" if more > 0 else "")
