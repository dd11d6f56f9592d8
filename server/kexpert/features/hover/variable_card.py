"""Cards of what holds or names a value: variables, typedefs, module parameters, locals."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kexpert.core.c.declarators import RECORDS, read_declaration
from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.layout import Layout
from kexpert.core.c.scope import Local
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.docs.kerneldoc import parse_kerneldoc
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.hover.card import Documentation, HoverCard, plain_text, restructured_text
from kexpert.features.hover.card_reader import CardReader, comment_of, is_in_reach, other_variants
from kexpert.features.hover.code_card import as_declaration, declaration_head, first_lines, wrap
from kexpert.features.hover.comment_text import comment_beside_text
from kexpert.features.hover.function_card import export_of
from kexpert.features.hover.type_sizes import layout_of
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.features.semantics.type_inference import Types

_DESCRIPTION = re.compile(rb"MODULE_PARM_DESC[ \t]*\(\s*(\w+)\s*,\s*((?:\"(?:[^\"\\\n]|\\.)*\"\s*+|\w++\s*+)+)\)")
_STRING = re.compile(rb"\"((?:[^\"\\\n]|\\.)*)\"")
_LOCAL_WORDS = {"parameter": "parameter", "static": "static local variable"}
_MAX_LINES = 16
_MAX_TYPEDEF_BYTES = 32 * 1024
_MAX_DESCRIPTION_BYTES = 4096


def variable_card(reader: CardReader, symbol: Symbol, symbols: Sequence[Symbol]) -> HoverCard:
    """A variable at file scope, also a per-CPU one or one that a macro defines."""
    variants = other_variants(reader, symbol, symbols)
    declarations = [other for other in symbols if other.kind == Kind.DECLARATION and other is not symbol]
    card = HoverCard(symbol.name, "per-CPU variable" if symbol.flags & Flag.PER_CPU else "variable")
    data = reader.data(symbol.path)
    if data and symbol.flags & Flag.IDIOM:
        card.code = first_lines(data[symbol.start : symbol.end], _MAX_LINES)
    elif data:
        card.code = declaration_head(data, symbol)
    card.documentation = reader.documentation([symbol, *declarations[:2]])
    if not card.documentation and data:
        card.documentation = plain_text(comment_beside_text(data, symbol.end))
    reader.add_places(card, symbol, variants)
    if symbol.kind != Kind.DECLARATION and declarations and not is_private(symbol):
        card.declared = reader.place(declarations[0])
    card.export = export_of(reader, symbol)
    parameters = reader.lookup(symbol.name, (Kind.MODULE_PARAM,))
    parameter = next((other for other in parameters if other.path == symbol.path), None)
    if parameter is not None:
        card.documentation += _module_parameter_description(reader, parameter)
    return card


def parameter_card(reader: CardReader, symbol: Symbol) -> HoverCard:
    """``module_param(name, type, perm)`` with the text of its MODULE_PARM_DESC."""
    card = HoverCard(symbol.name, "module parameter", code=first_lines(reader.text(symbol), _MAX_LINES))
    card.documentation = _module_parameter_description(reader, symbol)
    reader.add_places(card, symbol)
    return card


def typedef_card(reader: CardReader, symbol: Symbol, symbols: Sequence[Symbol]) -> HoverCard:
    variants = other_variants(reader, symbol, symbols)
    card = HoverCard(symbol.name, "typedef", code=first_lines(reader.text(symbol), _MAX_LINES))
    card.documentation = reader.documentation([symbol, *variants[:2]])
    reader.add_places(card, symbol, variants)
    if reader.config.layout:
        card.layout = _layout_behind(reader, symbol)
    return card


def _layout_behind(reader: CardReader, symbol: Symbol) -> Layout | None:
    """The layout of the struct or union that a typedef names; None for pointers to one and other types."""
    tokens = Tokens(reader.text(symbol)[:_MAX_TYPEDEF_BYTES])
    declaration = read_declaration(tokens, 0)
    named = next((each for each in declaration.declared if each.name == symbol.name), None) if declaration else None
    if named is None or named.type.derived or named.type.keyword not in RECORDS:
        return None
    kind = Kind.UNION if named.type.keyword == "union" else Kind.STRUCT
    if named.type.body:
        return layout_of(reader, symbol._replace(kind=kind))
    records = reader.lookup(named.type.tag, (kind,), limit=20)
    records.sort(key=lambda row: (row.path != symbol.path, not is_in_reach(row.path, symbol.path)))
    return layout_of(reader, records[0]) if records else None


def local_card(reader: CardReader, source: Source, local: Local) -> HoverCard:
    """A parameter, a local or a label, with its comment; ``typeof()`` as the type that it gives, if that is known."""
    if local.kind == "label":
        return HoverCard(local.name, "label", code=f"{local.name}:")
    card = HoverCard(local.name, _LOCAL_WORDS.get(local.kind, "local variable"))
    of = local.type
    if of.base.startswith("typeof("):
        types = Types(reader.view, source)
        of = types.plain(of, types.scope_at(local.name_start))
    declaration = as_declaration(of.text, local.name)
    if local.kind == "parameter":
        card.code = wrap(declaration)
        card.documentation = _parameter_documentation(source, local)
    else:
        card.code = wrap(("static " if local.kind == "static" else "") + declaration) + ";"
        card.documentation = plain_text(comment_beside_text(source.data, local.decl_end))
    return card


def _parameter_documentation(source: Source, local: Local) -> tuple[Documentation, ...]:
    """The text of a parameter in the kernel-doc of its function."""
    function = enclosing_function(source, local.name_start)
    doc = parse_kerneldoc(comment_of(source.data, function.start)) if function else None
    text = next((param.text for param in doc.params if param.name == local.name), "") if doc else ""
    return restructured_text(text)


def _module_parameter_description(reader: CardReader, symbol: Symbol) -> tuple[Documentation, ...]:
    """The MODULE_PARM_DESC of a parameter in its own file."""
    data = reader.data(symbol.path) or b""
    name = symbol.name.encode("utf-8", "surrogateescape")
    at = data.find(b"MODULE_PARM_DESC")
    while at >= 0:
        match = _DESCRIPTION.match(data, at, at + _MAX_DESCRIPTION_BYTES)
        if match and match[1] == name:
            text = decode(b"".join(_STRING.findall(match[2]))).replace("\\n", " ").replace('\\"', '"').strip()
            return plain_text(text)
        at = data.find(b"MODULE_PARM_DESC", at + 1)
    return ()
