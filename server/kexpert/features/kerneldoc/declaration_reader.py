"""What a kernel-doc comment above a definition must name, as ``scripts/kernel-doc`` reads the definition.

That program reads declarations with regular expressions. Some correct C is beyond them: attributes with arguments
before the name, annotations after a parameter's name, functions that a macro defines. Those are refused here, because
any comment above them would only give a warning.
"""

from __future__ import annotations

import re

from kexpert.core.c.declarators import CType, read_declaration, read_parameter
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.hover.code_card import start_with_annotations
from kexpert.features.kerneldoc.declaration import Declaration, DocKind, Parameter, Undocumentable
from kexpert.features.kerneldoc.record_members import record_members

_MAX_HEAD_BYTES = 8192
#: Groups in parentheses before a function's name that ``scripts/kernel-doc`` knows to skip.
_SKIPPED_GROUPS = ("__printf", "__alloc_size", "__attribute__")
_DEFINE = re.compile(rb"#[ \t]*define[ \t]+(\w+)(?:\(([^()]*)\))?")
_SYSCALL = re.compile(r"(?:COMPAT_)?SYSCALL_DEFINE(\d)")
_NAME = re.compile(r"[A-Za-z_]\w*")


def declaration_of(data: bytes, symbol: Symbol) -> Declaration:
    """Read the definition of a function, system call, macro or record. Raises Undocumentable."""
    declaration = _read(data, symbol)
    for name in (declaration.name, *(each.name for each in declaration.parameters)):
        if not name.isascii():
            raise Undocumentable(f"{name!r} is no name in C")
    return declaration


def _read(data: bytes, symbol: Symbol) -> Declaration:
    start = symbol.start if symbol.kind is Kind.MACRO else start_with_annotations(data, symbol.start)
    if start and data[start - 1 : start] != b"\n":
        raise Undocumentable("it does not begin in the first column of its line")
    if symbol.kind is Kind.MACRO:
        return _macro(data, symbol, start)
    if symbol.kind is Kind.SYSCALL:
        return _system_call(data, symbol, start)
    if symbol.kind is Kind.FUNCTION:
        return _function(data, symbol, start)
    if symbol.kind in (Kind.STRUCT, Kind.UNION, Kind.ENUM):
        kind: DocKind = "struct" if symbol.kind is Kind.STRUCT else "union" if symbol.kind is Kind.UNION else "enum"
        return Declaration(kind, symbol.name, record_members(data, symbol), None, start)
    raise Undocumentable("it is no function, macro, struct, union or enum")


def _macro(data: bytes, symbol: Symbol, start: int) -> Declaration:
    match = _DEFINE.match(data, start)
    if match is None or decode(match[1]) != symbol.name:
        raise Undocumentable("its parameters cannot be read")
    if match[2] is None:
        raise Undocumentable("it is a macro without parameters")
    words = [decode(part).replace("\\", " ").strip() for part in match[2].split(b",")]
    names = [word.removesuffix("...").strip() if word != "..." else word for word in words if word]
    if not all(name == "..." or _NAME.fullmatch(name) for name in names):
        raise Undocumentable("its parameters cannot be read")
    return Declaration("macro", symbol.name, tuple(map(Parameter, names)), None, start)


def _system_call(data: bytes, symbol: Symbol, start: int) -> Declaration:
    """``SYSCALL_DEFINE2(open, const char __user *, name, int, flags)`` is ``sys_open(name, flags)``."""
    tokens = Tokens(data, start, min(symbol.end, start + _MAX_HEAD_BYTES))
    match = _SYSCALL.fullmatch(tokens[0])
    closing = tokens.past(1) - 1
    parts = tokens.commas(2, closing) if tokens[1] == "(" else []
    if match is None or len(parts) != 2 * int(match[1]) + 1 or any(tokens[at] == "(" for at in range(2, closing)):
        raise Undocumentable("a macro defines it")
    names = [tokens.join(*part) for part in parts]
    parameters = []
    for (first, stop), name in zip(parts[1::2], names[2::2], strict=True):
        if not _NAME.fullmatch(name):
            raise Undocumentable("its parameters cannot be read")
        declared = read_parameter(tokens, first, stop)
        parameters.append(Parameter(name, declared.type if declared else None))
    return Declaration("function", f"sys_{names[0]}", tuple(parameters), CType("long"), start)


def _function(data: bytes, symbol: Symbol, start: int) -> Declaration:
    brace = data.find(b"{", symbol.name_start, symbol.end)
    tokens = Tokens(data, start, min(brace if brace >= 0 else symbol.end, start + _MAX_HEAD_BYTES))
    name_at = tokens.at_offset(symbol.name_start)
    if tokens[name_at] != symbol.name or tokens[name_at + 1] != "(" or tokens.partner(name_at + 1) < 0:
        raise Undocumentable("a macro defines it")
    _check_before_name(tokens, name_at)
    opening, closing = name_at + 1, tokens.partner(name_at + 1)
    parts = tokens.commas(opening + 1, closing)
    if _has_group(tokens, opening + 1, closing) and any(tokens[at] == ")" for at in range(closing + 1, len(tokens))):
        raise Undocumentable("an annotation with arguments follows parameters that hold parentheses")
    declaration = read_declaration(tokens, 0)
    returned = next(
        (d.type.returned() for d in declaration.declared if d.name == symbol.name), None
    ) if declaration else None
    types = _old_style_types(tokens, closing) if _is_old_style(tokens, parts, closing) else {}
    parameters = []
    for first, stop in parts:
        if stop - first == 1 and tokens[first] == "void":
            continue
        if types:
            parameters.append(Parameter(tokens[first], types.get(tokens[first])))
        else:
            parameters.append(_parameter(tokens, first, stop))
    if returned is not None and returned.text == "void":
        returned = None
    return Declaration("function", symbol.name, tuple(parameters), returned, start)


def _check_before_name(tokens: Tokens, name_at: int) -> None:
    """Only words and ``*`` may precede a function's name, and no word may be between the last ``*`` and the name."""
    at = 0
    after_star = False
    while at < name_at:
        text = tokens[at]
        if text in _SKIPPED_GROUPS and tokens[at + 1] == "(":
            at = tokens.past(at + 1)
            continue
        if text == "*":
            after_star = True
        elif not tokens.is_word(at):
            raise Undocumentable(f"{text!r} before its name")
        elif after_star and "*" not in [tokens[i] for i in range(at, name_at)] and text not in _SKIPPED_WORDS:
            raise Undocumentable(f"{text!r} between its type and its name")
        elif tokens[at + 1] == "(":
            raise Undocumentable(f"{text}(…) before its name")
        at += 1
    if name_at == 0:
        raise Undocumentable("it has no return type")


#: Words that ``scripts/kernel-doc`` removes wherever they are before a name.
_SKIPPED_WORDS = frozenset({
    "__init", "__init_or_module", "__deprecated", "__flatten", "__meminit", "__must_check", "__weak", "__sched",
    "__attribute_const__",
})  # fmt: skip


def _has_group(tokens: Tokens, start: int, stop: int) -> bool:
    return any(tokens[at] == "(" for at in range(start, stop))


def _parameter(tokens: Tokens, first: int, stop: int) -> Parameter:
    if tokens[first] == "..." and stop - first == 1:
        return Parameter("...")
    declared = read_parameter(tokens, first, stop)
    if declared is None or not declared.name:
        raise Undocumentable(f"the parameter {tokens.join(first, stop)!r} has no name")
    at = tokens.at_offset(declared.name_start)
    if _has_group(tokens, first, stop):
        if not _is_readable_group(tokens, first, stop, at):
            raise Undocumentable(f"the parameter {tokens.join(first, stop)!r} is too complex")
    else:
        after = at + 1
        while tokens[after] == "[" and after < stop:
            after = tokens.past(after)
        if after != stop:
            raise Undocumentable(f"{tokens.join(after, stop)!r} after the parameter {declared.name!r}")
        if stop - first == 1:
            raise Undocumentable(f"the parameter {declared.name!r} has no type")
    return Parameter(declared.name, declared.type)


def _is_readable_group(tokens: Tokens, first: int, stop: int, name_at: int) -> bool:
    """``int (*name)(...)``, ``int name(...)`` and ``int (*name)[4]``; nothing more nested."""
    before = name_at - 1
    if tokens[before] == "*" and tokens[before - 1] == "(":
        if any(tokens[at] == "(" for at in range(first, before - 1)):
            return False
        after = name_at + 1
        if tokens[after] == "[":
            after = tokens.past(after)
        if tokens[after] != ")":
            return False
        after += 1
        if tokens[after] == "[":
            return tokens.past(after) == stop
        return tokens[after] == "(" and tokens.past(after) == stop and not _has_group(tokens, after + 1, stop - 1)
    return False


def _is_old_style(tokens: Tokens, parts: list[tuple[int, int]], closing: int) -> bool:
    """``int f(a, b) int a; char *b;``"""
    if not parts or ";" not in [tokens[at] for at in range(closing + 1, len(tokens))]:
        return False
    return all(stop - first == 1 and tokens.is_word(first) for first, stop in parts)


def _old_style_types(tokens: Tokens, closing: int) -> dict[str, CType]:
    found: dict[str, CType] = {}
    at = closing + 1
    while at < len(tokens):
        declaration = read_declaration(tokens, at)
        if declaration is None:
            break
        found.update({declared.name: declared.type for declared in declaration.declared})
        at = declaration.next
    return found or {"": CType("int")}
