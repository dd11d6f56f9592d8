"""What macros of other files make: ``BUFFER_FNS(JBD, jbd)`` where only a header defines ``BUFFER_FNS``.

Extraction keeps such calls open. Where the tree's macros can be looked up, they are expanded here, and the expansion
is read like a file of its own. A macro whose expansion is not plain C makes nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from kexpert.core.c.compact_text import CompactText
from kexpert.core.c.extract import extract
from kexpert.core.c.idioms import declares_as_known, idiom_of
from kexpert.core.c.macro_text import MAX_TEXT, Macro, arguments_of, parse_macro, skip_blanks, substitute, tokenize
from kexpert.core.c.made_names import FRAME, MadeCall, call_at, place_of, read_made
from kexpert.core.c.parse import parse_compact
from kexpert.core.c.skeleton import skeleton
from kexpert.core.symbols import Flag, Kind, OpenCall, Symbol

#: Looks up a macro: the ``#define`` directives that a call in the file may mean, the likeliest first.
Definitions = Callable[[str], Sequence[bytes]]

_KINDS = frozenset(
    {Kind.FUNCTION, Kind.PROTOTYPE, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUMERATOR, Kind.MEMBER, Kind.TYPEDEF,
     Kind.VARIABLE, Kind.DECLARATION, Kind.SYSCALL, Kind.TRACEPOINT}
)  # fmt: skip
_DATA = frozenset({Kind.VARIABLE, Kind.DECLARATION})
_MAX_DEPTH = 12
_MAX_STEPS = 20_000  # macros expanded for one file
_NAME = re.compile(r"[A-Za-z_]\w*\Z")


class Expander:
    """Expands the open calls of one file."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._macros: dict[str, list[Macro]] = {}
        self._steps = _MAX_STEPS
        self._called = ""
        self.needed: set[tuple[str, str]] = set()
        """(macro of an open call, macro that its expansion needed)."""

    def expand(self, call: OpenCall, makes: dict[Macro, bool]) -> str:
        """Expand a call by the first definition that makes names; "" if none does. Among enumerators, without the
        head of the enum.

        ``makes`` remembers which definitions do.
        """
        found = arguments_of(tokenize(call.arguments), 0)
        self._called = call.macro
        for macro in self._resolved(call.macro) if found else ():
            if makes.get(macro, True) and found:
                text = self._filled(macro, found[0], frozenset((call.macro,)), 0)
                if call.prefix.endswith("{"):
                    if text and _makes_names(f"{call.prefix}{text}}}", ""):
                        return text
                    continue
                if macro not in makes and text:
                    guessed = "".join(found[0][0]).strip() if idiom_of(call.macro) else ""
                    makes[macro] = _makes_names(text, guessed)
                if text and makes[macro]:
                    return call.prefix + text
        return ""

    def _resolved(self, name: str) -> list[Macro]:
        """The definitions with parameters of a macro or of what it is another name for."""
        found: list[Macro] = []
        for macro in self._macros_of(name):
            if macro.parameters is not None:
                found.append(macro)
            elif _NAME.match(macro.body) and macro.body != name:
                found += [other for other in self._macros_of(macro.body) if other.parameters is not None]
        return found

    def _filled(self, macro: Macro, arguments: list[list[str]], outer: frozenset[str], depth: int) -> str:
        text = substitute(macro, ["".join(each).strip() for each in arguments])
        self._steps -= 1
        if not text or len(text) > MAX_TEXT or self._steps < 0:
            return ""
        return self._rescan(text, outer | {macro.name}, depth)

    def _rescan(self, text: str, outer: frozenset[str], depth: int) -> str:
        """A text in which the macros are expanded, but for those in braces and in values, which make no names."""
        tokens = tokenize(text)
        out: list[str] = []
        at = braces = 0
        is_value = False
        while at < len(tokens):
            token = tokens[at]
            at += 1
            braces += (token == "{") - (token == "}")
            is_value = token == "=" or (is_value and token != ";")
            is_plain = braces or is_value or depth >= _MAX_DEPTH or token in outer or not _NAME.match(token)
            if is_plain or declares_as_known(token):
                out.append(token)
                continue
            opening = skip_blanks(tokens, at)
            found = arguments_of(tokens, opening) if opening < len(tokens) and tokens[opening] == "(" else None
            inner = self._resolved(token) if found else []
            text = self._filled(inner[0], found[0], outer | {token}, depth + 1) if found and inner else ""
            out.append(text + "\n" if text else token)
            if found and text:
                at = skip_blanks(tokens, found[1])
        return "".join(out)[:MAX_TEXT]

    def _macros_of(self, name: str) -> list[Macro]:
        known = self._macros.get(name)
        if known is None:
            parsed = [parse_macro(text) for text in self._definitions(name)]
            known = self._macros[name] = [macro for macro in parsed if macro]
        if known:
            self.needed.add((self._called, name))
        return known


def symbols_made(
    path: str, calls: Iterable[OpenCall], expander: Expander, known: Iterable[str], makes: dict[Macro, bool]
) -> tuple[list[Symbol], list[tuple[int, str]]]:
    """The symbols that open calls of a file make and the calls in them, as in ``FileFacts``.

    ``known`` are names that the file has.
    """
    opened: list[OpenCall] = []
    made: list[MadeCall] = []
    for call in calls:
        if text := expander.expand(call, makes):
            opened.append(call)
            record, scope = ("enum", call.prefix[5:-2]) if call.prefix.endswith("{") else ("", "")
            made.append(MadeCall(call.start, call.end, _places(call), (0, 0), text, record, scope))
    if not made:
        return [], []
    facts, starts = read_made(path, made, extract)
    taken = set(known)
    numbers: dict[int, int] = {}
    symbols: list[Symbol] = []
    for number, symbol in enumerate(facts.symbols):
        at = max(bisect_right(starts, symbol.name_start) - 1, 0)
        if not _is_name(symbol) or symbol.name in taken or symbol.name == FRAME:
            continue
        call = opened[at]
        place = place_of(made[at], symbol.name, b"")
        written = call.written[: max(place - call.opening, 0)]
        numbers[number] = len(symbols)
        symbols.append(
            Symbol(symbol.name, symbol.kind, path, call.line + written.count("\n"), place, call.start, call.end,
                   made[at].scope if symbol.scope == FRAME else symbol.scope, symbol.flags | Flag.IDIOM)
        )  # fmt: skip
    return symbols, [(numbers[caller], callee) for caller, callee in facts.calls if caller in numbers]


def _places(call: OpenCall) -> tuple[tuple[str, int], ...]:
    found = call_at(call.written.encode("latin-1"), 0)
    return tuple((text, call.opening + at) for text, at in found[0]) if found else ()


def _is_name(symbol: Symbol) -> bool:
    """True for a symbol to which a name may lead; entries of tables that the linker collects are none."""
    return symbol.kind in _KINDS and not (symbol.kind in _DATA and symbol.name.startswith("__"))


def _makes_names(text: str, guessed: str) -> bool:
    """True if an expansion is plain C that declares something but the name that extraction guessed."""
    data = f"{text}\n;\n".encode("utf-8", "replace")
    if parse_compact(CompactText(skeleton(data).text).text).root_node.has_error:
        return False
    return any(_is_name(symbol) and symbol.name != guessed for symbol in extract("", data).symbols)
