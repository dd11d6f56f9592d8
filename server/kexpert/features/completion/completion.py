"""Completion: the names and texts that can be written at a place, best first."""

from __future__ import annotations

import re

from kexpert.core.c.cursor_context import lexical_class
from kexpert.core.c.declarators import CType
from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.build_files.completion import complete_build_file
from kexpert.features.completion.item import (
    ITEM_KINDS,
    SUBSEQUENCE,
    CompletionItem,
    CompletionRequest,
    Completions,
    ItemKind,
    match_quality,
)
from kexpert.features.completion.keywords import error_codes, keywords
from kexpert.features.completion.members import complete_member, enumerator_items, initialiser_items
from kexpert.features.completion.places import complete_config, complete_directive, complete_include, complete_kerneldoc
from kexpert.features.semantics.cursor import CursorContext
from kexpert.features.semantics.definition_ranking import (
    ELSEWHERE,
    GLOBAL_HEADER,
    INCLUDED,
    distance,
    is_visible,
    rank_definitions,
)
from kexpert.features.semantics.expected_type import expected_type
from kexpert.features.semantics.include_paths import arch_for
from kexpert.features.semantics.variant_states import excluded_files
from kexpert.view import View

__all__ = ["CompletionItem", "Completions", "complete"]

_WORD = re.compile(rb"\w*\Z")
_TAG_KINDS = {"struct": Kind.STRUCT, "union": Kind.UNION, "enum": Kind.ENUM}
_NAMES = frozenset({Kind.FUNCTION, Kind.PROTOTYPE, Kind.SYSCALL, Kind.TRACEPOINT, Kind.MACRO, Kind.ENUMERATOR,
                    Kind.TYPEDEF, Kind.VARIABLE, Kind.DECLARATION})  # fmt: skip
_MAX_TYPED_FUNCTIONS = 300
#: Rows of other kinds are dropped after the look-up, so it asks for this many times the limit.
_ROWS_PER_ITEM = 2
#: One letter begins a hundred thousand names: names of the tree are offered from two letters on.
_MIN_PREFIX = 2
#: With fewer names of this prefix, names that match otherwise are looked up too, which costs more: if each word of
#: the prefix has ``_MIN_FUZZY_LETTERS``, and at most ``_MAX_FUZZY_ROWS``.
_FEW_NAMES = 8
_MIN_FUZZY_LETTERS = 3
_MAX_FUZZY_ROWS = 60
_MAX_LINE_BYTES = 4096
_LOCAL_KINDS: dict[str, ItemKind] = {"parameter": "parameter", "label": "label"}


def opens_menu(source: Source, offset: int, trigger: str) -> bool:
    """True if a typed character opens the menu here: ``>`` only after ``-``, and so on."""
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
    """At most ``limit`` proposals for the place ``offset``."""
    data = source.data
    offset = min(max(offset, 0), len(data))
    line = data[max(data.rfind(b"\n", 0, offset) + 1, offset - _MAX_LINE_BYTES) : offset]
    word = _WORD.search(line)
    prefix = word[0].decode("latin-1") if word else ""
    request = CompletionRequest(CursorContext(view, source, offset - len(prefix)), offset, prefix, limit)
    build_file = complete_build_file(request, line)
    if build_file is not None:
        return build_file
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


def _complete_code(request: CompletionRequest) -> Completions:
    tokens = request.cursor.tokens
    at = tokens.at_offset(request.start - 1)
    before = tokens[at]
    if before[:1].isdigit() and tokens.stop(at) == request.start:
        return Completions()
    if before in (".", "->") and not (request.prefix and tokens.begins_line(at + 1)):
        return complete_member(request, at)
    if before in _TAG_KINDS:
        return _tags(request, _TAG_KINDS[before])
    if before == "goto":
        return _labels(request)
    return _names(request, at)


def _labels(request: CompletionRequest) -> Completions:
    names = [label.name for label in request.cursor.labels]
    return Completions([request.item(name, "label", f"{quality}{name}") for name, quality in request.matching(names)])


def _tags(request: CompletionRequest, kind: Kind) -> Completions:
    own = [row for row in request.view.symbols_in(request.source.path) if row.kind is kind]
    rows, more = _rows(request, frozenset({kind}), (kind,))
    return _ranked(request, [*own, *rows], [], more)


def _names(request: CompletionRequest, at: int) -> Completions:
    """Locals, values of the expected type, and symbols of the file and the tree, after token ``at``."""
    cursor, tokens = request.cursor, request.cursor.tokens
    first: list[CompletionItem] = []
    if not request.prefix and tokens[at] in ("{", ","):
        first += initialiser_items(request, at)
    expected = expected_type(cursor.types, tokens, at, cursor.offset)
    if expected is not None:
        first += enumerator_items(request, expected)
    locals_by_name = {local.name: local for local in cursor.locals}
    for order, (name, quality) in enumerate(request.matching(list(locals_by_name))):
        local = locals_by_name[name]
        kind = _LOCAL_KINDS.get(local.kind, "local")
        first.append(request.item(name, kind, f"1{quality}{order:04}", local.type_text))
    first += keywords(request, at)
    first += error_codes(request, at)
    own = [row for row in request.view.symbols_in(request.source.path) if row.kind in _NAMES]
    if expected is not None:
        first += _functions_of_type(request, own, expected, tokens[at - 1] if tokens.is_word(at - 1) else "")
    rows, more = _rows(request, _NAMES)
    return _ranked(request, [row for row in [*own, *rows] if row.name not in locals_by_name], first, more)


def _functions_of_type(
    request: CompletionRequest, own: list[Symbol], expected: CType, member: str
) -> list[CompletionItem]:
    """The functions of this file that a pointer of the expected type can hold; those named after the member first."""
    types = request.cursor.types
    wanted = types.resolved(expected)
    if wanted.derived[:1] != ("*",) or not wanted.derived[1:2] or not wanted.derived[1].startswith("("):
        return []
    functions = [row for row in own if row.kind is Kind.FUNCTION][:_MAX_TYPED_FUNCTIONS]
    items = []
    for order, (name, quality) in enumerate(request.matching([row.name for row in functions])):
        row = next(row for row in functions if row.name == name)
        other = int(not member or not name.endswith(member))
        declared = types.declared(row)
        found = types.resolved(declared) if declared is not None else None  # ``wanted`` has no typedef either
        if found is not None and (found.name, found.derived) == (wanted.name, wanted.derived[1:]):
            sort = f"0{quality}{other}{order:04}"
            items.append(request.item(name, ITEM_KINDS[row.kind], sort, _detail(row), symbol=row))
    return items


def _rows(
    request: CompletionRequest, kinds: frozenset[Kind], only: tuple[Kind, ...] = ()
) -> tuple[list[Symbol], bool]:
    """(symbols of the tree that match the prefix and are visible here, True if there may be more).

    ``only``: kinds to look up; without them all kinds are, which is faster, and those not wanted are dropped.
    """
    if len(request.prefix) < _MIN_PREFIX:
        return [], True
    view, source, prefix = request.view, request.source, request.prefix
    arch = arch_for(view, source.path)
    max_rows = request.limit * _ROWS_PER_ITEM
    rows = view.lookup_prefix(prefix, max_rows, source.path, only)
    more = len(rows) >= max_rows
    fitting = [row for row in rows if row.kind in kinds and is_visible(row, source, arch)]
    if len(fitting) < _FEW_NAMES and min(map(len, prefix.strip("_").split("_"))) >= _MIN_FUZZY_LETTERS:
        rows = view.lookup_fuzzy(prefix, _MAX_FUZZY_ROWS, source.path)
        more |= len(rows) >= _MAX_FUZZY_ROWS
        fitting += [row for row in rows if row.kind in kinds and is_visible(row, source, arch)]
    return fitting, more


def _ranked(
    request: CompletionRequest, rows: list[Symbol], first: list[CompletionItem], incomplete: bool
) -> Completions:
    """One item for each name: by match quality, then by the distance of its declaration, then as the view ranks it."""
    best: dict[str, tuple[tuple[int, int, int], Symbol]] = {}
    arch = arch_for(request.view, request.source.path)
    for order, row in enumerate(rows):
        quality = match_quality(row.name, request.prefix)
        if quality is None:  # the view matches in more ways, such as by initials
            quality = SUBSEQUENCE
            if row.path == request.source.path:
                continue
        key = (quality, _scope(row, request.source, arch), order)
        if row.name not in best or key < best[row.name][0]:
            best[row.name] = (key, row)
    best = _of_the_configuration(request, best)
    taken = {item.label for item in first}
    items = list(first)
    for (quality, scope, order), row in best.values():
        if row.name not in taken:
            sort = f"{2 + (quality >= SUBSEQUENCE) * 2}{quality}{scope}{order:04}"
            items.append(request.item(row.name, ITEM_KINDS[row.kind], sort, _detail(row), symbol=row))
    items.sort(key=lambda item: item.sort_text)
    return Completions(items[: request.limit], incomplete or len(items) > request.limit)


def _of_the_configuration(
    request: CompletionRequest, best: dict[str, tuple[tuple[int, int, int], Symbol]]
) -> dict[str, tuple[tuple[int, int, int], Symbol]]:
    """Names with the variant that the configuration compiles, where the one at hand is in a file that it does not."""
    likeliest = dict(sorted(best.items(), key=lambda each: each[1][0])[: request.limit])
    out = excluded_files(request.view, [row.path for _, row in likeliest.values()])
    for name, (key, row) in likeliest.items():
        if row.path in out and row.path != request.source.path:
            found = rank_definitions(request.view, request.view.lookup(name), request.source, request.offset)
            likeliest[name] = key, next((each for each in found if each.kind in ITEM_KINDS), row)
    return {**best, **likeliest}


def _scope(row: Symbol, source: Source, arch: str) -> int:
    """0 for this file, then headers of its own, global ones, the directory, the subsystem, the tree."""
    if row.path == source.path:
        return 0
    near = distance(row.path, source, arch)
    # a global header that it names is as near as those that this one includes
    is_global = near == INCLUDED and row.path.startswith(("include/", f"arch/{arch}/include/"))
    scope = 1 + (GLOBAL_HEADER if is_global else near)
    return scope + (scope == 1 + ELSEWHERE and row.path.split("/")[:2] != source.path.split("/")[:2])


def _detail(row: Symbol) -> str:
    if row.kind is Kind.ENUMERATOR:
        return f"enum {row.scope}".rstrip()
    return row.path
