"""``kexpert-train inspect``."""

from __future__ import annotations

import argparse
from pathlib import Path

from kexpert_trainer.commands.corpus_arguments import TASKS, add_data

HELP = "show rows of a chat corpus as tokens, and which of them carry loss"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="folder of a model, for its tokenizer")
    parser.add_argument("--rows", type=int, default=3, metavar="N", help="rows to show (default: 3)")
    parser.add_argument("--id", action="append", default=[], metavar="ID", help="show this row; may be repeated")
    parser.add_argument("--task", choices=TASKS, default="", help="show rows of this task alone")
    parser.add_argument("--tokens", action="store_true", help="one line a token")
    parser.add_argument("--negatives", action="store_true", help="show rows that were broken on purpose")
    parser.add_argument("--max-tokens", type=int, default=512, help="longer rows count as too long (default: 512)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.data.corpus_folder import CorpusFolder, read_corpus
    from kexpert_trainer.data.inspect_rows import lengths, lengths_table, row_page, token_table, token_text
    from kexpert_trainer.data.review import to_review
    from kexpert_trainer.errors import UserError
    from kexpert_trainer.progress import progress
    from kexpert_trainer.training.sft import chat_encoder

    folder = CorpusFolder(args.data)
    if not (args.base / "tokenizer.json").is_file():
        raise UserError(f"{args.base}: no tokenizer.json; give the folder of a Hugging Face model with --base")
    encoder, text_of = chat_encoder(args.base), token_text(args.base)
    path, command = (folder.negatives, "falsify") if args.negatives else (folder.curated, "curate")
    rows = list(read_corpus(path, command))
    wanted = [row for row in rows if row.id in args.id] if args.id else to_review(rows, (), args.rows, args.task)
    if args.id and not wanted:
        raise UserError(f"{path}: no row {', '.join(args.id)}")
    for row in wanted:
        if args.tokens:
            print("\n".join(token_table(encoder.example(row), text_of)))
        else:
            print("\n".join(row_page(row, encoder, text_of)), end="\n\n")
    if not args.id:
        with progress("tokens", len(rows)) as advance:
            examples = []
            for row in rows:
                examples.append(encoder.example(row))
                advance()
        print(lengths_table(lengths(examples, args.max_tokens)))
