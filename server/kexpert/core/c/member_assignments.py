"""Where code assigns a function to a member: ``ops->open = foo_open;``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from kexpert.core.text import decode


class MemberAssignment(NamedTuple):
    """``target`` is what is assigned to: ``ops->open``; ``->open`` behind a call.

    The starts are those of the names of the member and of the function.
    """

    target: str
    member_start: int
    start: int


def member_assignments(code: bytes, function: str) -> Iterator[MemberAssignment]:
    """The assignments of ``function`` in a text, those in comments too if it has any."""
    name = function.encode()
    if name not in code:
        return
    pattern = rb"((?:[A-Za-z_][\w.>\[\]-]{0,100})?(?:->|\.)\s*(\w+))\s*=\s*&?\s*(" + re.escape(name) + rb")\s*;"
    for match in re.finditer(pattern, code):
        yield MemberAssignment(decode(match[1]), match.start(2), match.start(3))
