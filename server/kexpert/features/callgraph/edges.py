"""Edges of the call graph, and how certain each is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kexpert.core.symbols import Symbol


class Certainty(Enum):
    """What an edge rests on. Nothing is compiled, so ``EXACT`` means that the tree has one candidate."""

    EXACT = "exact"  # the name has one definition that the caller can mean
    SYNTAX = "by syntax"  # chosen among several definitions, or by the type of the expression before ``->``
    NAME = "by name"  # the name alone agrees


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A function in an ops table: ``.open = foo_open`` in ``foo_fops``, a ``struct file_operations``."""

    struct: str
    member: str
    table: str  # "" for a compound literal
    path: str
    line: int  # 0-based

    @property
    def operation(self) -> str:
        """``file_operations.open``."""
        return f"{self.struct}.{self.member}" if self.struct else f".{self.member}"


@dataclass(frozen=True, slots=True)
class Edge:
    """One function calls another at ``path:line``; through ``entry`` if the call goes through an ops table.

    ``callee`` is None for a call through an operation that very many functions implement: ``operation`` names it,
    ``implementations`` counts them.
    """

    caller: Symbol
    callee: Symbol | None
    path: str  # of the call
    line: int  # of the call, 0-based
    certainty: Certainty
    entry: TableEntry | None = None
    operation: str = ""
    implementations: int = 0


@dataclass(frozen=True, slots=True)
class Edges:
    """Some edges of a function, best first; ``more`` were not looked at or not kept."""

    edges: tuple[Edge, ...]
    more: int = 0
    #: Tables that hold the function, also those whose callers were not found.
    entries: tuple[TableEntry, ...] = ()
