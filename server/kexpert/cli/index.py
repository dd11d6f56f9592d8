"""``kexpert index``: read the whole tree now, names first, then search by meaning."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.cli.arguments import add_tree, positive
from kexpert.cli.errors import OK, Failure, say
from kexpert.workspace.find_tree import find_tree

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands
    from kexpert.search.one_shot import SearchReport


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("index", help="read the whole tree; goes on where an earlier run stopped")
    add_tree(command)
    command.add_argument("--jobs", metavar="N", type=positive, help="processes (default: one for each core)")
    command.add_argument("--no-vectors", action="store_true", help="the symbols alone: no search by meaning")
    figures = "files, symbols, seconds, peak_rss_mb, db_mb, and chunks, vectors, search_seconds as one JSON line"
    command.add_argument("--json", action="store_true", help=figures)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from kexpert.cli.terminal import progress_bar
    from kexpert.workspace.configuration import prepare
    from kexpert.workspace.settings import settings_of
    from kexpert.workspace.tree_index import IndexUnavailable, IndexWriteError, build

    root = find_tree(args.tree)
    try:
        with progress_bar() as on_progress:
            report = build(root, args.jobs, on_progress, on_message=say)
    except (IndexUnavailable, IndexWriteError) as error:
        raise Failure(str(error)) from error
    for note in report.notes:
        say(note)
    prepare(root, settings_of(root).configuration, say)
    found = None if args.no_vectors else _index_for_search(root)
    if args.json:
        figures = {
            "files": report.files,
            "symbols": report.symbols,
            "seconds": round(report.seconds, 2),
            "places_seconds": round(report.common_words_seconds, 2),
            "trigrams_seconds": round(report.trigrams_seconds, 2),
            "peak_rss_mb": round(report.peak_rss_mb),
            "db_mb": round(report.db_mb, 1),
        }
        if found is not None:
            figures |= {
                "chunks": found.chunks, "vectors": found.vectors, "search_seconds": round(found.seconds, 2),
                "search_peak_rss_mb": round(found.peak_rss_mb), "search_mb": round(found.db_mb, 1),
            }  # fmt: skip
        print(json.dumps(figures))
    else:
        print(
            f"{root}: {report.files:,} files, {report.symbols:,} symbols in {report.seconds:.1f} s; "
            f"{report.db_mb:,.0f} MB on disk, at most {report.peak_rss_mb:,.0f} MB of memory"
        )
        if report.common_words_seconds:
            print(f"{root}: the places of common names in {report.common_words_seconds:.1f} s more")
        if report.trigrams_seconds:
            print(f"{root}: what text is where in {report.trigrams_seconds:.1f} s more")
        if found is not None:
            print(
                f"{root}: {found.chunks:,} chunks, {found.vectors:,} vectors in {found.seconds:.1f} s more; "
                f"{found.db_mb:,.0f} MB on disk, at most {found.peak_rss_mb:,.0f} MB of memory"
            )
    return OK


def _index_for_search(root: Path) -> SearchReport:
    """Bring search in step with the symbol index."""
    from kexpert.cli.terminal import progress_bar
    from kexpert.workspace.settings import settings_of
    from kexpert.workspace.tree_index import build_search, search_settings

    with progress_bar() as on_progress:
        report = build_search(root, search_settings(settings_of(root)), on_progress, say)
    if report.failure:
        say(f"{root}: not ready for search by meaning: {report.failure}")
    return report
