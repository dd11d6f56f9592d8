"""Signature help: the parameters of the call around the cursor, and the one that is being written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kexpert.core.c.cursor_context import comment_start
from kexpert.core.c.declarators import read_declaration
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.postfix import chain_start
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.docs.kerneldoc import KernelDoc, comment_above, parse_kerneldoc
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.features.semantics.cursor import CursorContext
from kexpert.features.semantics.derived_names import makers_of
from kexpert.features.semantics.expected_type import CallSite, call_around
from kexpert.features.semantics.made_declaration import made_declaration
from kexpert.view import View

_CALLABLE = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.MACRO, Kind.SYSCALL, Kind.VARIABLE, Kind.DECLARATION, Kind.TRACEPOINT)
_MAX_HEADER_BYTES = 2000
#: ``FNAME(walk)`` in ``static int FNAME(walk)(int a)``.
_NAMED_BY_MACRO = re.compile(rb"\b[A-Z_][A-Z0-9_]*\(\s*\w+\s*\)(?=\s*\()")
_MAX_VARIANTS = 4
_DEFINE = re.compile(r"\s*#\s*define\s+(\w+\([^)]*\))")
_TYPEDEF = re.compile(rb"\s*(?:__extension__\s+)?typedef\b")
_SPACE = re.compile(r"\s+")
_BODY = re.compile(rb"^\{|[{;]\s*$", re.M)


@dataclass(frozen=True, slots=True)
class Parameter:
    """``start``/``end`` count characters of the label; ``documentation`` is "" when there is none."""

    name: str
    start: int
    end: int
    documentation: str = ""


@dataclass(frozen=True, slots=True)
class SignatureHelp:
    """The label of a call with its parameters; ``documentation`` is text of a kernel-doc comment."""

    label: str
    parameters: list[Parameter] = field(default_factory=list)
    active: int | None = None  # None past the last parameter
    documentation: str = ""


def signature_help(view: View, source: Source, offset: int) -> SignatureHelp | None:
    """The call whose parentheses hold ``offset``; None outside calls and for a callee that is not known."""
    if comment_start(source.data, offset) is not None:
        return None
    cursor = CursorContext(view, source, offset)
    tokens = cursor.tokens
    call = call_around(tokens, tokens.at_offset(offset - 1))
    if call is None:
        return None
    start, stop = call.callee
    if stop - start == 1:
        name = tokens[start]
        local = next((local for local in cursor.locals if local.name == name), None)
        if local is None:
            return _of_symbol(cursor, name, call)
        found = _of_text(source.data[local.decl_start : local.decl_end], name, call)
        return found or _of_type(cursor, call)
    if tokens[stop - 2] in (".", "->"):
        owner = cursor.types.at(tokens, chain_start(tokens, stop - 3), stop - 2, offset)
        member = cursor.types.member(owner, tokens[stop - 1]) if owner else None
        if member:
            row = Symbol(member.name, Kind.MEMBER, member.path, 0, member.name_start, member.start, member.end)
            found = _of_text(view.text(row), member.name, call)
            if found:
                return found
    return _of_type(cursor, call)


def _of_symbol(cursor: CursorContext, name: str, call: CallSite) -> SignatureHelp | None:
    """From the definitions and declarations of a name; the first that has parameters."""
    view = cursor.view
    known = cursor.types.lookup(name, _CALLABLE) or makers_of(view, name)
    for symbol in known[:_MAX_VARIANTS]:
        text = view.text(symbol)
        doc = _doc(view, symbol)
        if symbol.kind is Kind.MACRO:
            found = _of_macro(text, call, doc) if symbol.flags & Flag.FUNCTION_LIKE else None
        elif symbol.kind is Kind.SYSCALL:
            found = _of_syscall(text, name, call, doc)
        elif symbol.kind is Kind.TRACEPOINT:
            found = _of_text(f"void {name}({tracepoint_parameters(text)})".encode("latin-1"), name, call, doc)
        else:
            made = made_declaration(view, symbol).encode("latin-1", "replace")
            found = _of_text(made or _NAMED_BY_MACRO.sub(name.encode(), text, count=1), name, call, doc)
        if found:
            return found
    return None


def _doc(view: View, symbol: Symbol) -> KernelDoc | None:
    source = view.source(symbol.path)
    span = comment_above(source.data, symbol.start) if source else None
    return parse_kerneldoc(source.data[span[0] : span[1]]) if source and span else None


def _of_text(text: bytes, name: str, call: CallSite, doc: KernelDoc | None = None) -> SignatureHelp | None:
    """From a declaration as written, body and comments left out."""
    code = blank_comments(text[:_MAX_HEADER_BYTES])
    end = _BODY.search(code)
    header = _SPACE.sub(" ", code[: end.start() if end else None].decode("latin-1")).strip(" ;{")
    tokens = Tokens(header.encode("latin-1"))
    declaration = read_declaration(tokens, 0)
    for declared in declaration.declared if declaration else ():
        if declared.name == name and declared.parameters:
            opening, closing = declared.parameters
            return _help(header, tokens, tokens.commas(opening + 1, closing), call, doc)
    return None


def _of_macro(text: bytes, call: CallSite, doc: KernelDoc | None) -> SignatureHelp | None:
    match = _DEFINE.match(text[:_MAX_HEADER_BYTES].replace(b"\\\n", b" ").decode("latin-1"))
    if match is None:
        return None
    label = _SPACE.sub(" ", match[1])
    tokens = Tokens(label.encode("latin-1"))
    return _help(label, tokens, tokens.commas(2, len(tokens) - 1), call, doc)


def tracepoint_parameters(text: bytes) -> str:
    """What ``TP_PROTO(…)`` of a tracepoint holds: "struct toy *toy, int code"; "" if it has none."""
    at = text.find(b"TP_PROTO")
    tokens = Tokens(text[at : at + _MAX_HEADER_BYTES]) if at >= 0 else Tokens(b"")
    if tokens[1] != "(":
        return ""
    return _SPACE.sub(" ", text[at + tokens.stop(1) : at + tokens.start(tokens.past(1) - 1)].decode("latin-1")).strip()


def _of_syscall(text: bytes, name: str, call: CallSite, doc: KernelDoc | None) -> SignatureHelp | None:
    tokens = Tokens(text[:_MAX_HEADER_BYTES])
    parts = [
        text[tokens.start(start) : tokens.stop(stop - 1)].decode("latin-1")
        for start, stop in tokens.commas(2, tokens.past(1) - 1)[1:]
    ]
    pairs = zip(parts[::2], parts[1::2], strict=False)
    parameters = ", ".join(kind + ("" if kind.endswith("*") else " ") + argument for kind, argument in pairs)
    return _of_text(f"long {name}({parameters or 'void'})".encode("latin-1"), name, call, doc)


def _of_type(cursor: CursorContext, call: CallSite) -> SignatureHelp | None:
    """From the type of the callee: its typedef, which may name the parameters, or the type alone."""
    tokens, types = cursor.tokens, cursor.types
    callee = types.at(tokens, *call.callee, cursor.offset)
    name = tokens[call.opening - 1] if tokens.is_word(call.opening - 1) else "call"
    for row in types.lookup(callee.name, (Kind.TYPEDEF,))[:1] if callee and not callee.keyword else ():
        text = _TYPEDEF.sub(b"", cursor.view.text(row), count=1)
        text = re.sub(rb"\b%s\b" % row.name.encode(), name.encode(), text, count=1)
        if found := _of_text(text, name, call):
            return found
    callee = types.resolved(callee) if callee else None
    returned = callee.returned() if callee else None
    if callee is None or returned is None:
        return None
    parameters = next(step for step in callee.derived if step.startswith("("))
    return _of_text(f"{returned.text} {name}{parameters}".encode("latin-1", "replace"), name, call)


def _help(
    label: str, tokens: Tokens, ranges: list[tuple[int, int]], call: CallSite, doc: KernelDoc | None
) -> SignatureHelp:
    documented = {param.name: param.text for param in doc.params} if doc else {}
    parameters = []
    for start, stop in ranges:
        if tokens.join(start, stop) == "void":
            continue
        name = next((tokens[at] for at in range(stop - 1, start - 1, -1) if tokens.is_word(at)), "...")
        inner = next((tokens[at + 2] for at in range(start, stop) if tokens[at] == "(" and tokens[at + 1] == "*"), name)
        parameters.append(Parameter(inner, tokens.start(start), tokens.stop(stop - 1), documented.get(inner, "")))
    active: int | None = call.argument
    if call.argument >= len(parameters):
        variadic = bool(parameters) and label[: parameters[-1].end].endswith("...")
        active = len(parameters) - 1 if variadic else None
    return SignatureHelp(label, parameters, active, doc.summary if doc else "")
