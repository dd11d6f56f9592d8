"""``kexpert search``: code by name, or by what it does."""

from __future__ import annotations

import argparse
import json
import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

from kexpert.cli.arguments import add_tree, batch_lines, positive
from kexpert.cli.asked import shell_path
from kexpert.cli.errors import OK, USAGE, Failure, say
from kexpert.workspace.find_tree import find_tree

if TYPE_CHECKING:
    from kexpert.cli.arguments import Commands
    from kexpert.workspace.saved_tree import SavedTree

_METHODS = ("bm25", "vectors", "fused", "reranked")


def add_arguments(commands: Commands) -> None:
    command = commands.add_parser("search", help="find code by name, or by what it does")
    filters = "a name, or words; path:DIR, kind:struct, subsystem:NAME and config:SYMBOL narrow the search"
    command.add_argument("query", metavar="QUERY", nargs="?", help=filters)
    command.add_argument("--batch", metavar="FILE", help="one query a line (-: stdin), one JSON line for each")
    command.add_argument("--limit", metavar="N", type=positive, default=20)
    command.add_argument("--method", choices=_METHODS, help="search by meaning, in this order (words: reranked)")
    add_tree(command)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if (args.query is None) == (args.batch is None):
        say("search takes either QUERY or --batch FILE; see kexpert search --help")
        return USAGE
    from kexpert.workspace.saved_tree import SavedTree
    from kexpert.workspace.snapshot import Refusal

    with closing(SavedTree(find_tree(args.tree), say)) as tree:
        if args.batch is not None:
            for query in batch_lines(args.batch):
                try:
                    print(json.dumps({"query": query, "results": _find(tree, query, args)}), flush=True)
                except Refusal as error:
                    print(json.dumps({"query": query, "results": [], "error": str(error)}), flush=True)
            return OK
        try:
            results = _find(tree, args.query, args)
        except Refusal as error:
            raise Failure(str(error)) from error
    if args.json:
        print(json.dumps({"query": args.query, "results": results}))
    else:
        for hit in results:
            place = f"{shell_path(tree.root, hit['path'])}:{hit['line']}:{hit['column']}"
            print(f"{place}: {hit['kind']} {hit['name']}".rstrip())
            for line in hit.get("lines", ()):
                print(f"    {line['line']}: {line['text']}")
    if not results:
        raise Failure(f"{args.query}: no symbol of such a name in {tree.root}")
    return OK


def _find(tree: SavedTree, query: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """A single word by name, words by meaning. The vectors are loaded when first needed."""
    from kexpert.render import json as render_json
    from kexpert.view import SearchMethod

    if args.method is None and re.fullmatch(r"\w+", query):
        snapshot = tree.snapshot()
        return [render_json.symbol(snapshot.source, symbol) for symbol in snapshot.symbols_named(query, args.limit)]
    method = SearchMethod(args.method or "reranked")
    if method is not SearchMethod.BM25:
        tree.load_vectors()
    snapshot = tree.snapshot()
    return [render_json.search_result(snapshot.source, found) for found in snapshot.search(query, args.limit, method)]
