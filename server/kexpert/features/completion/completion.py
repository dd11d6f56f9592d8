"""Completion: what can be written at a place, best first."""

from __future__ import annotations

import re

from kexpert.core.c.cursor_context import enclosing_tokens, lexical_class
from kexpert.core.c.scope import locals_at
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.completion.item import (
    ITEM_KINDS,
    SUBSEQUENCE,
    Completions,
    Item,
    ItemKind,
    Request,
    match_quality,
)
from kexpert.features.completion.members import complete_member, enumerator_items, initialiser_items
from kexpert.features.completion.places import complete_config, complete_directive, complete_include, complete_kerneldoc
from kexpert.features.semantics.definition_ranking import ELSEWHERE, distance, is_visible
from kexpert.features.semantics.expected_type import expected_type
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View

__all__ = ["Completions", "Item", "complete"]

_WORD = re.compile(rb"\w*\Z")
_TAG_KINDS = {"struct": Kind.STRUCT, "union": Kind.UNION, "enum": Kind.ENUM}
_NAMES = frozenset({Kind.FUNCTION, Kind.PROTOTYPE, Kind.SYSCALL, Kind.TRACEPOINT, Kind.MACRO, Kind.ENUMERATOR,
                    Kind.TYPEDEF, Kind.VARIABLE, Kind.DECLARATION})  # fmt: skip
_KEYWORDS = ("break", "case", "const", "continue", "default", "else", "enum", "extern", "for", "goto", "if", "inline",
             "int", "long", "return", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void",
             "volatile", "while", "char", "short", "do")  # fmt: skip
#: Rows of other kinds fall out after the look-up, so more are asked for than shown.
_SURPLUS = 2
#: One letter begins a hundred thousand names: only what is near is offered for it.
_MIN_TREE = 2
#: With fewer names of this beginning, names that hold it elsewhere are looked for: from so many letters a
#: word on, and so many of them. Matching inside names costs more than matching beginnings.
_FEW = 8
_MIN_FUZZY = 3
_FUZZY_ROWS = 60
_LINE_REACH = 4096
_LOCAL_KINDS: dict[str, ItemKind] = {"parameter": "parameter", "label": "label"}


def opens_menu(source: Source, offset: int, trigger: str) -> bool:
    """Whether a typed character opens the menu here: ``>`` only after ``-``, and so on."""
    line = source.data[source.lines.starts[source.lines.line_of(offset)] : offset].lstrip()
    match trigger:
        case ">":
            return line.endswith(b"->")
        case "*":
            return line == b"/**"
        case "#":
            return line == b"#"
        case "<" | '"' | "/":
            return line.startswith(b"#") and b"include" in line
    return True


def complete(view: View, source: Source, offset: int, limit: int = 200) -> Completions:
    """Proposals for the place ``offset``, at most ``limit``; the list says whether more would match."""
    data = source.data
    offset = min(max(offset, 0), len(data))
    line = data[max(data.rfind(b"\n", 0, offset) + 1, offset - _LINE_REACH) : offset]
    word = _WORD.search(line)
    prefix = word[0].decode("latin-1") if word else ""
    request = Request(view, source, offset, offset - len(prefix), prefix, limit)
    include = complete_include(request, line)
    if include is not None:
        return include
    where = lexical_class(data, offset)
    if where == "comment":
        return complete_kerneldoc(request)
    if where == "string" or prefix[:1].isdigit():
        return Completions()
    for place in (complete_directive, complete_config):
        found = place(request, line)
        if found is not None:
            return found
    return _complete_code(request)


def _complete_code(request: Request) -> Completions:
    tokens = enclosing_tokens(request.source, request.start)
    at = tokens.at_offset(request.start - 1)
    before = tokens[at]
    types = Types(request.view, request.source)
    if before[:1].isdigit() and tokens.stop(at) == request.start:
        return Completions()
    if before in (".", "->") and not (request.prefix and tokens.begins_line(at + 1)):
        return complete_member(request, types, tokens, at)
    if before in _TAG_KINDS:
        return _tags(request, _TAG_KINDS[before])
    if before == "goto":
        return _labels(request)
    return _names(request, types, tokens, at)


def _labels(request: Request) -> Completions:
    labels = [local.name for local in locals_at(request.source, request.start) if local.kind == "label"]
    return Completions([request.item(name, "label", f"{rank}{name}") for name, rank in request.matching(labels)])


def _tags(request: Request, kind: Kind) -> Completions:
    own = [row for row in request.view.symbols_in(request.source.path) if row.kind is kind]
    rows, more = _rows(request, frozenset({kind}))
    return _ranked(request, [*own, *rows], [], more)


def _names(request: Request, types: Types, tokens: Tokens, at: int) -> Completions:
    """Locals, what the place expects, and symbols of the file and the tree."""
    first: list[Item] = []
    if not request.prefix and tokens[at] in ("{", ","):
        first += initialiser_items(request, types, tokens, at)
    wanted = expected_type(types, tokens, at, request.start)
    if wanted is not None:
        first += enumerator_items(request, types, wanted)
    visible = [local for local in locals_at(request.source, request.start) if local.kind != "label"]
    shown = {local.name: local for local in visible}
    for order, (name, quality) in enumerate(request.matching(list(shown))):
        kind = _LOCAL_KINDS.get(shown[name].kind, "local")
        first.append(request.item(name, kind, f"1{quality}{order:04}", shown[name].type_text))
    keywords = _KEYWORDS if request.prefix else ()
    first += [request.item(name, "keyword", f"39{name}") for name in keywords if name.startswith(request.prefix)]
    own = [row for row in request.view.symbols_in(request.source.path) if row.kind in _NAMES]
    rows, more = _rows(request, _NAMES)
    return _ranked(request, [row for row in [*own, *rows] if row.name not in shown], first, more)


def _rows(request: Request, kinds: frozenset[Kind]) -> tuple[list[Symbol], bool]:
    """Symbols of the tree that match what is typed and can be meant here; whether there may be more."""
    if len(request.prefix) < _MIN_TREE:
        return [], True
    view, source, prefix = request.view, request.source, request.prefix
    asked = request.limit * _SURPLUS
    rows = view.lookup_prefix(prefix, asked, source.path)
    more = len(rows) >= asked
    fitting = [row for row in rows if row.kind in kinds and is_visible(row, source)]
    if len(fitting) < _FEW and min(map(len, prefix.strip("_").split("_"))) >= _MIN_FUZZY:
        rows = view.lookup_fuzzy(prefix, _FUZZY_ROWS, source.path)
        more |= len(rows) >= _FUZZY_ROWS
        fitting += [row for row in rows if row.kind in kinds and is_visible(row, source)]
    return fitting, more


def _ranked(request: Request, rows: list[Symbol], first: list[Item], incomplete: bool) -> Completions:
    """One item a name: by how well it matches, then by how near it is declared, then as the view ranks it."""
    best: dict[str, tuple[tuple[int, int, int], Symbol]] = {}
    for order, row in enumerate(rows):
        quality = match_quality(row.name, request.prefix)
        if quality is None:  # the view knows more ways to match, such as initials
            quality = SUBSEQUENCE
            if row.path == request.source.path:
                continue
        key = (quality, _scope(row, request.source), order)
        if row.name not in best or key < best[row.name][0]:
            best[row.name] = (key, row)
    taken = {item.label for item in first}
    items = list(first)
    for (quality, scope, order), row in best.values():
        if row.name not in taken:
            sort = f"{2 + (quality >= SUBSEQUENCE) * 2}{quality}{scope}{order:04}"
            items.append(request.item(row.name, ITEM_KINDS[row.kind], sort, _detail(row), symbol=row))
    items.sort(key=lambda item: item.sort_text)
    return Completions(items[: request.limit], incomplete or len(items) > request.limit)


def _scope(row: Symbol, source: Source) -> int:
    """0 for the own file, then included headers, global ones, the directory, the subsystem, the tree."""
    if row.path == source.path:
        return 0
    away = 1 + distance(row.path, source)
    return away + (away == 1 + ELSEWHERE and row.path.split("/")[:2] != source.path.split("/")[:2])


def _detail(row: Symbol) -> str:
    if row.kind is Kind.ENUMERATOR:
        return f"enum {row.scope}".rstrip()
    return row.path
