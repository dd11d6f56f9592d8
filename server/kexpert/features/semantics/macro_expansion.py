"""Macro expansion as a reader does it: arguments in place of parameters, constants evaluated.

This is no preprocessor. A ``Lookup`` finds the definition of a macro. It may return None (several definitions under
different conditions, a budget spent); then the expansion stops, or the value stays unknown. Nothing here guesses.
Integers are those of an LP64 kernel.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kexpert.core.text import decode
from kexpert.features.semantics.constants import WORDS, evaluate_tokens

#: Maximum characters of a definition or a call; bounds the work of the token pattern too.
MAX_TEXT = 8192
MAX_TOKENS = 4000
MAX_DEPTH = 24

_DEFINE = re.compile(r"\s*#\s*define\s+([A-Za-z_]\w*)")
_TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/|L?"(?:\\.|[^"\\])*"|L?'(?:\\.|[^'\\])*'|\.?\d[\w.]*|[A-Za-z_]\w*"""
    r"""|\#\#|<<|>>|<=|>=|==|!=|&&|\|\||->|\.\.\.|.""",
    re.S,
)
_NEVER_CONSTANT = frozenset({";", "{", "}", "[", "=", "->", "."})
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*\Z")


@dataclass(frozen=True, slots=True)
class Macro:
    """One ``#define``. ``parameters`` is None for an object-like macro; ``variadic`` names the
    parameter that takes the rest (``__VA_ARGS__`` or GNU's ``args...``), "" when there is none."""

    name: str
    parameters: tuple[str, ...] | None
    variadic: str
    body: str


@dataclass(frozen=True, slots=True)
class Expansion:
    """The expansion of a macro at one place: its text, and its value if it is an integer."""

    text: str
    value: int | None


Lookup = Callable[[str], Macro | None]


def parse_macro(text: bytes) -> Macro | None:
    """The macro that a ``#define`` directive (with its continuation lines) defines."""
    if len(text) > MAX_TEXT:
        return None
    define = decode(text)
    head = _DEFINE.match(define)
    if head is None:
        return None
    rest = "\n".join(line.rstrip("\\ \t\r") for line in define[head.end() :].split("\n")).rstrip()
    parameters: tuple[str, ...] | None = None
    variadic = ""
    if rest.startswith("("):
        close = rest.find(")")
        if close < 0:
            return None
        names = [name.strip() for name in rest[1:close].split(",")]
        if names == [""]:
            names = []
        if names and names[-1].endswith("..."):
            variadic = names.pop()[:-3].strip() or "__VA_ARGS__"
        parameters, rest = tuple(names), rest[close + 1 :]
    return Macro(head[1], parameters, variadic, rest.strip())


def call_arguments(data: bytes, offset: int) -> list[str] | None:
    """The arguments of the call whose ``(`` is the first thing at or after ``offset``; None if
    there is no call there or it is not closed nearby."""
    window = decode(data[offset : offset + MAX_TEXT])
    tokens = tokenize(window)
    start = _skip_blanks(tokens, 0)
    if start >= len(tokens) or tokens[start] != "(":
        return None
    found = _arguments(tokens, start)
    return None if found is None else [re.sub(r"\s+", " ", "".join(argument)).strip() for argument in found[0]]


def expand(macro: Macro, arguments: list[str] | None, lookup: Lookup) -> Expansion | None:
    """The expansion of the macro with these arguments, one step deep; further while it is only another macro.

    None if the arguments do not fit.
    """
    text = substitute(macro, arguments)
    if text is None:
        return None
    seen = {macro.name}
    for _ in range(MAX_DEPTH):
        inner = _sole_macro(text, seen, lookup)
        if inner is None:
            break
        following = substitute(*inner)
        if not following:
            break
        seen.add(inner[0].name)
        text = following
    return Expansion(text, evaluate(text, lookup))


def substitute(macro: Macro, arguments: list[str] | None) -> str | None:
    """The macro's body with the arguments in place of the parameters, ``#`` and ``##`` done."""
    if macro.parameters is None:
        return macro.body
    if arguments is None:
        return None
    arguments = [] if arguments == [""] and not macro.parameters else list(arguments)
    values = dict(zip(macro.parameters, arguments, strict=False))
    if len(arguments) < len(macro.parameters) or (len(arguments) > len(macro.parameters) and not macro.variadic):
        return None
    if macro.variadic:
        values[macro.variadic] = ", ".join(arguments[len(macro.parameters) :])
    return _fill(tokenize(macro.body), values, macro.variadic)


def evaluate(text: str, lookup: Lookup) -> int | None:
    """The value of an integer constant expression after full expansion; None for anything else."""
    tokens = tokenize(text)
    if not _NEVER_CONSTANT.isdisjoint(tokens):
        return None
    flat = _Rescan(lookup).run(tokens, frozenset())
    if flat is None:
        return None
    return evaluate_tokens([token for token in flat if not _is_blank(token)])


def tokenize(text: str) -> list[str]:
    """Preprocessing tokens, blanks and comments among them; joined they give the text again."""
    return _TOKEN.findall(text[:MAX_TEXT])


def _is_blank(token: str) -> bool:
    return token.isspace() or token.startswith(("//", "/*"))


def _skip_blanks(tokens: list[str], at: int) -> int:
    while at < len(tokens) and _is_blank(tokens[at]):
        at += 1
    return at


def _arguments(tokens: list[str], opening: int) -> tuple[list[list[str]], int] | None:
    """(tokens of each argument after the ``(`` at ``opening``, index after its ``)``); None if it does not close."""
    depth = 0
    found: list[list[str]] = [[]]
    for at in range(opening, len(tokens)):
        token = tokens[at]
        depth += (token == "(") - (token == ")")
        if depth == 0:
            return found, at + 1
        if token == "," and depth == 1:
            found.append([])
        elif at > opening and not token.startswith(("//", "/*")):
            found[-1].append(token)
    return None


def _fill(tokens: list[str], values: dict[str, str], variadic: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        following = _skip_blanks(tokens, at + 1)
        if token == "#" and following < len(tokens) and tokens[following] in values:
            out.append('"' + values[tokens[following]].replace("\\", "\\\\").replace('"', '\\"') + '"')
            at = following
        elif token == "##":
            while out and _is_blank(out[-1]):
                out.pop()
            if following < len(tokens):
                pasted = tokens[following]
                value = values.get(pasted, pasted)
                # GNU C: "fmt, ## args" drops the comma if args is empty.
                if pasted == variadic and out and out[-1] == ",":
                    value = f" {value}" if value else out.pop()[:0]
                out.append(value)
                at = following
        else:
            out.append(values.get(token, token))
        at += 1
    return "".join(out).strip()


def _sole_macro(text: str, seen: set[str], lookup: Lookup) -> tuple[Macro, list[str] | None] | None:
    """The macro and its arguments if ``text`` is only a macro."""
    tokens = [token for token in tokenize(text) if not token.startswith(("//", "/*"))]
    while len(tokens) > 2 and tokens[0] == "(" and tokens[-1] == ")" and _IDENTIFIER.match(tokens[1]):
        tokens = tokens[1:-1]
    if not tokens or not _IDENTIFIER.match(tokens[0]) or tokens[0] in seen:
        return None
    opening = _skip_blanks(tokens, 1)
    if opening >= len(tokens):
        macro = lookup(tokens[0])
        return (macro, None) if macro is not None and macro.parameters is None else None
    if tokens[opening] != "(":
        return None
    found = _arguments(tokens, opening)
    if found is None or _skip_blanks(tokens, found[1]) < len(tokens):
        return None
    macro = lookup(tokens[0])
    if macro is None or macro.parameters is None:
        return None
    return macro, ["".join(argument).strip() for argument in found[0]]


class _Rescan:
    """Replaces all macros, but none inside its own expansion. Gives up at the first other word that no constant holds.

    Steps are counted: a chain of macros in which each names the next twice doubles at every level.
    """

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.steps = MAX_TOKENS

    def run(self, tokens: list[str], active: frozenset[str]) -> list[str] | None:
        out: list[str] = []
        at = 0
        self.steps -= len(tokens) + 1
        if self.steps < 0 or len(active) > MAX_DEPTH:
            return None
        while at < len(tokens):
            token = tokens[at]
            at += 1
            is_name = _IDENTIFIER.match(token) is not None and token not in WORDS
            macro = self.lookup(token) if is_name and token not in active else None
            arguments: list[str] | None = None
            if macro is not None and macro.parameters is not None:
                opening = _skip_blanks(tokens, at)
                found = _arguments(tokens, opening) if opening < len(tokens) and tokens[opening] == "(" else None
                if found is None:
                    macro = None
                else:
                    arguments, at = ["".join(argument).strip() for argument in found[0]], found[1]
            if macro is None:
                if is_name:
                    return None
                out.append(token)
                continue
            body = substitute(macro, arguments)
            inner = None if body is None else self.run(tokenize(body), active | {macro.name})
            if inner is None:
                return None
            out += inner
        return out
