"""One file for each request, or for a few that belong together. Importing this registers all of them.

Notifications, which change the workspace, are in ``lsp.server``.
"""

from kexpert.lsp.requests import (  # noqa: F401
    call_hierarchy,
    code_action,
    completion,
    definition,
    diagnostic,
    document_symbol,
    execute_command,
    folding_range,
    hover,
    inline_completion,
    kernel_doc,
    references,
    rename,
    selection_range,
    signature_help,
    workspace_symbol,
)
