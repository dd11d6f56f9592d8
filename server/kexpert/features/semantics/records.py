"""The members of a struct or union, read from its text: anonymous records flattened, macros understood."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from kexpert.core.c.declarators import PRIMITIVE, RECORDS, TYPEOF, Body, CType, read_declaration, read_parameter
from kexpert.core.c.macro_types import LOCAL_MACROS, macro_type
from kexpert.core.c.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union, where it is declared; ``start``/``end`` span the declaration."""

    name: str
    type: CType  # .text is the normalised text, "struct inode *"
    path: str
    name_start: int
    struct: str  # "struct file": the record it is reached through; "struct" if that has no tag
    start: int
    end: int

    @property
    def type_text(self) -> str:
        return self.type.text


@lru_cache(maxsize=256)
def members_of(text: bytes, path: str, start: int, struct: str) -> tuple[Member, ...]:
    """Members of a record by its text, which begins at byte ``start`` of its file; variants under ``#if`` follow each
    other."""
    tokens = Tokens(text, base=start)
    brace = 0
    while brace < len(tokens) and tokens[brace] not in ("{", ";"):
        brace += 1
    if tokens[brace] != "{":  # the members of a struct_group, without braces
        return tuple(read_members(tokens, 0, len(tokens), path, struct, 0))
    return tuple(read_members(tokens, brace + 1, tokens.past(brace) - 1, path, struct, 0))


def read_members(tokens: Tokens, at: int, stop: int, path: str, struct: str, depth: int) -> list[Member]:
    """Members declared between two tokens; ``struct`` is the record they are reached through."""
    found: list[Member] = []
    while at < stop:
        if tokens.is_word(at) and tokens[at + 1] == "(" and _is_macro_member(tokens, at):
            past = tokens.past(at + 1)
            found += _macro_members(tokens, at, path, struct, depth)
            at = past + 1 if tokens[past] == ";" else past
            continue
        declaration = read_declaration(tokens, at, path)
        if declaration is None:
            at += 1
            continue
        for d in declaration.declared:
            found.append(Member(d.name, d.type, path, d.name_start, struct, d.start, d.end))
        body = declaration.type.body
        if not declaration.declared and body and declaration.type.keyword in RECORDS and depth < 8:
            brace = tokens.at_offset(body.start)
            found += read_members(tokens, brace + 1, tokens.past(brace) - 1, path, struct, depth + 1)
        at = declaration.next
    return found


def _is_macro_member(tokens: Tokens, at: int) -> bool:
    text = tokens[at]
    if text in PRIMITIVE or text in TYPEOF or tokens[at + 2] == "*":
        return False
    return text == "__struct_group" or not text.startswith("__")


def _macro_members(tokens: Tokens, at: int, path: str, struct: str, depth: int) -> list[Member]:
    """Members that a macro declares: ``struct_group(headers, …)``, ``DECLARE_BITMAP(mask, 8)``."""
    macro = tokens[at]
    close = tokens.past(at + 1) - 1
    arguments = tokens.commas(at + 2, close)
    if not arguments or depth >= 8:
        return []
    skipped = {"struct_group": 1, "struct_group_attr": 2, "struct_group_tagged": 2, "__struct_group": 3}.get(macro)
    if skipped is not None:
        if len(arguments) <= skipped:
            return []
        inside = read_members(tokens, arguments[skipped][0], close, path, struct, depth + 1)
        name = arguments[1 if macro in ("struct_group_tagged", "__struct_group") else 0][0]
        body = Body(path, tokens.start(arguments[skipped][0]), tokens.start(close))
        group = Member(tokens[name], CType("struct", body=body), path, tokens.start(name), struct, tokens.start(at),
                       tokens.stop(close))  # fmt: skip
        return [*inside, group] if tokens.is_word(name) else inside
    if macro == "DECLARE_FLEX_ARRAY" and len(arguments) > 1:
        declared = read_parameter(tokens, *arguments[0], path)
        name, of = arguments[1][0], replace(declared.type, derived=("[]",)) if declared else CType("void", ("[]",))
    elif macro in LOCAL_MACROS:
        name, of = arguments[0][0], macro_type(Tokens(macro.encode() + b"()")) or CType("int")
    else:
        return []
    return [Member(tokens[name], of, path, tokens.start(name), struct, tokens.start(at), tokens.stop(close))]
