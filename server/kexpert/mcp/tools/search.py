"""By meaning: vgrep_functions, ask. No model writes: an agent words the answer itself."""

from __future__ import annotations

from kexpert.mcp.tool import PATH, Param, Question, Tool, ToolFailure, limit

_MAX_QUERY_CHARS = 500


def _vgrep_functions(question: Question) -> str:
    from kexpert.render import named

    query = " ".join(question["query_text"].split())
    path = question["path"].strip().removeprefix("./").rstrip("/")
    if path and not set("*?[.") & set(path.rpartition("/")[2]):
        path += "/*"  # a folder
    if " " in path or '"' in path:
        raise ToolFailure(f"no path has blanks: {path[:60]!r}")
    narrowed = f"{query} kind:function" + (f" path:{path}" if path else "")
    found = question.snapshot.search(narrowed, question["limit"])
    if not found:
        raise ToolFailure(f"nothing is found for {query!r}; use other words, or ask indexing_status")
    return named.search_results(query, found, "by meaning: a ranking, not a list of all")


def _ask(question: Question) -> str:
    from kexpert.render import named

    found = question.snapshot.ask(question["question"], question.cancelled, use_model=False)
    if not found.sources:
        raise ToolFailure("nothing is found; name a function, a struct, a file or CONFIG_X in the question")
    return named.sources(found)


VGREP_FUNCTIONS = Tool(
    "vgrep_functions",
    "Functions by what they do, in words",
    (Param("query_text", required=True, high=_MAX_QUERY_CHARS, aliases=("query",)), PATH, limit(15, 50)),
    _vgrep_functions,
)
ASK = Tool(
    "ask",
    "Question in English about named code, options or files: the facts and places that answer it",
    (Param("question", required=True, high=_MAX_QUERY_CHARS),),
    _ask,
)
