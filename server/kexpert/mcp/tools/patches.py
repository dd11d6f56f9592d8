"""diff_functions: what a patch touches."""

from __future__ import annotations

from kexpert.core.text import encode
from kexpert.mcp.tool import Param, Question, Tool, ToolFailure

_MAX_DIFF_CHARS = 1 << 20


def _diff_functions(question: Question) -> str:
    from kexpert.render import named, patch

    found = question.snapshot.patch(encode(question["diff_content"]), question.cancelled)
    if not found.files:
        raise ToolFailure("no file is changed by this text; give a unified diff, as git diff or git show prints it")
    title = f"{len(found.touched)} definitions touched in {len(found.files)} files"
    title = named.head(title, "by syntax if not marked")
    return "\n".join([title, *patch.to_lines(found)])


DIFF_FUNCTIONS = Tool(
    "diff_functions",
    "What a unified diff touches: functions, types, macros, ops tables, options; their callers and maintainers",
    (Param("diff_content", required=True, high=_MAX_DIFF_CHARS, aliases=("diff",)),),
    _diff_functions,
)
