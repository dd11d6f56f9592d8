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
    from kexpert.core.symbols import Symbol
    from kexpert.features.search.search import Found
    from kexpert.workspace.saved_tree import SavedTree
    from kexpert.workspace.snapshot import Snapshot

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
    from kexpert.view import SearchMethod

    if args.method is None and re.fullmatch(r"\w+", query):
        snapshot = tree.snapshot()
        return [_symbol_json(snapshot, symbol) for symbol in snapshot.symbols_named(query, args.limit)]
    method = SearchMethod(args.method or "reranked")
    if method is not SearchMethod.BM25:
        tree.load_vectors()
    snapshot = tree.snapshot()
    return [_found_json(snapshot, found) for found in snapshot.search(query, args.limit, method)]


def _found_json(snapshot: Snapshot, found: Found) -> dict[str, Any]:
    lines = [{"line": number + 1, "text": text} for number, text in found.lines]
    return {**_named_json(snapshot, found, found.start), "score": round(found.score, 6), "lines": lines}


def _symbol_json(snapshot: Snapshot, symbol: Symbol) -> dict[str, Any]:
    return {**_named_json(snapshot, symbol, symbol.name_start), "scope": symbol.scope}


def _named_json(snapshot: Snapshot, named: Found | Symbol, start: int) -> dict[str, Any]:
    """What it is, and where its name starts."""
    source = snapshot.source(named.path)
    line, column = source.lines.to_position(start, "utf-32") if source else (named.line, 0)
    return {
        "name": named.name,
        "kind": named.kind.name.lower(),
        "path": named.path,
        "line": line + 1,
        "column": column + 1,
    }
