"""Locals that macros declare, known by the habits of the macros' names or by the file's own definition of the macro."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from kexpert.core.c.declarators import CType, read_type
from kexpert.core.c.macro_text import MAX_TEXT, parse_macro, substitute
from kexpert.core.c.tokens import Tokens

_FIRST_ARGUMENT = re.compile(r"\w+_ON_?STACK|(?:DECLARE|DEFINE)_\w+", re.A)
#: (type, name, flexible member, ...): see <linux/overflow.h>.
_FLEXIBLE = re.compile(r"_?DEFINE_\w*FLEX", re.A)
_SCOPED_LOOP = re.compile(r"\w*for_each_\w*_scoped", re.A)
_TYPES = {
    "SHASH_DESC_ON_STACK": CType("struct shash_desc", ("*",)),
    "AHASH_REQUEST_ON_STACK": CType("struct ahash_request", ("*",)),
    "SKCIPHER_REQUEST_ON_STACK": CType("struct skcipher_request", ("*",)),
    "SYNC_SKCIPHER_REQUEST_ON_STACK": CType("struct skcipher_request", ("*",)),
}
_DEFINITION = rb"^[ \t]*#[ \t]*define[ \t]+%s\((?:[^\\\n]|\\\r?\n|\\)*"

#: The types of the names that a text declares.
DeclaredIn = Callable[[Tokens], dict[str, CType]]


def name_declared(tokens: Tokens, at: int) -> int:
    """The token that names the local which a macro call at ``at`` declares; -1 if it declares none."""
    macro = tokens[at]
    if tokens[at + 1] != "(":
        return -1
    arguments = tokens.commas(at + 2, tokens.past(at + 1) - 1)
    if macro == "CLASS" or _FLEXIBLE.fullmatch(macro):
        number = 1
    elif _FIRST_ARGUMENT.fullmatch(macro):
        number = 0
    elif _SCOPED_LOOP.fullmatch(macro):
        number = len(arguments) - 1
    else:
        return -1
    if not 0 <= number < len(arguments):
        return -1
    start, stop = arguments[number]
    return start if stop == start + 1 and tokens.is_word(start) else -1


def is_loop(macro: str) -> bool:
    """True if what a macro declares is known only in the statement after it."""
    return _SCOPED_LOOP.fullmatch(macro) is not None


def type_declared(tokens: Tokens, at: int, name: str, data: bytes, declared_in: DeclaredIn) -> CType:
    """The type of the local that the call at ``at`` declares; ``data`` is the file, whose own macros are expanded."""
    macro = tokens[at]
    arguments = tokens.commas(at + 2, tokens.past(at + 1) - 1)
    if macro == "CLASS":
        return CType(f"class_{tokens.join(*arguments[0])}_t")
    if macro in _TYPES:
        return _TYPES[macro]
    if _FLEXIBLE.fullmatch(macro) and (of := read_type(tokens.join(*arguments[0]))):
        return replace(of, derived=("*", *of.derived))
    if macro.startswith(("DECLARE_", "DEFINE_")) or data.find(macro.encode("latin-1") + b"(") >= 0:
        definition = re.search(_DEFINITION % re.escape(macro.encode("latin-1")), data, re.M)
        parsed = parse_macro(definition[0]) if definition else None
        text = substitute(parsed, [tokens.join(*each) for each in arguments]) if parsed else None
        if text and len(text) < MAX_TEXT:
            found = declared_in(Tokens(f"{{ {text}; }}".encode("latin-1", "replace"))).get(name)
            if found:
                return found
    return CType("__auto_type")
