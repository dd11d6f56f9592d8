"""The tree that the tools answer about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kexpert.workspace.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree and its index, which may still be growing. Any thread may call the functions."""

    root: Path
    snapshot: Callable[[], Snapshot]
    #: What is being done in the background, in one line; "" for nothing.
    activity: Callable[[], str] = lambda: ""
    #: Called after each answer.
    answered: Callable[[], None] = lambda: None
