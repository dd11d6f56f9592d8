"""``kexpert``, also as ``python -m kexpert``: the shell's commands and those that start the servers.

This is the only module that knows more than one front end.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kexpert.cli.main import main as shell
from kexpert.http import command as web
from kexpert.lsp import command as serve
from kexpert.mcp import command as mcp


def main(argv: Sequence[str] | None = None) -> int:
    return shell(argv, [serve, mcp, web])


if __name__ == "__main__":
    sys.exit(main())
