"""What can be asked: indexing_status, list_branches."""

from __future__ import annotations

from kexpert.mcp.tool import Question, Tool, ToolFailure
from kexpert.workspace.git_branches import branches
from kexpert.workspace.index_status import index_status

_MAX_BRANCHES = 60


def _indexing_status(question: Question) -> str:
    activity = question.tree.activity()
    configuration = f"Configuration: {question.tree.snapshot().configuration_words()}"
    return "\n".join([*index_status(question.tree.root), configuration, *([f"Now: {activity}"] if activity else [])])


def _list_branches(question: Question) -> str:
    found = branches(question.tree.root)
    if found is None:
        raise ToolFailure(f"{question.tree.root} is not under git; answers are of its files as they are")
    lines = [f"{len(found.names)} branches; answers are of the files as they are, checked out: {found.current}"]
    lines += [f"{'* ' if each == found.current else '  '}{each}" for each in found.names[:_MAX_BRANCHES]]
    if len(found.names) > _MAX_BRANCHES:
        lines.append(f"{len(found.names) - _MAX_BRANCHES} more")
    return "\n".join(lines)


INDEXING_STATUS = Tool("indexing_status", "Tree, state of the index, what is missing", (), _indexing_status)
LIST_BRANCHES = Tool("list_branches", "Git branches; the working tree alone is indexed", (), _list_branches)
