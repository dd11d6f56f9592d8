"""Conditions as people say them, as code: "len is negative" is ``len<0``."""

from __future__ import annotations

import re

_NAME = r"([\w>.\[\]-]+(?:\([\w>.,&* -]*\))?)"
_FORMS = (
    (rf"there is no {_NAME}", "!{0}"),
    (rf"{_NAME} is (?:not set|not there|zero|0|false|null|NULL|empty|missing)\b", "!{0}"),
    (rf"{_NAME} is (?:set|true|not zero|non-zero|nonzero|not null|not NULL)\b", "{0}"),
    (rf"{_NAME} is an error(?: pointer)?\b", "IS_ERR({0})"),
    (rf"{_NAME} is (?:negative|below 0|below zero|less than 0)", "{0}<0"),
    (rf"{_NAME} (?:is|are) not (?!set\b|zero\b|null\b){_NAME}", "{0}!={1}"),
    (rf"{_NAME} is (?:greater than|more than|above|over) {_NAME}", "{0}>{1}"),
    (rf"{_NAME} is (?:less than|below|under) {_NAME}", "{0}<{1}"),
    (rf"{_NAME} is at least {_NAME}", "{0}>={1}"),
    (rf"{_NAME} is at most {_NAME}", "{0}<={1}"),
    (rf"{_NAME} (?:is|equals) (?!not\b|set\b|an?\b|the\b){_NAME}", "{0}=={1}"),
)
_COMPILED = tuple((re.compile(pattern), code) for pattern, code in _FORMS)


def spoken_conditions(text: str) -> list[str]:
    """The conditions that a text may mean, as code without blanks."""
    found = [
        "".join(code.format(*(group.rstrip("?.,") for group in match.groups())).split())
        for pattern, code in _COMPILED
        for match in pattern.finditer(text)
    ]
    return list(dict.fromkeys(found))
