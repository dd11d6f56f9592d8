"""Functions that are given away by name: to iterators, to ``module_init()``, into members (``bio->bi_end_io = f``)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.member_assignments import member_assignments
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.explain.explanation import Location, as_code
from kexpert.view import View

_MAX_PLACES = 4
_MAX_BACK = 2_000  # bytes between a call's parenthesis and an argument
#: They tell the compiler or other tools of a name, and call nothing.
_NO_USE = re.compile(r"EXPORT_\w+|\w*_EXPORT_\w*|sizeof|typeof|__typeof__|if|while|return|switch|ALLOW_ERROR_INJECTION|"
                     r"NOKPROBE_SYMBOL|BTF_\w+|__ADDRESSABLE|MODULE_\w+|WARN\w*|BUG\w*")  # fmt: skip


def passed_to(view: View, symbol: Symbol, paths: list[str]) -> list[tuple[str, Location]]:
    """("passed to `foo()` by `bar()`" or "assigned to `x->done` by `bar()`", where), the first few in these files."""
    found: dict[str, Location] = {}
    for path in paths:
        source = view.source(path)
        if source is None or symbol.name.encode() not in source.data:
            continue
        code = blank_comments(source.data)
        functions = [row for row in view.symbols_in(path) if row.kind in (Kind.FUNCTION, Kind.SYSCALL)]
        for at, receiver in sorted([*_arguments(code, symbol.name), *_assignments(code, symbol.name)]):
            around = next((row for row in functions if row.start <= at < row.end), None)
            if around is not None and around.name == symbol.name:
                continue
            text = receiver + (f" by {as_code(around.name + '()')}" if around is not None else "")
            found.setdefault(text, Location(path, source.lines.line_of(at)))
            if len(found) == _MAX_PLACES:
                return list(found.items())
    return list(found.items())


def _arguments(code: bytes, name: str) -> Iterator[tuple[int, str]]:
    """(offset, "passed to `foo()`") for each place where ``name`` is a whole argument of a call."""
    for match in re.finditer(rb"(?<=[(,])\s*&?\s*(" + re.escape(name.encode()) + rb")\s*(?=[,)])", code):
        called = _call_around(code, match.start())
        if called and not _NO_USE.fullmatch(called):
            yield match.start(1), f"passed to {as_code(called + '()')}"


def _assignments(code: bytes, name: str) -> Iterator[tuple[int, str]]:
    """(offset, "assigned to `x->done`") for each place where a member becomes ``name``."""
    for each in member_assignments(code, name):
        if each.target[0] not in "-.":
            yield each.start, f"assigned to {as_code(each.target)}"


def _call_around(code: bytes, at: int) -> str:
    """The name before the innermost parenthesis that is open at an offset; "" if there is none."""
    tokens = Tokens(code, max(0, at - _MAX_BACK), at)
    opening = tokens.enclosing(len(tokens), "(")
    return tokens[opening - 1] if opening > 0 and tokens.is_word(opening - 1) else ""
