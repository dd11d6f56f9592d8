"""Who calls whom: find_callers, find_calls."""

from __future__ import annotations

from kexpert.mcp.tool import NAME, PATH, Question, Tool, limit
from kexpert.mcp.tools.found import best, others_note

_WHAT = "function or macro"


def _find_callers(question: Question) -> str:
    from kexpert.render import named

    by_name = question.snapshot.by_name
    found = by_name.functions(question["name"])
    callers = by_name.callers(best(question, found, _WHAT), question["path"], question["limit"])
    return named.callers(callers) + others_note(found)


def _find_calls(question: Question) -> str:
    from kexpert.render import named

    by_name = question.snapshot.by_name
    found = by_name.code(question["name"], question["path"])
    return named.callees(by_name.callees(best(question, found, _WHAT), question["limit"])) + others_note(found)


FIND_CALLERS = Tool(
    "find_callers",
    "Functions that call it, and the ops tables that hold it; path narrows the callers",
    (NAME, PATH, limit(30)),
    _find_callers,
)
FIND_CALLS = Tool(
    "find_calls",
    "Functions it calls, through operations too",
    (NAME, PATH, limit(60)),
    _find_calls,
)
