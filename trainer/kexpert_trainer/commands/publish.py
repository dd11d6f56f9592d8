"""``kexpert-train publish``."""

from __future__ import annotations

import argparse
from pathlib import Path

from kexpert_trainer.commands.corpus_arguments import add_data, show_failing

HELP = "write a checked chat corpus as Parquet with its card; upload it only with --push"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the data set")
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload it to this data set of the hub, with your login")
    parser.add_argument("--public", action="store_true", help="with --push: let everybody read it")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus_folder import CorpusFolder
    from kexpert_trainer.errors import UserError
    from kexpert_trainer.release.dataset import publish
    from kexpert_trainer.release.hub import push

    folder = CorpusFolder(args.data)
    try:
        published = publish(folder, args.out)
    except UserError:
        if refused := folder.record("falsified").get("refused"):
            show_failing(folder, refused)
        raise
    print(published.table())
    if args.push:
        print(push(args.out, args.push, args.public))
