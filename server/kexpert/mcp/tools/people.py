"""maintainers: who looks after a file or the file of a name."""

from __future__ import annotations

from kexpert.mcp.tool import Param, Question, Tool, ToolFailure
from kexpert.mcp.tools.found import best
from kexpert.workspace.refusal import Refusal


def _maintainers(question: Question) -> str:
    from kexpert.render import named

    asked = question["name"].strip().removeprefix("./")
    snapshot = question.snapshot
    path = asked.rstrip("/")
    if not (snapshot.view.exists(path) or snapshot.view.list_dir(path)):
        try:
            path = best(question, snapshot.by_name.symbols(asked), "file, folder or symbol").path
        except Refusal:
            raise ToolFailure(f"{asked!r} is no file or folder of the tree and no name") from None
    found = snapshot.by_name.responsible(path)
    if found is None:
        raise ToolFailure("the tree has no file MAINTAINERS")
    return named.responsible(found)


MAINTAINERS = Tool(
    "maintainers",
    "People and lists for a path or a name",
    (Param("name", required=True, high=400, aliases=("path",)),),
    _maintainers,
)
