"""One file for each request, or for a few that belong together. Importing this registers all of them.

Notifications, which change the workspace, are in ``lsp.server``.
"""

from kexpert.lsp.requests import (  # noqa: F401
    call_hierarchy,
    code_action,
    code_lens,
    completion,
    definition,
    diagnostic,
    document_link,
    document_symbol,
    execute_command,
    folding_range,
    hover,
    inlay_hint,
    inline_completion,
    kernel_doc,
    references,
    rename,
    selection_range,
    semantic_tokens,
    signature_help,
    type_hierarchy,
    workspace_symbol,
)
