"""Macros as text: a definition, the arguments of a call, and the body with arguments in place of parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kexpert.core.text import decode

#: Maximum characters of a definition or a call; bounds the work of the token pattern too.
MAX_TEXT = 8192

_DEFINE = re.compile(r"\s*#\s*define\s+([A-Za-z_]\w*)")
_TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/|L?"(?:\\.|[^"\\])*"|L?'(?:\\.|[^'\\])*'|\.?\d[\w.]*|[A-Za-z_]\w*"""
    r"""|\#\#|<<|>>|<=|>=|==|!=|&&|\|\||->|\.\.\.|.""",
    re.S,
)


@dataclass(frozen=True, slots=True)
class Macro:
    """One ``#define``. ``parameters`` is None for an object-like macro; ``variadic`` names the
    parameter that takes the rest (``__VA_ARGS__`` or GNU's ``args...``), "" when there is none."""

    name: str
    parameters: tuple[str, ...] | None
    variadic: str
    body: str


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
    return _fill(_body_tokens(macro.body), values, macro.variadic)


@lru_cache(maxsize=64)
def _body_tokens(body: str) -> list[str]:
    return tokenize(body)


def tokenize(text: str) -> list[str]:
    """Preprocessing tokens, blanks and comments among them; joined they give the text again."""
    return _TOKEN.findall(text[:MAX_TEXT])


def is_blank(token: str) -> bool:
    return token.isspace() or token.startswith(("//", "/*"))


def skip_blanks(tokens: list[str], at: int) -> int:
    while at < len(tokens) and is_blank(tokens[at]):
        at += 1
    return at


def arguments_of(tokens: list[str], opening: int) -> tuple[list[list[str]], int] | None:
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
        following = skip_blanks(tokens, at + 1) if token[0] == "#" else 0
        if token == "#" and following < len(tokens) and tokens[following] in values:
            out.append('"' + values[tokens[following]].replace("\\", "\\\\").replace('"', '\\"') + '"')
            at = following
        elif token == "##":
            while out and is_blank(out[-1]):
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
