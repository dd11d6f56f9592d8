"""``kexpert explain FILE:LINE``: a page about a function, a macro or some lines."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.cli.arguments import FilePosition, add_tree
from kexpert.cli.asked import asked_tree
from kexpert.cli.errors import OK, Failure, say
from kexpert.cli.terminal import print_markdown

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands
    from kexpert.features.explain.explanation import Explanation
    from kexpert.workspace.snapshot import Position, Snapshot

_WHAT = "what a function does, how to call it and who uses it"


@dataclass(frozen=True, slots=True)
class FileLines:
    """A place or a range of lines, from 1; ``last`` is the first line for a single place."""

    position: FilePosition
    last: int
    is_range: bool = False


def file_lines(text: str) -> FileLines:
    """``FILE:LINE``, ``FILE:LINE:COL`` or ``FILE:LINE-LINE``."""
    path, _, tail = text.rpartition(":")
    first, dash, last = tail.partition("-")
    if dash and path and _is_count(first) and _is_count(last) and int(first) <= int(last):
        return FileLines(FilePosition(Path(path), int(first), 1), int(last), is_range=True)
    if path and not dash and _is_count(tail):
        outer, _, line = path.rpartition(":")
        if outer and _is_count(line):
            return FileLines(FilePosition(Path(outer), int(line), int(tail)), int(line))
        return FileLines(FilePosition(Path(path), int(tail), 0), int(tail))
    what = "no FILE:LINE, FILE:LINE:COL or FILE:LINE-LINE such as fs/open.c:120 or fs/open.c:120-140"
    raise argparse.ArgumentTypeError(f"{text!r} is {what}")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("explain", help=_WHAT, description=f"Print {_WHAT}.")
    place = "a function or macro at a line, at a name, or a range of lines; they count from 1"
    command.add_argument("lines", metavar="FILE:LINE[:COL|-LINE]", type=file_lines, help=place)
    add_tree(command)
    command.add_argument("--json", action="store_true", help="print facts and steps as JSON")
    command.add_argument("--no-model", action="store_true", help="leave the chat model out")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    args.position = args.lines.position
    tree, at = asked_tree(args)
    with contextlib.closing(tree):
        if not args.no_model:
            tree.load_voice()
        snapshot = tree.snapshot()
        found = _explanation(snapshot, args.lines, at)
        return _print_json(snapshot, found) if args.json else _print_page(snapshot, found)


def _explanation(snapshot: Snapshot, asked: FileLines, at: Position) -> Explanation:
    """Raises Failure where there is nothing to explain."""
    if asked.is_range:
        from kexpert.workspace.snapshot import Position

        source = snapshot.source(at.path)
        count = len(source.lines.starts) if source else 0
        found = snapshot.explain(Position(at.path, at.line, 0), Position(at.path, min(asked.last, count), 0))
    else:
        found = snapshot.explain(asked_position(snapshot, asked, at))
    if found is None:
        raise Failure(f"{shown_place(asked)}: there is no function or macro to explain")
    return found


def _print_json(snapshot: Snapshot, found: Explanation) -> int:
    from kexpert.render import explain as render_explain

    *_, found = found, *snapshot.in_words(found)
    print(json.dumps(render_explain.to_json(found)))
    return OK


def _print_page(snapshot: Snapshot, found: Explanation) -> int:
    """Print the page from facts at once, then what the chat model adds."""
    from kexpert.render import explain as render_explain

    print_markdown(render_explain.to_markdown(found).removesuffix("\n"))
    sys.stdout.flush()
    *_, found = found, *snapshot.in_words(found)
    if section := render_explain.written_section(found):
        print()
        print_markdown(section)
    elif why := snapshot.why_silent:
        say(why)
    return OK


def asked_position(snapshot: Snapshot, asked: FileLines, at: Position) -> Position:
    """The position asked for: ``at``, or without a column the first thing on its line."""
    if asked.position.column:
        return at
    source = snapshot.source(at.path)
    text = source.lines.line_bytes(at.line) if source is not None else b""
    return replace(at, character=len(text) - len(text.lstrip()))


def shown_place(asked: FileLines) -> str:
    at = asked.position
    if asked.is_range:
        return f"{at.path}:{at.line}-{asked.last}"
    return f"{at.path}:{at.line}" + (f":{at.column}" if at.column else "")
