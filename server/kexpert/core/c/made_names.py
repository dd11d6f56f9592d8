"""What a file's own macros make: ``GEN(32)`` with ``#define GEN(n) static u##n read##n(void) { … }``.

Calls at file level, among members and among enumerators are expanded by the macros of the same file. The expansion is
read like a file of its own; its symbols get the place of the argument that names them, of the word in the macro that
does, or of the call.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from kexpert.core.c.macro_text import MAX_TEXT, Macro, arguments_of, parse_macro, skip_blanks, substitute, tokenize
from kexpert.core.symbols import FileFacts, Flag, Kind, Symbol

if TYPE_CHECKING:
    from kexpert.core.c.skeleton import MacroDefinition, Skeleton

_CALL = re.compile(rb"\n([ \t]*+)(?=[A-Za-z_])((?:(?:static|extern|const|inline)[ \t]++)*+)(?!\d)(\w++)[ \t]*+\(")
#: Another call on the same line.
NEXT_CALL = re.compile(rb"[ \t]++([A-Za-z_]\w*+)[ \t]*+\(")
#: Parameters follow: the call is the name of a function, ``FNAME(walk)(int a)``.
_ARGUMENTS = re.compile(rb"\s*+\(")
_CALLED = re.compile(rb"(\w++)[ \t]*+\(")
_NO_COMMA = re.compile(rb"\s*+(?![,=}])")
_NAMES = re.compile(rb"[A-Za-z_]\w*")
#: The body of a macro that may expand to items: words, calls and commas.
_ONLY_ITEMS = re.compile(rb"[\w\s\\,()]*+")
_BRACES = re.compile(rb"[{}]")
_ENUM = re.compile(rb"enum(?<!\wenum)\b[\w\s]*+\{")  # a literal beginning makes the search fast
#: A word that begins an enumerator, with the ``(`` of a call; the rest of an enumerator with its comma.
_ITEM = re.compile(rb"\s*+([A-Za-z_]\w*+)(\s*+\()?+")
_REST_OF_ITEM = re.compile(rb"[^,(){}]*+(?:\((?:[^(){}]|\((?:[^(){}]|\([^(){}]*+\))*+\))*+\)[^,(){}]*+)*+,?+")
_SEPARATORS = re.compile(rb"[(),]")
_RECORD = re.compile(rb"\b(struct|union|enum)\b(?:\s+\w+)*?(?:\s+(\w+))?\s*\{$")
_PASTED = re.compile(r"\w+\Z")
_WORD = re.compile(r"[A-Za-z_]\w*")
_NAMED_BY_MACRO = re.compile(r"\b[A-Z_][A-Z0-9_]*\(\s*(\w+)\s*\)\s*\(")
_LEFT_OUT = frozenset({Kind.MACRO, Kind.CONFIG})
#: The tag around members that are read apart.
FRAME = "__made"
_MAX_DEPTH = 8
_FEW_NAMES = 20
_MAX_CALLS = 3000  # of one file
_MAX_STEPS = 20_000  # macros expanded in one file
_MAX_LOOKBACK_BYTES = 20_000
_MAX_GAP_BYTES = 4000

Extract = Callable[[str, bytes], FileFacts]


class MadeCall(NamedTuple):
    """A call that makes declarations, and what it expands to."""

    start: int
    end: int
    arguments: tuple[tuple[str, int], ...]  # text and offset
    macro: tuple[int, int]  # span of the #define
    text: str  # of the expansion
    record: str  # "struct", "union" or "enum" of the braces around it; "" at file level
    scope: str


def made_calls(code: bytes, definitions: list[MacroDefinition], text: bytes) -> list[MadeCall]:
    """The calls of a file's own macros in ``text``, which is ``code`` without bodies and directives."""
    macros = _Macros(code, definitions)
    found: list[MadeCall] = []
    if not macros.names and not macros.lists:
        return found
    if macros.lists:
        found += _bare_lists(code, text, macros)
    if b"enum" in text:
        found += _in_enums(code, text, macros)
    if len(macros.names) <= _FEW_NAMES and not any(name in text for name in macros.names):
        return _apart(found)  # most files use their macros in bodies alone, and a plain search is fast
    for match in _CALL.finditer(b"\n" + text):
        if match[3] not in macros.names or len(found) >= _MAX_CALLS:
            continue
        start, opening = match.start(2 if match[2] else 3) - 1, match.end() - 2
        record = scope = ""
        if match[1]:
            record, scope = _record_around(text, start)
            if record == "enum" or (not record and not _begins_declaration(text, start)):
                continue
        elif not may_begin(text, start, definitions):
            continue
        name, prefix = match[3], match[2].decode() + " " if match[2] else ""
        while call := call_at(code, opening):
            arguments, end = call
            if _ARGUMENTS.match(text, end):
                break
            definition = macros.before(name, start)
            macro = macros.parsed(definition)
            expanded = macros.expand(macro, [text for text, _ in arguments], start, 0) if macro else ""
            if expanded:
                found.append(MadeCall(start, end, arguments, definition, prefix + expanded, record, scope))
            following = NEXT_CALL.match(text, end)
            if not following or following[1] not in macros.names:
                break
            name, prefix, start, opening = following[1], "", following.start(1), following.end() - 1
    return _apart(found)


def may_begin(text: bytes, at: int, definitions: list[MacroDefinition]) -> bool:
    """True if a declaration can begin at an offset: nothing precedes it, or a whole declaration, or a macro of the file
    alone on its line. After another word it is a name: ``static int`` on one line, ``FOO_open(void)`` on the next."""
    before = text[max(0, at - _MAX_GAP_BYTES) : at].rstrip()
    if before[-1:] in (b"", b";", b"}", b")"):
        return True
    word = before[before.rfind(b"\n") + 1 :]
    return any(macro.name == word and not macro.function_like for macro in definitions)


def _bare_lists(code: bytes, text: bytes, macros: _Macros) -> Iterator[MadeCall]:
    """Members that a word without arguments expands to: ``struct foo { COMMON_MEMBERS u32 more; }``."""
    names = b"|".join(map(re.escape, sorted(macros.lists)))
    for match in re.finditer(rb"(?<=[;{}\n])[ \t]*+(" + names + rb")(?=\s)", text):
        record, scope = _record_around(text, match.start(1))
        if record in ("struct", "union") and (call := macros.call(match[1], *match.span(1), (), record, scope)):
            yield call


class EnumItem(NamedTuple):
    """The beginning of an enumerator, or of a macro that expands to some."""

    name: bytes
    start: int
    opening: int  # of a call; -1 for a plain word
    arguments: tuple[tuple[str, int], ...]
    end: int  # after the word, or after the ``)``
    scope: str


def enum_items(code: bytes, text: bytes, words: bool) -> Iterator[EnumItem]:
    """The items of enums in ``text``, which is ``code`` without directives and bodies; without ``words`` only of enums
    that hold a call."""
    for body in _ENUM.finditer(text):
        if not words and text.find(b"(", body.end(), text.find(b"}", body.end())) < 0:
            continue
        _, scope = _record_around(text, body.end())
        at = body.end()
        while match := _ITEM.match(text, at):
            start, at = match.span(1)
            called = call_at(code, match.end(2) - 1) if match[2] else None
            if called:
                yield EnumItem(match[1], start, match.end(2) - 1, *called, scope)
                at = called[1]
            else:
                yield EnumItem(match[1], start, -1, (), at, scope)
            if text[at : at + _MAX_GAP_BYTES].lstrip()[:1] in (b"=", b"(", b","):
                rest = _REST_OF_ITEM.match(text, at)
                at = rest.end() if rest else at


def _in_enums(code: bytes, text: bytes, macros: _Macros) -> Iterator[MadeCall]:
    """Enumerators that macros make: ``enum foo { FOO_LIST(MAKE) FOO_MORE, }``, ``{ FOO_LIST }``."""
    for item in enum_items(code, text, bool(macros.lists or macros.blocks)):
        is_block = item.opening < 0 and item.name in macros.blocks and _NO_COMMA.match(text, item.end)
        if item.name in (macros.names if item.opening >= 0 else macros.lists) or is_block:
            call = macros.call(item.name, item.start, item.end, item.arguments, "enum", item.scope)
            if (call is None or item.name not in macros.lists) and item.opening < 0:  # whatever it is, no enumerator
                definition = macros.before(item.name, item.start)
                call = MadeCall(item.start, item.end, (), definition, "", "enum", item.scope)
            if call:
                yield call


def _apart(calls: list[MadeCall]) -> list[MadeCall]:
    """Calls in order, without those that begin inside another."""
    found: list[MadeCall] = []
    for call in sorted(calls, key=lambda each: each.start):
        if not found or call.start >= found[-1].end:
            found.append(call)
    return found


def _begins_declaration(text: bytes, at: int) -> bool:
    """True if an indented call is a declaration of its own: the lines before hold a whole one."""
    before = text[max(0, at - _MAX_LOOKBACK_BYTES) : at]
    return before.rstrip()[-1:] in (b";", b"}", b")") and before.count(b"{") == before.count(b"}")


def read_made(path: str, calls: Sequence[MadeCall], extract: Extract) -> tuple[FileFacts, list[int]]:
    """The facts of what calls expand to, read as one file, and the offset where the text of each call begins."""
    pieces: list[bytes] = []
    starts: list[int] = []
    size = 0
    for call in calls:
        text = call.text
        if call.record:
            end = ";" if call.record != "enum" and not text.rstrip().endswith(";") else ""
            text = f"{call.record} {FRAME} {{\n{text}{end}\n}}"
        pieces.append(f"\n{text}\n;\n".encode("utf-8", "replace"))
        starts.append(size)
        size += len(pieces[-1])
    return extract(path, b"".join(pieces)), starts


def add_made_symbols(path: str, cut: Skeleton, facts: FileFacts, extract: Extract) -> None:
    """Add the symbols and calls of what the file's own macros make."""
    if not cut.made:
        return
    made, starts = read_made(path, cut.made, extract)
    numbers: dict[int, int] = {}
    lines = _Lines(cut.all_code)
    for number, symbol in enumerate(made.symbols):
        call = cut.made[max(bisect_right(starts, symbol.name_start) - 1, 0)]
        if symbol.kind in _LEFT_OUT or symbol.name == FRAME or symbol.name in _named_elsewhere(call.text):
            continue
        place = place_of(call, symbol.name, cut.all_code[slice(*call.macro)])
        inside = call.start <= place < call.end
        scope = call.scope if symbol.scope == FRAME else symbol.scope
        numbers[number] = len(facts.symbols)
        facts.symbols.append(
            Symbol(symbol.name, symbol.kind, path, lines.at(place), place, call.start if inside else place,
                   call.end if inside else place + len(symbol.name), scope, symbol.flags | Flag.IDIOM)
        )  # fmt: skip
    facts.calls += [(numbers[caller], callee) for caller, callee in made.calls if caller in numbers]
    for inner in made.open_calls:
        call = cut.made[max(bisect_right(starts, inner.start) - 1, 0)]
        opening = cut.all_code.find(b"(", call.start, call.end)
        if opening >= 0 and not call.record:
            facts.open_calls.append(
                inner._replace(
                    start=call.start, end=call.end, line=lines.at(call.start), opening=opening,
                    written=cut.all_code[opening : call.end].decode("latin-1"),
                )
            )  # fmt: skip


def _named_elsewhere(text: str) -> set[str]:
    """The words of ``NAME(word)(…)``: a macro of another file makes the name, which is not known."""
    return set(_NAMED_BY_MACRO.findall(text))


def made_declaration(cut: Skeleton, symbol: Symbol) -> str:
    """The declaration that a macro of the file makes for ``symbol``, without a body; "" if none does."""
    for call in cut.made:
        if not (call.start <= symbol.name_start < call.end or call.macro[0] <= symbol.name_start < call.macro[1]):
            continue
        if found := declaration_in(call.text, symbol.name):
            return found
    return ""


def declaration_in(text: str, name: str) -> str:
    """The declaration of a name in an expansion, without a body; "" if there is none."""
    for piece in re.split(r"(?<=[;}])", text):
        words = piece.partition("{")[0]
        if name in _WORD.findall(words):
            return " ".join(words.split()).strip(" ;")
    return ""


def place_of(call: MadeCall, name: str, macro: bytes) -> int:
    """Where a made name is: the argument that is it, the word of the file's macro, an argument in it, or the call.
    Members that a bare word expands to are at that word."""
    for text, at in call.arguments:
        if text == name:
            return at
    is_bare = call.record in ("struct", "union") and not call.arguments
    written = None if is_bare else _words_of(macro).get(name)
    if written is not None:
        return call.macro[0] + written
    named = [(len(text), at) for text, at in call.arguments if _PASTED.match(text) and text in name]
    return max(named)[1] if named else call.start


@lru_cache(maxsize=16)
def _words_of(macro: bytes) -> dict[str, int]:
    """The offset of each word of a macro."""
    return {word[0]: word.start() for word in _WORD.finditer(macro.decode("latin-1"))}


def call_at(code: bytes, opening: int) -> tuple[tuple[tuple[str, int], ...], int] | None:
    """The arguments after the ``(`` at ``opening``, and the offset after its ``)``. Strings are blank."""
    arguments: list[tuple[str, int]] = []
    depth, begin = 0, opening + 1
    for mark in _SEPARATORS.finditer(code, opening, opening + MAX_TEXT):
        char, at = mark[0], mark.start()
        depth += (char == b"(") - (char == b")")
        if depth == 0 or (depth == 1 and char == b","):
            raw = code[begin:at].decode("latin-1")
            arguments.append((raw.strip(), begin + len(raw) - len(raw.lstrip())))
            begin = at + 1
        if not depth:
            return tuple(arguments), begin
    return None


def _record_around(text: bytes, at: int) -> tuple[str, str]:
    """(keyword, tag) of the record whose braces hold ``at``; ("", "") for other braces or none."""
    first = max(0, at - _MAX_LOOKBACK_BYTES)
    open_braces: list[int] = []
    for brace in _BRACES.finditer(text, first, at):
        if brace[0] == b"{":
            open_braces.append(brace.end())
        elif open_braces:
            open_braces.pop()
    keyword = tag = ""
    for end in reversed(open_braces):
        match = _RECORD.search(text[max(first, end - 200) : end])
        if match is None:
            break
        keyword = keyword or match[1].decode()
        tag = (match[2] or b"").decode()
        if tag:
            break
    return (keyword, tag) if keyword else ("", "")


class _Lines:
    """Lines of offsets that mostly ascend."""

    def __init__(self, code: bytes) -> None:
        self._code, self._at, self._line = code, 0, 0

    def at(self, offset: int) -> int:
        if offset < self._at:
            self._at = self._line = 0
        self._line += self._code.count(b"\n", self._at, offset)
        self._at = offset
        return self._line


class _Macros:
    """The macros with parameters of one file."""

    def __init__(self, code: bytes, definitions: list[MacroDefinition]) -> None:
        self._code = code
        self.names: dict[bytes, list[tuple[int, int]]] = {}
        self._plain: dict[bytes, list[tuple[int, int]]] = {}
        for macro in definitions:
            if macro.function_like:
                self.names.setdefault(macro.name, []).append((macro.start, macro.end))
            else:
                self._plain.setdefault(macro.name, []).append((macro.start, macro.end))
        self._parsed: dict[tuple[int, int], Macro | None] = {}
        self._steps = _MAX_STEPS
        bodies = {
            macro.name: code[macro.name_start + len(macro.name) : macro.end]
            for macro in definitions if not macro.function_like
        }  # fmt: skip
        items = {name for name, body in bodies.items() if _ONLY_ITEMS.fullmatch(body)}
        #: Macros without parameters that expand to members, to calls of the file's macros, or to such macros.
        self.lists = self._lists_in(bodies, items)
        self._expanded = {name.decode("latin-1") for name in (*self.lists, *self.names)}
        #: Macros of several lines without parameters that hold nothing but words, calls and commas.
        self.blocks = frozenset(name for name in items if b"\\\n" in bodies[name])

    def _lists_in(self, bodies: dict[bytes, bytes], items: set[bytes]) -> frozenset[bytes]:
        found = {
            name for name, body in bodies.items()
            if body.find(b";") >= 0 or (self.names and any(called in self.names for called in _CALLED.findall(body)))
        }  # fmt: skip
        wider = found
        for _ in range(_MAX_DEPTH if found else 0):
            wider = {
                name for name in items
                if name not in found and not wider.isdisjoint(_NAMES.findall(bodies[name]))
            }  # fmt: skip
            if not wider:
                break
            found |= wider
        return frozenset(found)

    def call(
        self, name: bytes, start: int, end: int, arguments: tuple[tuple[str, int], ...], record: str, scope: str
    ) -> MadeCall | None:
        """What a macro makes among members or enumerators; None if it is nothing."""
        definition = self.before(name, start)
        macro = self.parsed(definition)
        text = self.expand(macro, [argument for argument, _ in arguments], start, 0) if macro else ""
        return MadeCall(start, end, arguments, definition, text, record, scope) if text else None

    def before(self, name: bytes, at: int) -> tuple[int, int]:
        """The last definition above an offset; the first one if there is none above."""
        definitions = self.names.get(name) or self._plain[name]
        return next((each for each in reversed(definitions) if each[0] < at), definitions[0])

    def parsed(self, definition: tuple[int, int]) -> Macro | None:
        if definition not in self._parsed:
            self._parsed[definition] = parse_macro(self._code[slice(*definition)])
        return self._parsed[definition]

    def expand(self, macro: Macro, arguments: list[str], at: int, depth: int) -> str:
        """The expansion of a call at an offset, other macros of the file expanded in it."""
        text = substitute(macro, arguments)
        self._steps -= 1
        if text is None or len(text) > MAX_TEXT or self._steps < 0:
            return ""
        if depth >= _MAX_DEPTH:
            return text
        tokens = tokenize(text)
        out: list[str] = []
        place = 0
        while place < len(tokens):
            token = tokens[place]
            place += 1
            if token not in self._expanded or token == macro.name:
                out.append(token)
                continue
            name = token.encode("latin-1")
            listed = self.parsed(self.before(name, at)) if name in self.lists else None
            if listed is not None:
                out.append(self.expand(listed, [], at, depth + 1) + "\n")
                continue
            opening = skip_blanks(tokens, place) if name in self.names else len(tokens)
            found = arguments_of(tokens, opening) if opening < len(tokens) and tokens[opening] == "(" else None
            inner = self.parsed(self.before(name, at)) if found else None
            if found is None or inner is None:
                out.append(token)
                continue
            out.append(self.expand(inner, ["".join(each).strip() for each in found[0]], at, depth + 1) + "\n")
            place = skip_blanks(tokens, found[1])  # what follows begins a line
        return "".join(out)[:MAX_TEXT]
