"""Places as ``grep`` prints them, or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kexpert.cli.asked import shell_path
from kexpert.cli.errors import OK, Failure

if TYPE_CHECKING:
    from kexpert.core.symbols import Span, Use
    from kexpert.workspace.snapshot import Snapshot


def print_spans(args: argparse.Namespace, snapshot: Snapshot, spans: Sequence[Span | Use], none: str) -> int:
    """``none``: the complaint where there are none."""
    if not spans or snapshot.root is None:
        raise Failure(f"{args.position}: {none}")
    from kexpert.render import json as render_json

    places = render_json.places(snapshot.source, spans)
    if args.json:
        print(json.dumps(places))
    else:
        for place in places:
            print(f"{shell_path(snapshot.root, place['path'])}:{place['line']}:{place['column']}: {place['text']}")
    return OK
