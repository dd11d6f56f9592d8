"""What a tool is: its name, its parameters, how they are checked, and how they are told to a client.

Schemas are short because every client sends them to its model with every request: they hold types and bounds, no
titles, and a description only where the name does not say it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from kexpert.mcp.tree import Tree
    from kexpert.workspace.snapshot import Snapshot

Arguments: TypeAlias = Mapping[str, Any]
_MAX_NAME_CHARS = 200


class ToolFailure(Exception):
    """A tool cannot answer; the message is one line: what, and the mend."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter. ``high``: the largest number, or the most characters of a text. ``aliases``: names that other
    servers give it."""

    name: str
    type: Literal["string", "integer", "boolean"] = "string"
    default: Any = None
    required: bool = False
    high: int = _MAX_NAME_CHARS
    description: str = ""
    aliases: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": self.type}
        if self.type == "integer":
            found["maximum"] = self.high
        if self.default not in (None, "", False):
            found["default"] = self.default
        if self.description:
            found["description"] = self.description
        return found

    def check(self, value: Any) -> Any:
        """The value in this type. Raises ToolFailure."""
        if self.type == "boolean":
            if value in ("true", "false"):
                return value == "true"
            if not isinstance(value, bool):
                raise ToolFailure(f"{self.name} must be true or false, not {_brief(value)}")
            return value
        if self.type == "integer":
            if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
                value = int(value)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ToolFailure(f"{self.name} must be a number from 0 to {self.high}, not {_brief(value)}")
            return min(value, self.high)
        if not isinstance(value, str):
            raise ToolFailure(f"{self.name} must be a text, not {_brief(value)}")
        if len(value) > self.high:
            raise ToolFailure(f"{self.name} has {len(value):,} characters; at most {self.high:,} are read")
        return value


class Patience:
    """A cancel flag for work that gives what it has: set after some seconds, or when nobody waits any more."""

    def __init__(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        self.is_over = False
        self._deadline = time.monotonic() + seconds
        self._cancelled = cancelled

    def __call__(self) -> bool:
        self.is_over = self.is_over or time.monotonic() > self._deadline or self._cancelled()
        return self.is_over


@dataclass(frozen=True, slots=True)
class Question:
    """A call of a tool: the tree as it is now, the arguments, and whether somebody still waits."""

    snapshot: Snapshot
    tree: Tree
    arguments: Arguments
    cancelled: Callable[[], bool]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]


@dataclass(frozen=True, slots=True)
class Tool:
    """``answer`` gives plain text. It raises ToolFailure, or ``workspace.refusal.Refusal``."""

    name: str
    description: str
    params: tuple[Param, ...]
    answer: Callable[[Question], str]

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "object", "properties": {each.name: each.schema() for each in self.params}}
        if required := [each.name for each in self.params if each.required]:
            found["required"] = required
        return found

    def check(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """(arguments, names of those that are not known here). Raises ToolFailure."""
        names = {alias: each for each in self.params for alias in (each.name, *each.aliases)}
        arguments = {each.name: each.default for each in self.params}
        ignored: list[str] = []
        for name, value in given.items():
            if name in names:
                if value is not None:
                    arguments[names[name].name] = names[name].check(value)
            else:
                ignored.append(name[:40])
        for each in self.params:
            if each.required and not str(arguments[each.name] or "").strip():
                wanted = ", ".join(each.name + ("" if each.required else "?") for each in self.params)
                raise ToolFailure(f"{self.name} needs {each.name}; it takes {wanted}")
        return arguments, ignored


NAME = Param("name", required=True)
PATH = Param("path", default="", aliases=("path_pattern",))


def limit(default: int, high: int = 200) -> Param:
    """How many rows are shown."""
    return Param("limit", "integer", default, high=high)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
