"""The ``kexpert`` command: arguments in, one command out, errors as one line.

Each command is a module with ``add_arguments`` and ``run``, which imports what it needs when it runs, so
that ``kexpert --version`` costs nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from kexpert import __version__
from kexpert.cli import (
    ask,
    callchain,
    complete,
    definition,
    diff,
    doctor,
    explain,
    grep,
    hover,
    index,
    kerneldoc,
    models,
    references,
    search,
)
from kexpert.cli.arguments import Arguments
from kexpert.cli.errors import INTERRUPTED, OK, Failure, complain
from kexpert.workspace.find_tree import NotFound

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands



class Command(Protocol):
    """A module that is a command."""

    def add_arguments(self, commands: Commands) -> None:
        """Declare a subcommand; its default ``run`` takes the arguments and gives the exit code."""


_COMMANDS: tuple[Command, ...] = (
    index, hover, explain, ask, kerneldoc, definition, references, callchain, complete, search, grep, diff,
    models, doctor,
)  # fmt: skip


def main(argv: Sequence[str] | None = None, others: Sequence[Command] = ()) -> int:
    """Run one command. ``others``: the commands of other front ends, listed first."""
    # numpy's threads take three times the CPU for the small products of a ranking, and half as long again.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    args = arguments(others).parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except (Failure, NotFound) as failure:
        return complain(str(failure))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: the exit flush must not raise
        return OK
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except OSError as error:
        return complain(f"{error.filename or 'system'}: {error.strerror or error}")


def arguments(others: Sequence[Command] = ()) -> Arguments:
    parser = Arguments(prog="kexpert", description="A language server for people who write Linux kernel C.")
    parser.add_argument("--version", action="version", version=f"kexpert {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (*others, *_COMMANDS):
        command.add_arguments(commands)
    return parser
