"""The ``kexpert`` command: arguments in, one command out, errors as one line.

Every command imports what it needs when it runs, so that ``kexpert --version`` costs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kexpert import __version__

if TYPE_CHECKING:
    from kexpert.core.c.source import Source
    from kexpert.core.symbols import Span, Symbol, Use
    from kexpert.features.search.search import Found
    from kexpert.search.indexer import SearchSettings
    from kexpert.search.one_shot import SearchReport
    from kexpert.view import View

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Failure(Exception):
    """What failed, where, and the mend, in one line."""


def main(argv: Sequence[str] | None = None) -> int:
    # numpy's threads take three times the CPU for the small products of a ranking, and half as long again.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    args = arguments().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except Failure as failure:
        return complain(str(failure))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: the exit flush must not raise
        return OK
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except OSError as error:
        return complain(f"{error.filename or 'system'}: {error.strerror or error}")


def complain(message: str) -> int:
    say(message)
    return FAILED


def say(message: str) -> None:
    """One line on standard error, whatever is in the message."""
    print("kexpert:", " ".join(message.split()), file=sys.stderr)


# Arguments


class Arguments(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"kexpert: {message}; see {self.prog} --help\n")


def arguments() -> Arguments:
    parser = Arguments(prog="kexpert", description="A language server for people who write Linux kernel C.")
    parser.add_argument("--version", action="version", version=f"kexpert {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="speak the Language Server Protocol on stdin and stdout")
    serve.add_argument("--tcp", metavar="[HOST:]PORT", type=tcp_address, help="listen there (HOST: 127.0.0.1)")
    remote = "let --tcp listen on an address that other machines reach; who connects can read your files"
    serve.add_argument("--allow-remote", action="store_true", help=remote)
    serve.set_defaults(run=run_serve)

    index = commands.add_parser("index", help="read the whole tree; goes on where an earlier run stopped")
    add_tree(index)
    index.add_argument("--jobs", metavar="N", type=positive, help="processes (default: one for each core)")
    index.add_argument("--no-vectors", action="store_true", help="the symbols alone: no search by meaning")
    figures = "files, symbols, seconds, peak_rss_mb, db_mb, and chunks, vectors, search_seconds as one JSON line"
    index.add_argument("--json", action="store_true", help=figures)
    index.set_defaults(run=run_index)

    for name, run, what in (
        ("hover", run_hover, "what the editor's card says about the name there"),
        ("definition", run_definition, "where the name there is defined"),
        ("references", run_references, "every use of the name there, in the whole tree"),
    ):
        command = commands.add_parser(name, help=what, description=f"Print {what}.")
        command.add_argument("position", metavar="FILE:LINE:COL", type=position, help="line and column count from 1")
        add_tree(command)
        command.add_argument("--json", action="store_true")
        command.set_defaults(run=run)

    complete = commands.add_parser("complete", help="what the model would write there, as inline completion shows it")
    complete.add_argument("position", metavar="FILE:LINE:COL", type=position, nargs="?", help="count from 1")
    questions = 'questions {"path", "before", "after"} as JSON lines (-: stdin), one JSON line for each'
    complete.add_argument("--batch", metavar="FILE", help=questions)
    complete.add_argument("--model", metavar="PATH|URL", default="", help="instead of the one in the settings")
    add_tree(complete)
    complete.add_argument("--json", action="store_true")
    complete.set_defaults(run=run_complete)

    search = commands.add_parser("search", help="find code by name, or by what it does")
    filters = "a name, or words; path:DIR, kind:struct, subsystem:NAME and config:SYMBOL narrow the search"
    search.add_argument("query", metavar="QUERY", nargs="?", help=filters)
    search.add_argument("--batch", metavar="FILE", help="one query a line (-: stdin), one JSON line for each")
    search.add_argument("--limit", metavar="N", type=positive, default=20)
    methods = ("bm25", "vectors", "fused", "reranked")
    search.add_argument("--method", choices=methods, help="search by meaning, in this order (words: reranked)")
    add_tree(search)
    search.add_argument("--json", action="store_true")
    search.set_defaults(run=run_search)

    doctor = commands.add_parser("doctor", help="tree, index, versions, what is missing and how to get it")
    add_tree(doctor)
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(run=run_doctor)
    return parser


def add_tree(parser: argparse.ArgumentParser) -> None:
    what = "the kernel tree (default: the one around this directory)"
    parser.add_argument("--tree", metavar="DIR", type=Path, help=what)


@dataclass(frozen=True, slots=True)
class Position:
    """A place as editors show it: line and column count from 1, columns in characters."""

    path: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


def position(text: str) -> Position:
    path, line, column = (*text.rsplit(":", 2), "", "")[:3]
    if not (path and line.isdecimal() and column.isdecimal() and int(line) and int(column)):
        raise argparse.ArgumentTypeError(f"{text!r} is no FILE:LINE:COL such as fs/open.c:120:7")
    return Position(Path(path), int(line), int(column))


def positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def tcp_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT such as 127.0.0.1:7400")
    return host.strip("[]") or "127.0.0.1", int(port)


# The tree and its index


def find_tree(named: Path | None, around: Path | None = None) -> Path:
    """The root of ``--tree``, else of the tree around a file, else of the one around the current directory."""
    from kexpert.background.tree import find_root

    start = (named or around or Path.cwd()).expanduser().absolute()
    if named and not named.is_dir():
        raise Failure(f"{named}: no such directory; --tree takes the top of a kernel tree")
    root = find_root(start)
    if root is None:
        raise Failure(f"{start}: not inside a Linux kernel tree; name one with --tree DIR")
    return root


def open_index(root: Path) -> View:
    from kexpert.workspace.tree_index import IndexUnavailable, open_view

    try:
        view = open_view(root)
    except IndexUnavailable as error:
        raise Failure(str(error)) from error
    if not view.complete:
        say(f"{root}: not all of the tree is indexed, answers may lack something; run: kexpert index --tree {root}")
    return view


def shown(root: Path, path: str) -> str:
    """A path of the tree as the shell can use it: relative to the current directory where that is inside."""
    full, here = root / path, Path.cwd()
    return os.path.relpath(full, here) if here.is_relative_to(root) else str(full)


# Commands


def run_serve(args: argparse.Namespace) -> int:
    from kexpert.lsp.server import serve

    return serve(args.tcp, allow_remote=args.allow_remote)


def run_index(args: argparse.Namespace) -> int:
    from kexpert.cli.terminal import progress_bar
    from kexpert.index.builder import IndexWriteError
    from kexpert.workspace.tree_index import IndexUnavailable, build

    root = find_tree(args.tree)
    try:
        with progress_bar() as on_progress:
            report = build(root, args.jobs, on_progress, on_message=say)
    except (IndexUnavailable, IndexWriteError) as error:
        raise Failure(str(error)) from error
    for note in report.notes:
        say(note)
    found = None if args.no_vectors else index_for_search(root)
    if args.json:
        figures = {
            "files": report.files,
            "symbols": report.symbols,
            "seconds": round(report.seconds, 2),
            "places_seconds": round(report.common_words_seconds, 2),
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
        if found is not None:
            print(
                f"{root}: {found.chunks:,} chunks, {found.vectors:,} vectors in {found.seconds:.1f} s more; "
                f"{found.db_mb:,.0f} MB on disk, at most {found.peak_rss_mb:,.0f} MB of memory"
            )
    return OK


def index_for_search(root: Path) -> SearchReport:
    """Bring search in step with the symbol index."""
    from kexpert.cli.terminal import progress_bar
    from kexpert.workspace.tree_index import build_search

    with progress_bar() as on_progress:
        report = build_search(root, search_settings(root), on_progress, say)
    if report.failure:
        say(f"{root}: not ready for search by meaning: {report.failure}")
    return report


def run_hover(args: argparse.Namespace) -> int:
    from kexpert.features.hover.hover import hover

    _, view, source, offset = asked_about(args)
    card = hover(view, source, offset)
    if card is None:
        raise Failure(f"{args.position}: nothing is known about what stands there")
    markdown = card.to_markdown()
    if args.json:
        print(json.dumps({"name": card.name, "what": card.what, "markdown": markdown}))
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(markdown))
    else:
        print(markdown)
    return OK


def run_definition(args: argparse.Namespace) -> int:
    from kexpert.features.navigation.definition import definition

    root, view, source, offset = asked_about(args)
    return print_spans(
        args, root, view, definition(view, source, offset), "no definition is known of what stands there"
    )


def run_references(args: argparse.Namespace) -> int:
    from kexpert.features.navigation.references import references

    root, view, source, offset = asked_about(args)
    spans = [use for file in references(view, source, offset, True, lambda: False) for use in file]
    return print_spans(args, root, view, spans, "no uses are known of what stands there")


def asked_about(args: argparse.Namespace) -> tuple[Path, View, Source, int]:
    """The tree, its index, the file and the byte offset that FILE:LINE:COL means."""
    from kexpert.background.tree import relative_path

    at: Position = args.position
    file = at.path if at.path.exists() or args.tree is None else args.tree / at.path
    if not file.is_file():
        raise Failure(f"{at.path}: no such file; FILE is relative to this directory or to --tree")
    root = find_tree(args.tree, file.parent)
    path = relative_path(root, file)
    if path is None:
        raise Failure(f"{file}: not in the tree {root}; name its tree with --tree DIR")
    view = open_index(root)
    source = view.source(path)
    if source is None:
        raise Failure(f"{file}: cannot be read, or is too large to be a source file")
    lines = source.lines.starts
    if at.line > len(lines):
        raise Failure(f"{at}: the file has {len(lines)} lines")
    return root, view, source, source.lines.to_offset(at.line - 1, at.column - 1, "utf-32")


def print_spans(args: argparse.Namespace, root: Path, view: View, spans: Sequence[Span | Use], none: str) -> int:
    """Places as grep shows them."""
    if not spans:
        raise Failure(f"{args.position}: {none}")
    places = [place for span in spans if (place := place_json(view, span))]
    if args.json:
        print(json.dumps(places))
    else:
        for place in places:
            print(f"{shown(root, place['path'])}:{place['line']}:{place['column']}: {place['text']}")
    return OK


def place_json(view: View, span: Span | Use) -> dict[str, Any] | None:
    """Where a span starts and the text of its line; None when the file is gone meanwhile."""
    from kexpert.core.text import decode

    source = view.source(span.path)
    if source is None:
        return None
    line, column = source.lines.to_position(span.start, "utf-32")
    text = decode(source.lines.line_bytes(line)).strip()
    return {"path": span.path, "line": line + 1, "column": column + 1, "text": text}


def run_complete(args: argparse.Namespace) -> int:
    if (args.position is None) == (args.batch is None):
        say("complete takes either FILE:LINE:COL or --batch FILE; see kexpert complete --help")
        return USAGE
    from kexpert.workspace.complete import Failed, Refused, complete, complete_batch, options_for, suggestion_json

    try:
        if args.batch is not None:
            root = find_tree(args.tree)
            open_index(root)
            for answer in complete_batch(root, batch_queries(args.batch), options_for(root, args.model)):
                print(json.dumps(answer), flush=True)
            return OK
        root, view, source, offset = asked_about(args)
        found = complete(view, source, offset, options_for(root, args.model))
    except (Refused, Failed) as reason:
        raise Failure(str(reason)) from None
    if args.json:
        print(json.dumps(suggestion_json(found)))
    elif found is None:
        raise Failure(f"{args.position}: nothing is completed there")
    elif found.doubt:
        raise Failure(f"{args.position}: nothing sure enough to show ({found.doubt}: {found.about or 'nothing'})")
    else:
        print(found.text)
    return OK


def run_search(args: argparse.Namespace) -> int:
    if (args.query is None) == (args.batch is None):
        print("kexpert: search takes either QUERY or --batch FILE; see kexpert search --help", file=sys.stderr)
        return USAGE
    from kexpert.view import FilterError

    root = find_tree(args.tree)
    view = open_index(root)
    with ExitStack() as open_until_done:
        find = searches(view, root, args, open_until_done)
        if args.batch is not None:
            for query in batch_queries(args.batch):
                try:
                    print(json.dumps({"query": query, "results": find(query)}), flush=True)
                except FilterError as error:
                    print(json.dumps({"query": query, "results": [], "error": str(error)}), flush=True)
            return OK
        try:
            results = find(args.query)
        except FilterError as error:
            raise Failure(str(error)) from error
    if args.json:
        print(json.dumps({"query": args.query, "results": results}))
    else:
        for hit in results:
            print(f"{shown(root, hit['path'])}:{hit['line']}:{hit['column']}: {hit['kind']} {hit['name']}".rstrip())
            for line in hit.get("lines", ()):
                print(f"    {line['line']}: {line['text']}")
    if not results:
        raise Failure(f"{args.query}: no symbol of such a name in {root}")
    return OK


def searches(
    view: View, root: Path, args: argparse.Namespace, open_until_done: ExitStack
) -> Callable[[str], list[dict[str, Any]]]:
    """How one query is answered: a single word by name, words by meaning. The vectors are loaded when first needed."""
    from kexpert.features.search.search import search
    from kexpert.view import SearchMethod
    from kexpert.workspace.tree_index import VectorReader, open_view

    method = SearchMethod(args.method or "reranked")
    by_meaning: list[View] = []

    def find(query: str) -> list[dict[str, Any]]:
        if args.method is None and re.fullmatch(r"\w+", query):
            return by_name(view, query, args.limit)
        if not by_meaning:
            vectors = None
            if method is not SearchMethod.BM25:
                vectors = VectorReader(root, search_settings(root), say)
                open_until_done.callback(vectors.close)
            by_meaning.append(open_view(root, vectors))
        return [found_json(by_meaning[0], found) for found in search(by_meaning[0], query, args.limit, method)]

    return find


def search_settings(root: Path) -> SearchSettings:
    """What the user's configuration files say of search."""
    from kexpert.workspace.settings import file_layers, resolve
    from kexpert.workspace.tree_index import SearchSettings

    options, _ = resolve(file_layers(root)[0])
    return SearchSettings(options.vectors_enabled, options.vectors_url, options.vectors_embedder)


def batch_queries(name: str) -> Iterator[str]:
    file = sys.stdin.fileno() if name == "-" else name
    with open(file, encoding="utf-8", errors="replace", closefd=name != "-") as lines:
        yield from (query for line in lines if (query := line.strip()))


def by_name(view: View, query: str, limit: int) -> list[dict[str, Any]]:
    """Symbols of exactly this name, definitions first; then those that the view finds for it."""
    from kexpert.core.symbols import DEFINITIONS, Kind

    exact = view.lookup(query, [kind for kind in DEFINITIONS if kind is not Kind.MEMBER]) + view.lookup(query)
    found = list(dict.fromkeys(exact + view.lookup_fuzzy(query, limit=limit)))[:limit]
    return [symbol_json(view, symbol) for symbol in found]


def found_json(view: View, found: Found) -> dict[str, Any]:
    lines = [{"line": number + 1, "text": text} for number, text in found.lines]
    return {**_named_json(view, found, found.start), "score": round(found.score, 6), "lines": lines}


def symbol_json(view: View, symbol: Symbol) -> dict[str, Any]:
    return {**_named_json(view, symbol, symbol.name_start), "scope": symbol.scope}


def _named_json(view: View, named: Found | Symbol, start: int) -> dict[str, Any]:
    """What it is, and where its name starts."""
    source = view.source(named.path)
    line, column = source.lines.to_position(start, "utf-32") if source else (named.line, 0)
    return {
        "name": named.name,
        "kind": named.kind.name.lower(),
        "path": named.path,
        "line": line + 1,
        "column": column + 1,
    }


def run_doctor(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from kexpert.background.tree import find_root
    from kexpert.workspace.doctor import examine

    findings = examine(find_tree(args.tree) if args.tree else find_root(Path.cwd()))
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(f"{finding.state:<8} {finding.what + ':':<18} {finding.detail}")
            if finding.mend:
                print(f"{'':<27} {finding.mend}")
    return FAILED if any(finding.state in ("missing", "bad") for finding in findings) else OK
