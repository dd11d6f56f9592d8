"""What a kernel-doc comment names: the name, parameters or members of a definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kexpert.core.c.declarators import QUALIFIERS, CType

DocKind = Literal["function", "macro", "struct", "union", "enum"]


class Undocumentable(Exception):
    """``scripts/kernel-doc`` cannot read the definition; the message says why."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter or member. ``name`` is as a comment writes it: "dev", "...", "outer.inner"."""

    name: str
    type: CType | None = None
    #: A plain comment beside or above it.
    comment: str = ""
    #: Of an enumerator: its value as code, "" if it is not written.
    value: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a comment names. ``start`` is the byte offset where it goes: the start of a line."""

    kind: DocKind
    name: str  # "sys_open" for a system call; the tag of a record
    parameters: tuple[Parameter, ...]
    #: The type that is returned; None for void, a macro, a record.
    returns: CType | None
    start: int

    @property
    def title(self) -> str:
        """``foo()``, ``struct foo``: the text before the dash in the first line."""
        if self.kind in ("struct", "union", "enum"):
            return f"{self.kind} {self.name}"
        return f"{self.name}()"


def bare_type(of: CType | None) -> str:
    """A type without qualifiers: "struct device *"."""
    return " ".join(word for word in of.text.split() if word not in QUALIFIERS) if of else ""
