"""Parameters and members that comments of the same file describe: the authors' own words for a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from kexpert.core.c.declarators import read_declaration, read_parameter
from kexpert.core.c.tokens import Tokens
from kexpert.core.docs.kerneldoc import parse_kerneldoc
from kexpert.core.retrieval.words import stem, stems
from kexpert.features.kerneldoc.declaration import Parameter, bare_type

_COMMENT = re.compile(rb"^/\*\*\s*\n.*?\*/", re.S | re.M)
_MAX_COMMENTS = 400
_MAX_HEAD_BYTES = 2048
_MAX_CHARS = 100
_ACTION = re.compile(r"\b(?:to be|to|being|been|was|were|will|we|which|that) (?!the\b|an?\b|this\b)(\w+)")
#: Verbs that hold of any action.
_ANY_ACTION = frozenset(stem(word) for word in ("act", "operate", "use", "work", "handle", "process", "is", "are"))
#: Texts that hold for one function alone.
_ONE_PLACE = re.compile(r"\b(?:see|above|below|ditto|same as|todo|fixme|unused|not used|ignored)\b|[:;]\Z", re.I)


def documented_names(data: bytes, function: str, parameters: Sequence[Parameter]) -> dict[str, str]:
    """Parameter -> the text that most comments give a parameter of this name and type, if it fits the function."""
    known = _documented(data)
    found: dict[str, str] = {}
    for parameter in parameters:
        texts: dict[str, int] = {}
        wanted = bare_type(parameter.type)
        for text, type_text in known.get(parameter.name, ()):
            if (not wanted or not type_text or wanted == type_text) and _fits(text, function):
                texts[text] = texts.get(text, 0) + 1
        if texts:
            found[parameter.name] = max(texts, key=lambda text: texts[text])
    return found


def _fits(text: str, function: str) -> bool:
    """False for what is said of another action: "the device to remove" of a function that removes nothing."""
    actions = {stem(match[1]) for match in _ACTION.finditer(text)}
    return actions <= _ANY_ACTION.union(stems(function))


@lru_cache(maxsize=8)
def _documented(data: bytes) -> dict[str, list[tuple[str, str]]]:
    """Name -> (text, type, "" if unknown) for each description."""
    found: dict[str, list[tuple[str, str]]] = {}
    for count, match in enumerate(_COMMENT.finditer(data)):
        if count >= _MAX_COMMENTS:
            break
        doc = parse_kerneldoc(match[0])
        if doc is None or doc.kind not in ("function", "macro"):
            continue
        types = _types(data[match.end() : match.end() + _MAX_HEAD_BYTES])
        for param in doc.params:
            text = " ".join(param.text.split()).rstrip(".")
            if 3 <= len(text) <= _MAX_CHARS and not _ONE_PLACE.search(text) and text.isprintable():
                found.setdefault(param.name, []).append((text, types.get(param.name, "")))
    return found


def _types(head: bytes) -> dict[str, str]:
    """The parameters of the declaration that follows a comment, with their types."""
    tokens = Tokens(head)
    declaration = read_declaration(tokens, 0)
    for declared in declaration.declared if declaration else ():
        if declared.parameters:
            opening, closing = declared.parameters
            read = [read_parameter(tokens, *part) for part in tokens.commas(opening + 1, closing)]
            return {each.name: bare_type(each.type) for each in read if each and each.name}
    return {}
