"""The prompt for a place: the text around it, and declarations, edits and a similar function from other files.

Everything is cut so that typing does not change it: a model keeps what it has read as long as nothing before it
changes (see ``kexpert.prompt`` for the order).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kexpert.core.c.function_extent import Function, function_tokens
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk, ChunkKind
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import encode
from kexpert.features.semantics.cursor import CursorContext
from kexpert.features.semantics.definition_ranking import rank_definitions
from kexpert.features.semantics.initialisers import braces_type
from kexpert.prompt.declaration_summary import summarise_declaration
from kexpert.prompt.fim import Context, Excerpt
from kexpert.view import View

#: Kernel C in a kernel C vocabulary has 2.9 bytes a token; other vocabularies need more tokens.
BYTES_PER_TOKEN = 2.8
#: Maximum fractions of the prompt for excerpts of other files and for the text after the cursor.
_EXCERPTS_SHARE, _SUFFIX_SHARE = 0.25, 0.25
#: Maximum fraction of the excerpts for declarations; recent edits and a similar function take the rest.
_DECLARATIONS_SHARE = 0.6
#: The first line of the prefix moves by this many lines at a time: each move makes the model read the whole prompt.
_PREFIX_STEP_LINES = 16
#: Maximum names looked up for one place, and lines above it in which the use of a variable counts.
_MAX_NAMES = 12
_USE_WINDOW_LINES = 40
#: Functions with more callers are known to every model and are not declared in the prompt.
_COMMON_CALLERS = 3000
_CALLABLE = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.SYSCALL, Kind.MACRO)
_RECORDS = (Kind.STRUCT, Kind.UNION)
#: A similar function: characters that are worth showing, bytes that are compared, seconds that finding it may take.
_MIN_SIMILAR_CHARS, _SIMILAR_BYTES, _SIMILAR_SECONDS = 200, 4000, 0.05
#: An edit in the same file that is nearer than this is in the prompt already.
_MIN_EDIT_DISTANCE_BYTES = 4096
_FUNCTION_NAME = re.compile(r"(\w+)[ \t\n]*\(")
#: Maximum recently edited places, and the lines shown on either side of one: the largest number that fits.
_MAX_EDITS, _LINES_AROUND_EDIT = 3, (8, 4, 2)


@dataclass(slots=True)
class ExcerptCache:
    """The excerpts of one function. They hold while the cursor stays in it, no new type comes into scope, and no
    other file is edited."""

    path: str = ""
    start: int = -1
    types: frozenset[str] = frozenset()
    max_chars: int = 0
    edited: tuple[str, int] | None = None
    excerpts: tuple[Excerpt, ...] = ()


@dataclass(slots=True)
class RecentEdits:
    """The last edited places, newest first: (path, line)."""

    places: list[tuple[str, int]] = field(default_factory=list)

    def add(self, path: str, line: int) -> None:
        """Record an edit on a line. Edits close to one another are one place."""
        kept = [(p, at) for p, at in self.places if p != path or abs(at - line) > _LINES_AROUND_EDIT[0]]
        self.places = [(path, line), *kept][: 2 * _MAX_EDITS]

    def in_other_file(self, path: str) -> tuple[str, int] | None:
        """The last edit in another file than ``path``."""
        return next((place for place in self.places if place[0] != path), None)


def build_context(
    cursor: CursorContext, max_tokens: int, cache: ExcerptCache | None = None, edits: RecentEdits | None = None
) -> Context:
    """The context for a hole at the cursor, of about ``max_tokens``.

    ``cache`` is kept from request to request, and filled here.
    """
    source, offset = cursor.source, cursor.offset
    max_chars = int(max_tokens * BYTES_PER_TOKEN)
    suffix = _suffix(source.data, offset, int(max_chars * _SUFFIX_SHARE))
    excerpts = _excerpts(cursor, int(max_chars * _EXCERPTS_SHARE), cache or ExcerptCache(), edits or RecentEdits())
    # The prefix takes what excerpts and suffix leave, in steps, so that typing does not move its beginning.
    prefix = _prefix(source, offset, max_chars - _size(excerpts) - len(suffix))
    return Context(source.path, decode_text(prefix), decode_text(suffix), excerpts)


def decode_text(data: bytes) -> str:
    """Text as a model reads it: line ends as ``\\n``, undecodable bytes replaced."""
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def lines_around(source: Source, line: int, lines: int) -> bytes:
    """A line with ``lines`` more on either side. ``line`` may be past the end of the file."""
    starts = source.lines.starts
    start = starts[min(max(line - lines, 0), len(starts) - 1)]
    end = starts[line + lines + 1] if line + lines + 1 < len(starts) else len(source.data)
    return source.data[start:end]


def _size(excerpts: Iterable[Excerpt]) -> int:
    return sum(len(excerpt.path) + len(excerpt.text) + 2 for excerpt in excerpts)


def _suffix(data: bytes, offset: int, max_bytes: int) -> bytes:
    """From the cursor to the end of a line."""
    if len(data) - offset <= max_bytes:
        return data[offset:]
    end = data.rfind(b"\n", offset, offset + max_bytes) + 1
    return data[offset : end or offset + max_bytes]


def _prefix(source: Source, offset: int, max_bytes: int) -> bytes:
    """Lines up to the cursor; the number of the first is a multiple of ``_PREFIX_STEP_LINES``."""
    starts, line = source.lines.starts, source.lines.line_of(offset)
    first = -(-source.lines.line_of(max(offset - max_bytes, 0)) // _PREFIX_STEP_LINES) * _PREFIX_STEP_LINES
    if offset <= max_bytes:
        first = 0
    start = starts[first] if first <= line else max(starts[line], offset - max_bytes)
    return source.data[start:offset]


# -- excerpts ---------------------------------------------------------------------------------------------------------


def _excerpts(
    cursor: CursorContext, max_chars: int, cache: ExcerptCache, edits: RecentEdits
) -> tuple[Excerpt, ...]:
    """Declarations, then recent edits, then a similar function; from ``cache`` if it holds."""
    source, function = cursor.source, cursor.function
    tags = _record_tags(cursor) if function else _initialised_tag(cursor)
    types = frozenset(tags)
    # An edit above moves a function: it is the same one while its header starts at the same offset.
    start = function.start if function else -1
    edited = edits.in_other_file(source.path)
    is_same_place = (cache.path, cache.start, cache.max_chars, cache.edited) == (source.path, start, max_chars, edited)
    if is_same_place and types <= cache.types:
        return cache.excerpts
    called = _called_names(cursor, function) if function else []
    found = _declarations(cursor.view, _needed_symbols(cursor, tags, called), int(max_chars * _DECLARATIONS_SHARE))
    found += _recent_edits(cursor, max_chars - _size(found), edits)
    if function:
        found += _similar_function(cursor, function, max_chars - _size(found))
    cache.path, cache.start, cache.types, cache.max_chars = source.path, start, types, max_chars
    cache.edited, cache.excerpts = edited, tuple(found)
    return cache.excerpts


def _initialised_tag(cursor: CursorContext) -> list[str]:
    """The tag of the struct whose initialiser holds the cursor."""
    tokens, types = cursor.tokens, cursor.types
    at = tokens.at_offset(cursor.offset - 1)
    brace = at if tokens[at] == "{" else tokens.enclosing(at, "{")
    owner = braces_type(types, tokens, brace, cursor.offset)
    record = types.resolved(owner) if owner else None
    return [record.tag] if record and record.tag and not record.body else []


def _record_tags(cursor: CursorContext) -> list[str]:
    """Tags of the structs and unions that the variables in scope are or point to, the last used first."""
    source, offset = cursor.source, cursor.offset
    floor = source.lines.starts[max(source.lines.line_of(offset) - _USE_WINDOW_LINES, 0)]
    above = source.data[floor:offset]
    last_use: dict[str, int] = {}
    for local in cursor.locals:
        if local.type.keyword in ("struct", "union") and local.type.tag and not local.type.body:
            used = above.rfind(encode(local.name))
            last_use[local.type.tag] = max(last_use.get(local.type.tag, -1), used)
    return sorted(last_use, key=lambda tag: -last_use[tag])


def _needed_symbols(cursor: CursorContext, tags: Sequence[str], called: Sequence[str]) -> list[Symbol]:
    """Symbols to declare: the types in scope, then functions and macros called near the hole."""
    view, source = cursor.view, cursor.source
    found: list[Symbol] = []
    for tag in tags[: _MAX_NAMES // 2]:
        rows = [row for row in view.lookup(tag, _RECORDS, limit=20) if row.path != source.path]
        found += rank_definitions(view, rows, source)[:1]
    for name in called[:_MAX_NAMES]:
        if view.caller_count(name) > _COMMON_CALLERS:
            continue
        rows = [row for row in view.lookup(name, _CALLABLE, limit=20) if not _is_shown_or_private(row, source)]
        found += rank_definitions(view, rows, source)[:1]
    return found


def _is_shown_or_private(row: Symbol, source: Source) -> bool:
    """True for a symbol of this file, and for a static of another one."""
    return row.path == source.path or (row.path.endswith(".c") and bool(row.flags & Flag.STATIC))


def _called_names(cursor: CursorContext, function: Function) -> list[str]:
    """Names before a ``(`` in the function, the nearest to the cursor first."""
    tokens = function_tokens(cursor.source, function)
    distances: dict[str, int] = {}
    for at, token in enumerate(tokens.items):
        if tokens[at + 1] == "(" and tokens.is_word(at) and token.text not in KEYWORDS and tokens[at - 1] != "->":
            distance = abs(token.start - cursor.offset)
            distances[token.text] = min(distances.get(token.text, distance), distance)
    return sorted(distances, key=lambda name: distances[name])


def _declarations(view: View, symbols: Iterable[Symbol], max_chars: int) -> list[Excerpt]:
    """One excerpt for each file, in the order in which the files are first needed."""
    by_path: dict[str, list[str]] = {}
    for symbol in symbols:
        text = summarise_declaration(view.text(symbol), symbol.kind)
        cost = len(text) + 1 + (0 if symbol.path in by_path else len(symbol.path) + 1)
        if text and cost <= max_chars and text not in by_path.get(symbol.path, ()):
            by_path.setdefault(symbol.path, []).append(text)
            max_chars -= cost
    return [Excerpt(path, "\n".join(texts)) for path, texts in by_path.items()]


def _recent_edits(cursor: CursorContext, max_chars: int, edits: RecentEdits) -> list[Excerpt]:
    """Lines around the last edits in other places: the next edit is often like them."""
    found: list[Excerpt] = []
    for path, line in edits.places:
        source = cursor.view.source(path)
        if source is None or len(found) == _MAX_EDITS:
            continue
        at = source.lines.starts[min(line, len(source.lines.starts) - 1)]
        if path == cursor.source.path and abs(at - cursor.offset) < _MIN_EDIT_DISTANCE_BYTES:
            continue
        texts = (decode_text(lines_around(source, line, lines)) for lines in _LINES_AROUND_EDIT)
        text = next((text for text in texts if len(path) + len(text) + 2 <= max_chars), "")
        if text:
            found.append(Excerpt(path, text))
            max_chars -= len(path) + len(text) + 2
    return found


def _similar_function(cursor: CursorContext, function: Function, max_chars: int) -> list[Excerpt]:
    """The beginning of the most similar function of another file: drivers do the same things alike."""
    if max_chars < _MIN_SIMILAR_CHARS:
        return []
    source = cursor.source
    body = decode_text(source.data[function.start : min(function.end, function.start + _SIMILAR_BYTES)])
    name = _FUNCTION_NAME.search(body)
    line = source.lines.line_of(function.start)
    chunk = Chunk(
        source.path, ChunkKind.FUNCTION, name[1] if name else "", line, function.start, function.end, "", body
    )
    for hit in cursor.view.similar(chunk, 3, other_files=True, timeout=_SIMILAR_SECONDS):
        other = cursor.view.source(hit.path) if hit.kind is ChunkKind.FUNCTION else None
        if other is not None:
            end = hit.start + max_chars - len(hit.path) - 2
            text = decode_text(other.data[hit.start : min(hit.end, end)])
            return [Excerpt(hit.path, text[: text.rfind("\n") + 1] if end < hit.end else text)]
    return []
