"""find_callchain and grep_functions: questions over many functions."""

from __future__ import annotations

from kexpert.mcp.tool import NAME, PATH, Param, Patience, Question, Tool, ToolFailure, limit
from kexpert.mcp.tools.found import some

_MAX_LEVELS = 6
_MAX_PATTERN_CHARS = 1000
_MAX_NODES = 120
_MAX_CHAIN_SECONDS = 8.0


def _find_callchain(question: Question) -> str:
    from kexpert.render import call_chain, named

    snapshot, name = question.snapshot, question["name"]
    asked = snapshot.by_name.asked(name).name
    if question["to"]:
        other = snapshot.by_name.asked(question["to"]).name
        path = snapshot.call_path(asked, other, question.cancelled)
        if path is None:
            for each in (asked, other):
                some(question, snapshot.by_name.functions(each), "function or macro")
            raise ToolFailure(f"no chain of calls between {asked} and {other} is known")
        return f"{named.head(f'shortest chain of calls, {asked} to {other}', 'each call as marked')}\n" + (
            call_chain.path_to_plain_text(path)
        )
    patience = Patience(_MAX_CHAIN_SECONDS, question.cancelled)
    chain = snapshot.call_chain(
        asked,
        up=question["up_levels"],
        down=question["down_levels"],
        width=max(1, question["calls_limit"]),
        max_nodes=_MAX_NODES,
        cancelled=patience,
    )
    if chain is None:
        some(question, snapshot.by_name.functions(asked), "function or macro")
        raise ToolFailure(f"{asked} has no body in the tree")
    how = "exact where not marked" + (", the time was over: calls are left out" if patience.is_over else "")
    return f"{named.head(f'call chain of {asked}', how)}\n{call_chain.to_plain_text(chain)}"


def _grep_functions(question: Question) -> str:
    from kexpert.render import grep, named

    snapshot = question.snapshot
    path = question["path"]
    found = snapshot.grep(
        question["pattern"],
        paths=[path] if path else [],
        max_results=max(1, question["limit"]),
        cancelled=question.cancelled,
    )
    if not found.hits:
        where = f" in {path}" if path else ""
        raise ToolFailure(f"no function, macro or type{where} holds a match of {question['pattern'][:80]!r}")
    sources = snapshot.source if question["verbose"] else None
    how = "exact" if found.is_exact else "exact, not all was searched"
    title = f"definitions that hold {question['pattern'][:80]!r}"
    return "\n".join([named.head(title, how), *grep.to_lines(found, source_of=sources)])


FIND_CALLCHAIN = Tool(
    "find_callchain",
    "Callers above and callees below, through ops tables too; to=NAME: the shortest chain between both",
    (
        NAME, Param("up_levels", "integer", 2, high=_MAX_LEVELS), Param("down_levels", "integer", 2, high=_MAX_LEVELS),
        Param("calls_limit", "integer", 10, high=40), Param("to", default=""),
    ),
    _find_callchain,
)  # fmt: skip
GREP_FUNCTIONS = Tool(
    "grep_functions",
    "Functions, macros and types whose text holds an RE2 regex; verbose=true adds their text",
    (Param("pattern", required=True, high=_MAX_PATTERN_CHARS), PATH, limit(20), Param("verbose", "boolean", False)),
    _grep_functions,
)
