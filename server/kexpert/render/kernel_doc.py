"""A kernel-doc draft as JSON."""

from __future__ import annotations

from typing import Any, TypeAlias

from kexpert.features.kerneldoc.draft import Draft

Json: TypeAlias = dict[str, Any]


def to_json(draft: Draft) -> Json:
    """Lines count from 1. ``model`` and ``adapter`` are null where a text is not a model's."""
    return {
        "name": draft.name,
        "path": draft.path,
        "line": draft.line + 1,
        "action": "complete" if draft.is_completion else "write",
        "comment": draft.comment(),
        "texts": [
            {
                "mark": each.mark,
                "text": each.text,
                "origin": each.origin,
                "model": (draft.model or None) if each.origin == "model" else None,
                "adapter": (draft.adapter or None) if each.origin == "model" else None,
            }
            for each in draft.texts
        ],
        "stale": list(draft.stale),
    }


def written_by(draft: Draft) -> str:
    """Who wrote what, in one line: "brief and @dev by smollm2-135m; check them"; "" if no model wrote anything."""
    marks = [each.mark for each in draft.texts if each.origin == "model"]
    if not marks:
        return ""
    who = f"{draft.model} with {draft.adapter}" if draft.adapter else draft.model
    listed = f"{', '.join(marks[:-1])} and {marks[-1]}" if len(marks) > 1 else marks[0]
    return f"{listed} by {who}: read before you keep {'them' if len(marks) > 1 else 'it'}"
