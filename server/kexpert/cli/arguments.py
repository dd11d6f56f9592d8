"""Arguments that several commands take, and their types."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kexpert.cli.errors import USAGE

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Any]


class Arguments(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"kexpert: {message}; see {self.prog} --help\n")


def add_tree(parser: argparse.ArgumentParser) -> None:
    what = "the kernel tree (default: the one around this directory)"
    parser.add_argument("--tree", metavar="DIR", type=Path, help=what)


def add_place_command(
    commands: Commands, name: str, what: str, run: Callable[[argparse.Namespace], int]
) -> Arguments:
    """Declare a command that asks about one place and prints ``what`` for people or as JSON."""
    command: Arguments = commands.add_parser(name, help=what, description=f"Print {what}.")
    command.add_argument("position", metavar="FILE:LINE:COL", type=file_position, help="line and column count from 1")
    add_tree(command)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)
    return command


@dataclass(frozen=True, slots=True)
class FilePosition:
    """A place as editors show it: line and column count from 1, columns in characters."""

    path: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


def file_position(text: str) -> FilePosition:
    path, line, column = (*text.rsplit(":", 2), "", "")[:3]
    if not (path and line.isdecimal() and column.isdecimal() and int(line) and int(column)):
        raise argparse.ArgumentTypeError(f"{text!r} is no FILE:LINE:COL such as fs/open.c:120:7")
    return FilePosition(Path(path), int(line), int(column))


def positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def batch_lines(name: str) -> Iterator[str]:
    """The lines of a file that are not blank; ``-`` is standard input."""
    file = sys.stdin.fileno() if name == "-" else name
    with open(file, encoding="utf-8", errors="replace", closefd=name != "-") as lines:
        yield from (text for line in lines if (text := line.strip()))
