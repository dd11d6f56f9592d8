"""Which files may be learnt from: those under a licence that a GPL-2.0 project may hold."""

from __future__ import annotations

import re

from kexpert.core.text import decode

_HEAD_BYTES = 6_000  # of a file; licences stand at the top
_SPDX = re.compile(rb"SPDX-License-Identifier:\s*([^\n*]+)")
#: Files without an SPDX line that hold the text of a licence. The first that matches counts.
_TEXTS = (
    (re.compile(r"Permission is hereby granted, free of charge, to any person obtaining a copy"), "MIT"),
    (re.compile(r"GNU Lesser General Public License|GNU Library General Public License", re.I), "LGPL-2.1"),
    (re.compile(r"GNU General Public License|\bGPL ?v?2\b", re.I), "GPL-2.0"),
    (re.compile(r"Permission to use, copy, modify, and(?:/or)? distribute this software"), "ISC"),
    (re.compile(r"Redistribution and use in source and binary forms"), "BSD-3-Clause"),
)
_MARGIN = re.compile(r"[\s*#/]+")
_COMPATIBLE = re.compile(
    r"(?:L?GPL-(?:1\.0|2\.0|2\.1)(?:-only|-or-later|\+)?|GPL-1\.0-or-later|MIT|X11|ISC|Zlib|0BSD|CC0-1\.0"
    r"|BSD-[123]-Clause(?:-Clear)?)",
    re.I,
)
_TOKEN = re.compile(r"[()]|[^\s()]+")


def licence_of(data: bytes) -> str:
    """The licence of a file: its SPDX expression, else that of a well-known text at its top, else ""."""
    head = data[:_HEAD_BYTES]
    if spdx := _SPDX.search(head):
        return decode(spdx[1]).strip().removesuffix("-->").strip()
    text = _MARGIN.sub(" ", decode(head))
    return next((name for pattern, name in _TEXTS if pattern.search(text)), "")


def is_compatible(expression: str) -> bool:
    """True if one choice of an SPDX expression is compatible with GPL-2.0. False for "" and for unknown names.

    >>> is_compatible("(GPL-2.0 WITH Linux-syscall-note) OR Proprietary"), is_compatible("GPL-2.0 AND Apache-2.0")
    (True, False)
    """
    values: list[list[bool | str]] = [[]]  # operands and operators of each open bracket
    skip = False
    for token in _TOKEN.findall(expression):
        if skip:
            skip = False
        elif token == "(":
            values.append([])
        elif token == ")":
            if len(values) == 1:
                return False
            inner = _value(values.pop())
            values[-1].append(inner)
        elif token.upper() == "WITH":
            skip = True  # an exception only grants more
        elif token.upper() in ("OR", "AND"):
            values[-1].append(token.upper())
        else:
            values[-1].append(_COMPATIBLE.fullmatch(token) is not None)
    return len(values) == 1 and _value(values[0])


def _value(items: list[bool | str]) -> bool:
    """``a OR b AND c``: AND binds more tightly."""
    terms: list[list[bool]] = [[]]
    for item in items:
        if item == "OR":
            terms.append([])
        elif isinstance(item, bool):
            terms[-1].append(item)
    return any(term and all(term) for term in terms)
