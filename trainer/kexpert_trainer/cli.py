"""The ``kexpert-train`` command: dispatches to one module a command, and prints errors as one line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from kexpert_trainer.commands import COMMANDS, EVALUATIONS, Command
from kexpert_trainer.errors import UserError
from kexpert_trainer.progress import say

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Other errors than the user's and the system's keep their traceback."""
    args = arguments().parse_args(argv)
    try:
        args.run(args)
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except OSError as error:
        say(f"{error.filename or 'system'}: {error.strerror or error}")
        return FAILED
    except UserError as error:
        say(str(error))
        return FAILED
    return OK


class Arguments(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"kexpert-train: {message}; see {self.prog} --help\n")


def arguments() -> Arguments:
    """The parser of all commands. Imports nothing that a command needs to run."""
    parser = Arguments(prog="kexpert-train", description="Train and evaluate the models that kexpert serves.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        _add(commands, name, command)
    evaluate = commands.add_parser("evaluate", help="measure what is served, through the commands that serve it")
    evaluations = evaluate.add_subparsers(title="evaluations", metavar="WHAT", required=True)
    for name, command in EVALUATIONS.items():
        _add(evaluations, name, command)
    return parser


def _add(parsers: Any, name: str, command: Command) -> None:  # argparse has no public name for this type
    parser = parsers.add_parser(name, help=command.HELP)
    command.add_arguments(parser)
    parser.set_defaults(run=command.run)
