"""One module a tool, or a few tools that share their answers; ``ALL`` lists them in the order that clients show.

A module translates arguments into questions to the snapshot and takes the text from ``render.named``, which is imported
when first asked for: a client waits for the list of tools.
"""

from __future__ import annotations

from kexpert.mcp.tool import Tool
from kexpert.mcp.tools import calls, chains, code, names, patches, people, search, status, uses

ALL: tuple[Tool, ...] = (
    patches.DIFF_FUNCTIONS, names.FIND_FUNCTION, names.FIND_TYPE, names.FIND_SYMBOL, calls.FIND_CALLERS,
    calls.FIND_CALLS, chains.FIND_CALLCHAIN, chains.GREP_FUNCTIONS, search.VGREP_FUNCTIONS, uses.FIND_REFERENCES,
    uses.FIND_IMPLEMENTATIONS, names.FIND_CONFIG, code.STRUCT_LAYOUT, code.LOCK_RULES, code.KERNEL_DOC,
    code.EXPLAIN_FUNCTION, people.MAINTAINERS, search.ASK, status.INDEXING_STATUS, status.LIST_BRANCHES,
)  # fmt: skip
