"""``kexpert doctor``: what is there, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_tree
from kexpert.cli.errors import FAILED, OK
from kexpert.workspace.find_tree import find_tree, tree_around

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("doctor", help="tree, index, versions, what is missing and how to get it")
    add_tree(command)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from kexpert.workspace.doctor import examine

    findings = examine(find_tree(args.tree) if args.tree else tree_around(Path.cwd()))
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(f"{finding.state:<8} {finding.what + ':':<18} {finding.detail}")
            if finding.mend:
                print(f"{'':<27} {finding.mend}")
    return FAILED if any(finding.state in ("missing", "bad") for finding in findings) else OK
