"""What a model is told of a place: the text around it, and what other files say that it is likely to need.

Everything is cut so that typing leaves it as it is: a model keeps what it has read as long as nothing
in front of it changes (see ``core.prompt`` for the order).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kexpert.core.c.cursor_context import enclosing_tokens
from kexpert.core.c.function_extent import Function, enclosing_function, function_tokens
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.scope import locals_at
from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk, ChunkKind
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import encode
from kexpert.features.semantics.definition_ranking import rank_definitions
from kexpert.features.semantics.initialisers import braces_type
from kexpert.features.semantics.type_inference import Types
from kexpert.prompt.declaration_summary import summarise_declaration
from kexpert.prompt.fim import Context, Excerpt
from kexpert.view import View

#: Kernel C in a kernel C vocabulary has 2.9 bytes a token; other vocabularies need more tokens.
BYTES_PER_TOKEN = 2.8
#: Of the room for a prompt: what other files may have, and what stands behind the cursor. Of the former: what
#: declarations may have; recent edits and a function like this one come after them.
_EXCERPTS, _SUFFIX = 0.25, 0.25
_DECLARATIONS = 0.6
#: The first line of the prefix moves by so many at a time: each move costs a whole prompt.
_STEP = 16
#: Names looked up for one place, and lines above it that are read for them.
_MOST_NAMES = 12
_NEAR = 40
#: What everybody knows: a model needs no word on it.
_COMMON_CALLERS = 3000
#: A name that a suggestion could use is told about as one of these.
_TOLD = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.SYSCALL, Kind.MACRO)
_RECORDS = (Kind.STRUCT, Kind.UNION)
#: A similar function: characters that are worth telling, bytes that are compared, seconds that finding it may take.
_FEWEST_SIBLING, _SIBLING_BYTES, _SIBLING_SECONDS = 200, 4000, 0.05
#: An edit nearer than so many bytes is no edit elsewhere: the prompt shows it.
_NOT_ELSEWHERE = 4096
_FUNCTION_NAME = re.compile(r"(\w+)[ \t\n]*\(")
#: Recently edited stretches: so many, of so many lines above and below the edit, or fewer where there is no room.
_RECENT, _AROUND = 3, (8, 4, 2)


@dataclass(slots=True)
class Gathered:
    """What was told of one function; it stands while the cursor stays there, no new type is met and nothing is edited
    in another file."""

    path: str = ""
    start: int = -1
    types: frozenset[str] = frozenset()
    room: int = 0
    edited: tuple[str, int] | None = None
    excerpts: tuple[Excerpt, ...] = ()


@dataclass(slots=True)
class Recent:
    """Where was edited last, newest first: (path, line)."""

    places: list[tuple[str, int]] = field(default_factory=list)

    def edited(self, path: str, line: int) -> None:
        """An edit on a line; edits close to one another are one place."""
        kept = [(p, at) for p, at in self.places if p != path or abs(at - line) > _AROUND[0]]
        self.places = [(path, line), *kept][: 2 * _RECENT]

    def elsewhere(self, path: str) -> tuple[str, int] | None:
        """The last edit in another file."""
        return next((place for place in self.places if place[0] != path), None)


def gather(
    view: View, source: Source, offset: int, tokens: int, gathered: Gathered | None = None, recent: Recent | None = None
) -> Context:
    """The context for a hole at ``offset``, of about so many tokens. ``gathered`` is kept from question to
    question, and filled here."""
    room = int(tokens * BYTES_PER_TOKEN)
    suffix = _suffix(source.data, offset, int(room * _SUFFIX))
    if gathered is None:
        gathered = Gathered()
    _gather_excerpts(view, source, offset, int(room * _EXCERPTS), gathered, recent)
    told = _size(gathered.excerpts)
    # What excerpts and suffix leave is the prefix's, in steps, so that typing does not move its beginning.
    prefix = _prefix(source, offset, room - told - len(suffix))
    return Context(source.path, decode_text(prefix), decode_text(suffix), gathered.excerpts)


def _size(excerpts: Iterable[Excerpt]) -> int:
    return sum(len(excerpt.path) + len(excerpt.text) + 2 for excerpt in excerpts)


def decode_text(data: bytes) -> str:
    """Text as a model may read it."""
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def _suffix(data: bytes, offset: int, room: int) -> bytes:
    """From the cursor to the end of a line."""
    if len(data) - offset <= room:
        return data[offset:]
    end = data.rfind(b"\n", offset, offset + room) + 1
    return data[offset : end or offset + room]


def _prefix(source: Source, offset: int, room: int) -> bytes:
    """Whole lines up to the cursor; the first of them is a multiple of ``_STEP``."""
    starts, line = source.lines.starts, source.lines.line_of(offset)
    first = -(-source.lines.line_of(max(offset - room, 0)) // _STEP) * _STEP
    if offset <= room:
        first = 0
    start = starts[first] if first <= line else max(starts[line], offset - room)
    return source.data[start:offset]


def _gather_excerpts(
    view: View, source: Source, offset: int, room: int, gathered: Gathered, recent: Recent | None
) -> None:
    function = enclosing_function(source, offset)
    tags = _types(source, offset) if function else _filled(view, source, offset)
    types = frozenset(tags)
    start = function.start if function else -1
    edited = recent.elsewhere(source.path) if recent else None
    # An edit above moves a function; where its header still stands it is the same.
    here = (gathered.path, gathered.start, gathered.room, gathered.edited) == (source.path, start, room, edited)
    if here and types <= gathered.types:
        return
    called = _called(source, function, offset) if function else []
    found = _excerpts(view, _needed(view, source, tags, called), int(room * _DECLARATIONS))
    found += _recent_excerpts(view, source.path, offset, room - _size(found), recent)
    if function:
        found += _sibling(view, source, function, room - _size(found))
    gathered.path, gathered.start, gathered.types, gathered.room = source.path, start, types, room
    gathered.edited, gathered.excerpts = edited, tuple(found)


def _filled(view: View, source: Source, offset: int) -> list[str]:
    """The tag of the struct whose initialiser the cursor stands in."""
    tokens, types = enclosing_tokens(source, offset), Types(view, source)
    at = tokens.at_offset(offset - 1)
    owner = braces_type(types, tokens, at if tokens[at] == "{" else tokens.enclosing(at, "{"), offset)
    of = types.resolved(owner) if owner else None
    return [of.tag] if of and of.tag and not of.body else []


def _types(source: Source, offset: int) -> list[str]:
    """Tags of the structs and unions that the variables in scope are or point to, those used near first."""
    line = source.lines.line_of(offset)
    floor = source.lines.starts[max(line - _NEAR, 0)]
    near = source.data[floor:offset]
    found: dict[str, int] = {}
    for local in locals_at(source, offset):
        if local.type.keyword in ("struct", "union") and local.type.tag and not local.type.body:
            used = near.rfind(encode(local.name))
            found[local.type.tag] = max(found.get(local.type.tag, -1), used)
    return sorted(found, key=lambda tag: -found[tag])


def _needed(view: View, source: Source, tags: Sequence[str], called: Sequence[str]) -> list[Symbol]:
    """What to tell of: the types in scope, then functions and macros called near the hole."""
    wanted: list[Symbol] = []
    for tag in tags[: _MOST_NAMES // 2]:
        rows = [row for row in view.lookup(tag, _RECORDS, limit=20) if row.path != source.path]
        wanted += rank_definitions(view, rows, source)[:1]
    for name in called[:_MOST_NAMES]:
        if view.caller_count(name) > _COMMON_CALLERS:
            continue
        rows = [row for row in view.lookup(name, _TOLD, limit=20) if not _is_known(row, source)]
        wanted += rank_definitions(view, rows, source)[:1]
    return wanted


def _is_known(row: Symbol, source: Source) -> bool:
    """Whether the prompt shows a symbol already, or cannot mean it."""
    return row.path == source.path or (row.path.endswith(".c") and bool(row.flags & Flag.STATIC))


def _called(source: Source, function: Function, offset: int) -> list[str]:
    """Names that stand before a ``(``, the nearest to the hole first."""
    tokens = function_tokens(source, function)
    found: dict[str, int] = {}
    for at, token in enumerate(tokens.items):
        if tokens[at + 1] == "(" and tokens.is_word(at) and token.text not in KEYWORDS and tokens[at - 1] != "->":
            away = abs(token.start - offset)
            found[token.text] = min(found.get(token.text, away), away)
    return sorted(found, key=lambda name: found[name])


def _excerpts(view: View, symbols: Iterable[Symbol], room: int) -> list[Excerpt]:
    """One excerpt a file, in the order in which the files were first needed."""
    told: dict[str, list[str]] = {}
    for symbol in symbols:
        text = summarise_declaration(view.text(symbol), symbol.kind)
        cost = len(text) + 1 + (0 if symbol.path in told else len(symbol.path) + 1)
        if text and cost <= room and text not in told.get(symbol.path, ()):
            told.setdefault(symbol.path, []).append(text)
            room -= cost
    return [Excerpt(path, "\n".join(texts)) for path, texts in told.items()]


def _recent_excerpts(view: View, path: str, offset: int, room: int, recent: Recent | None) -> list[Excerpt]:
    """Lines around the last edits elsewhere: what one writes now is often like it."""
    found: list[Excerpt] = []
    for where, line in recent.places if recent else ():
        source = view.source(where)
        if source is None or len(found) == _RECENT:
            continue
        at = source.lines.starts[min(line, len(source.lines.starts) - 1)]
        if where == path and abs(at - offset) < _NOT_ELSEWHERE:
            continue
        texts = (decode_text(around_line(source, line, lines)) for lines in _AROUND)
        text = next((text for text in texts if len(where) + len(text) + 2 <= room), "")
        if text:
            found.append(Excerpt(where, text))
            room -= len(where) + len(text) + 2
    return found


def around_line(source: Source, line: int, lines: int) -> bytes:
    """A line with so many above and below; the file may have fewer by now."""
    starts = source.lines.starts
    start = starts[min(max(line - lines, 0), len(starts) - 1)]
    end = starts[line + lines + 1] if line + lines + 1 < len(starts) else len(source.data)
    return source.data[start:end]


def _sibling(view: View, source: Source, function: Function, room: int) -> list[Excerpt]:
    """The beginning of the function elsewhere that is most like this one: drivers do the same things alike."""
    if room < _FEWEST_SIBLING:
        return []
    body = decode_text(source.data[function.start : min(function.end, function.start + _SIBLING_BYTES)])
    name = _FUNCTION_NAME.search(body)
    line = source.lines.line_of(function.start)
    chunk = Chunk(
        source.path, ChunkKind.FUNCTION, name[1] if name else "", line, function.start, function.end, "", body
    )
    for hit in view.similar(chunk, 3, other_files=True, timeout=_SIBLING_SECONDS):
        other = view.source(hit.path) if hit.kind is ChunkKind.FUNCTION else None
        if other is not None:
            most = room - len(hit.path) - 2
            text = decode_text(other.data[hit.start : min(hit.end, hit.start + most)])
            return [Excerpt(hit.path, text[: text.rfind("\n") + 1] if hit.start + most < hit.end else text)]
    return []
