"""How a command fails: one line on standard error, and an exit code."""

from __future__ import annotations

import sys

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Failure(Exception):
    """What failed, where, and the mend, in one line."""


def complain(message: str) -> int:
    """Say what failed; the exit code for it."""
    say(message)
    return FAILED


def say(message: str) -> None:
    """One line on standard error, whatever is in the message."""
    print("kexpert:", " ".join(message.split()), file=sys.stderr)
