"""``kexpert-train curate``."""

from __future__ import annotations

import argparse

from kexpert_trainer.commands.corpus_arguments import add_data, add_jobs

HELP = "choose the rows of a chat corpus that may be learnt from; continues where it stopped"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_jobs(parser)


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus_folder import CorpusFolder
    from kexpert_trainer.data.curate import curate

    print(curate(CorpusFolder(args.data), args.jobs).table())
