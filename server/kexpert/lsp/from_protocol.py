"""The protocol's objects -> what the workspace takes. Nothing a client hands back is trusted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.workspace.documents import Edit

#: The types of the fields of a ``Symbol``, as ``to_protocol.symbol_data`` gives them.
_SYMBOL_TYPES = (str, int, str, int, int, int, int, str, int)


def edits(changes: Iterable[Any]) -> list[Edit]:
    """The content changes of ``didChange``."""
    found = []
    for change in changes:
        place = getattr(change, "range", None)
        if place is None:
            found.append(Edit(change.text))
        else:
            start, end = place.start, place.end
            found.append(Edit(change.text, (start.line, start.character), (end.line, end.character)))
    return found


def symbol(data: Any) -> Symbol | None:
    """The inverse of ``to_protocol.symbol_data``; None for anything else."""
    if not isinstance(data, list) or len(data) != len(_SYMBOL_TYPES):
        return None
    if not all(map(isinstance, data, _SYMBOL_TYPES)):
        return None
    name, kind, path, line, name_start, start, end, scope, flags = data
    try:
        return Symbol(name, Kind(kind), path, line, name_start, start, end, scope, Flag(flags))
    except ValueError:
        return None


def position_of(value: Any) -> tuple[int, int] | None:
    """A position in the arguments of a command: (line, character); None if it is none."""
    span = range_of({"start": value, "end": value})
    return span[0] if span else None


def range_of(value: Any) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """A range in the arguments of a command: ((line, character), (line, character)); None if it is none."""
    ends = []
    for name in ("start", "end"):
        end = plain(value.get(name) if isinstance(value, dict) else getattr(value, name, None))
        line, character = (end.get("line"), end.get("character")) if isinstance(end, dict) else (None, None)
        if not isinstance(line, int) or not isinstance(character, int) or line < 0 or character < 0:
            return None
        ends.append((line, character))
    return ends[0], ends[1]


def question(value: Any) -> str:
    """The argument of ``kexpert.ask``: a text, or ``{question}``; "" for anything else."""
    given = plain(value)
    text = given.get("question") if isinstance(given, dict) else given
    return text.strip() if isinstance(text, str) else ""


def action(value: Any) -> dict[str, Any]:
    """A code action that a client hands back."""
    kind = getattr(value.kind, "value", value.kind)
    return {"title": value.title, **({"kind": kind} if kind else {}), "data": plain(value.data)}


def plain(value: Any) -> Any:
    """JSON that the converter made named tuples of, as JSON again."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value
