"""Where a name is used: find_references, find_implementations."""

from __future__ import annotations

from kexpert.mcp.tool import NAME, PATH, Question, Tool, ToolFailure, limit
from kexpert.mcp.tools.found import some


def _find_references(question: Question) -> str:
    from kexpert.render import named

    by_name = question.snapshot.by_name
    found = some(question, by_name.symbols(question["name"]), "symbol")
    uses = by_name.uses(found.symbols[0], question["path"], question.cancelled, question["limit"])
    if uses is None:
        raise ToolFailure(f"{found.symbols[0].path} cannot be read")
    return named.uses(uses)


def _find_implementations(question: Question) -> str:
    from kexpert.render import named

    by_name, name = question.snapshot.by_name, question["name"]
    found = by_name.filled(name, question["path"], question["limit"])
    if found.rows:
        return named.filled(f"functions for {name}", found)
    tables = by_name.filled_by(name, question["path"], question["limit"])
    if tables.rows:
        return named.filled(f"operations that {name} is", tables)
    what = f"nothing is assigned to an operation {name}, and {name} is assigned to none"
    raise ToolFailure(f"{what}; give a member such as file_operations.read_iter, or a function")


FIND_REFERENCES = Tool(
    "find_references",
    "Uses of any name with their lines, nearest files first",
    (NAME, PATH, limit(40)),
    _find_references,
)
FIND_IMPLEMENTATIONS = Tool(
    "find_implementations",
    "Functions assigned to an operation (file_operations.read_iter), or the operations a function is assigned to",
    (NAME, PATH, limit(40)),
    _find_implementations,
)
