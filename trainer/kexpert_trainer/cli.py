"""The ``kexpert-train`` command: arguments in, one command out, errors as one line.

Each group of commands has a function that declares it; what a command needs (torch, numpy) is
imported when it runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from kexpert_trainer.commands import GROUPS, Commands

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Failure(Exception):
    """What failed and the mend, in one line."""


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    try:
        code: int = args.run(args)
        return code
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except OSError as error:
        say(f"{error.filename or 'system'}: {error.strerror or error}")
    except (Failure, ValueError) as failure:
        say(str(failure))
    return FAILED


def say(message: str) -> None:
    print("kexpert-train:", " ".join(message.split()), file=sys.stderr)


class Arguments(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"kexpert-train: {message}; see {self.prog} --help\n")


def arguments() -> Arguments:
    parser = Arguments(prog="kexpert-train", description="Make and measure what kexpert serves.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for declare in _GROUPS:
        declare(commands)
    evaluate = commands.add_parser("evaluate", help="measure what is served, by the commands that serve it")
    measured = evaluate.add_subparsers(title="what", metavar="WHAT", required=True)
    for declare in _MEASURES:
        declare(measured)
    return parser


# -- commands ------------------------------------------------------------------------------------


def _embedder(commands: Commands) -> None:
    command = commands.add_parser("embedder", help="train the embedding and the ranking of search by meaning")
    command.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model")
    command.add_argument("--steps", type=int, default=2500, help="without the held-out files (default: 2500)")
    command.add_argument("--more", type=int, default=1000, help="steps with them (default: 1000)")
    command.add_argument("--dimensions", type=int, default=256, help="default: 256")
    command.add_argument("--threads", type=int, default=2, help="of the CPU, processes of the reading (default: 2)")
    command.add_argument("--seed", type=int, default=1, help="default: 1")
    command.set_defaults(run=_run_embedder)


def _run_embedder(args: argparse.Namespace) -> int:
    from kexpert_trainer.search_pipeline import Recipe, make

    recipe = Recipe(
        steps=args.steps, more=args.more, dimensions=args.dimensions, seed=args.seed, threads=args.threads
    )
    make(args.tree, args.out, recipe)
    return OK


def _evaluate_search(commands: Commands) -> None:
    command = commands.add_parser("search", help="kernel-doc briefs of functions that 6.12 has and 6.1 has not")
    command.add_argument("--tree612", type=Path, required=True, metavar="DIR", help="the tree asked about")
    command.add_argument("--tree61", type=Path, required=True, metavar="DIR", help="the tree the embedder learnt from")
    command.add_argument("--work", type=Path, metavar="DIR", help="keep the copies and indexes here, for another run")
    command.add_argument("--functions", type=int, default=119_000, help="in the pool (default: 119000; 0: all)")
    command.add_argument("--questions", type=int, default=0, help="at most (default: all)")
    command.add_argument("--json", action="store_true", help="figures as one JSON line")
    command.set_defaults(run=_run_evaluate_search)


def _run_evaluate_search(args: argparse.Namespace) -> int:
    from kexpert_trainer.evaluation.search import measure

    measure(args.tree612, args.tree61, args.work, args.functions, args.questions, args.json)
    return OK


def _evaluate_inline(commands: Commands) -> None:
    command = commands.add_parser("inline", help="holes in functions that 6.12 has and 6.1 has not, as they are served")
    command.add_argument("--tree612", type=Path, required=True, metavar="DIR", help="the tree with the holes, indexed")
    command.add_argument("--tree61", type=Path, required=True, metavar="DIR", help="the tree the model learnt from")
    command.add_argument("--model", default="", metavar="PATH|URL", help="instead of the one that kexpert chooses")
    command.add_argument("--count", type=int, default=100, help="holes of each kind (default: 100)")
    command.add_argument("--files", type=int, default=400, help="files to look for functions in (default: 400)")
    command.add_argument("--seed", type=int, default=1, help="another one makes other holes (default: 1)")
    command.add_argument("--details", type=Path, metavar="FILE", help="write every hole and answer, a JSON line each")
    command.add_argument("--json", action="store_true", help="figures as one JSON line")
    command.set_defaults(run=_run_evaluate_inline)


def _run_evaluate_inline(args: argparse.Namespace) -> int:
    from kexpert_trainer.evaluation.inline import measure, table

    found = measure(
        args.tree612, args.tree61, args.model, args.count, args.files, args.seed, say=say, details=args.details
    )
    print(json.dumps(found) if args.json else table(found))
    return OK


#: What declares a command of its own, and what declares one below ``evaluate``.
_GROUPS: tuple[Callable[[Commands], None], ...] = (_embedder, *GROUPS)
_MEASURES: tuple[Callable[[Commands], None], ...] = (_evaluate_search, _evaluate_inline)
