"""Cards of what holds or names a value: variables, typedefs, module parameters, locals."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.scope import Local
from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import parse_kerneldoc
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.hover.card import Documentation, HoverCard, plain_text, restructured_text
from kexpert.features.hover.card_reader import MAX_VARIANTS, Reading, comment_of, other_variants
from kexpert.features.hover.code_card import head, trimmed, wrap
from kexpert.features.hover.comment_text import beside
from kexpert.features.hover.function_card import export_of
from kexpert.features.semantics.definition_ranking import is_private

_DESCRIPTION = re.compile(rb"MODULE_PARM_DESC[ \t]*\(\s*(\w+)\s*,\s*((?:\"(?:[^\"\\\n]|\\.)*\"\s*|\w+\s*)+?)\)")
_STRING = re.compile(rb"\"((?:[^\"\\\n]|\\.)*)\"")
_MAX_LINES = 16


def variable_card(reading: Reading, symbol: Symbol, symbols: Sequence[Symbol]) -> HoverCard:
    """A variable at file scope, per-CPU ones and those that a macro makes included."""
    variants = other_variants(reading, symbol, symbols)
    declared = [one for one in symbols if one.kind == Kind.DECLARATION and one is not symbol]
    card = HoverCard(symbol.name, "per-CPU variable" if symbol.flags & Flag.PER_CPU else "variable")
    data = reading.data(symbol.path)
    if data:
        idiom = bool(symbol.flags & Flag.IDIOM)
        card.code = trimmed(data[symbol.start : symbol.end], _MAX_LINES) if idiom else head(data, symbol)
    card.documentation = reading.documentation([symbol, *declared[:2]])
    if not card.documentation and data:
        card.documentation = plain_text(beside(data, symbol.end))
    card.place = reading.place(symbol)
    if symbol.kind != Kind.DECLARATION and declared and not is_private(symbol):
        card.declared = reading.place(declared[0])
    card.variants = tuple(reading.place(one) for one in variants[:MAX_VARIANTS])
    card.more_variants = max(0, len(variants) - MAX_VARIANTS)
    card.export = export_of(reading, symbol)
    parameters = reading.lookup(symbol.name, (Kind.MODULE_PARAM,))
    parameter = next((one for one in parameters if one.path == symbol.path), None)
    if parameter is not None:
        _module_parameter(reading, parameter, card)
    card.maintainers = reading.maintainers(symbol.path)
    return card


def parameter_card(reading: Reading, symbol: Symbol, symbols: Sequence[Symbol]) -> HoverCard:
    """``module_param(name, type, perm)`` with what MODULE_PARM_DESC says of it."""
    card = HoverCard(symbol.name, "module parameter", code=trimmed(reading.text(symbol), _MAX_LINES))
    card.place = reading.place(symbol)
    _module_parameter(reading, symbol, card)
    card.maintainers = reading.maintainers(symbol.path)
    return card


def typedef_card(reading: Reading, symbol: Symbol, symbols: Sequence[Symbol]) -> HoverCard:
    variants = other_variants(reading, symbol, symbols)
    card = HoverCard(symbol.name, "typedef", code=trimmed(reading.text(symbol), _MAX_LINES))
    card.documentation = reading.documentation([symbol, *variants[:2]])
    card.place = reading.place(symbol)
    card.variants = tuple(reading.place(one) for one in variants[:MAX_VARIANTS])
    card.more_variants = max(0, len(variants) - MAX_VARIANTS)
    card.maintainers = reading.maintainers(symbol.path)
    return card


def local_card(source: Source, local: Local) -> HoverCard:
    """A parameter, a local or a label, with the comment that goes with it."""
    if local.kind == "label":
        return HoverCard(local.name, "label", code=f"{local.name}:")
    what = {"parameter": "parameter", "static": "static local variable"}.get(local.kind, "local variable")
    prefix = "static " if local.kind == "static" else ""
    card = HoverCard(local.name, what, code=wrap(prefix + declared(local.type.text, local.name)) + ";")
    if local.kind == "parameter":
        card.code = card.code[:-1]
        card.documentation = _parameter_documentation(source, local)
    else:
        card.documentation = plain_text(beside(source.data, local.decl_end))
    return card


def declared(type_text: str, name: str) -> str:
    """``name`` declared with a type as C writes it: "int (*)(void)" and "f" give "int (*f)(void)"."""
    if "(*" in type_text:
        at = type_text.index("(*") + 2
        while at < len(type_text) and type_text[at] == "*":
            at += 1
        return type_text[:at] + name + type_text[at:]
    if type_text.endswith("]"):
        base = type_text[: type_text.index("[")].rstrip()
        return declared(base, name) + type_text[type_text.index("[") :]
    return f"{type_text}{'' if type_text.endswith('*') else ' '}{name}"


def _parameter_documentation(source: Source, local: Local) -> tuple[Documentation, ...]:
    """What the kernel-doc of the function says of a parameter."""
    function = enclosing_function(source, local.name_start)
    doc = parse_kerneldoc(comment_of(source.data, function.start)) if function else None
    for parameter in doc.params if doc else ():
        if parameter.name == local.name:
            return restructured_text(parameter.text)
    return ()


def _module_parameter(reading: Reading, symbol: Symbol, card: HoverCard) -> None:
    """The description that stands in the same file."""
    data = reading.data(symbol.path) or b""
    name = symbol.name.encode("utf-8", "surrogateescape")
    at = data.find(b"MODULE_PARM_DESC")
    while at >= 0:
        match = _DESCRIPTION.match(data, at, at + 4096)
        if match and match[1] == name:
            text = decode(b"".join(_STRING.findall(match[2]))).replace("\\n", " ").replace('\\"', '"').strip()
            card.documentation += plain_text(text)
            return
        at = data.find(b"MODULE_PARM_DESC", at + 1)
