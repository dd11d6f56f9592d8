"""Places as ``grep`` prints them, or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kexpert.cli.asked import shell_path
from kexpert.cli.errors import OK, Failure

if TYPE_CHECKING:
    from kexpert.core.symbols import Span, Use
    from kexpert.workspace.snapshot import Snapshot


def print_spans(args: argparse.Namespace, snapshot: Snapshot, spans: Sequence[Span | Use], none: str) -> int:
    """``none``: the complaint where there are none."""
    if not spans or snapshot.root is None:
        raise Failure(f"{args.position}: {none}")
    places = [place for span in spans if (place := place_json(snapshot, span))]
    if args.json:
        print(json.dumps(places))
    else:
        for place in places:
            print(f"{shell_path(snapshot.root, place['path'])}:{place['line']}:{place['column']}: {place['text']}")
    return OK


def place_json(snapshot: Snapshot, span: Span | Use) -> dict[str, Any] | None:
    """Where a span starts and the text of its line; None when the file no longer exists."""
    from kexpert.core.text import decode

    source = snapshot.source(span.path)
    if source is None:
        return None
    line, column = source.lines.to_position(span.start, "utf-32")
    text = decode(source.lines.line_bytes(line)).strip()
    return {"path": span.path, "line": line + 1, "column": column + 1, "text": text}
