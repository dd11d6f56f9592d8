"""``python -m kexpert``: the same as the ``kexpert`` command."""

from __future__ import annotations

import sys

from kexpert.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
