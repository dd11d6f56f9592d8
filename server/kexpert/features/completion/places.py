"""Completion outside expressions: includes, directives, options, kernel-doc comments."""

from __future__ import annotations

import re

from kexpert.core.c.cursor_context import comment_start
from kexpert.core.c.declarators import RECORDS, read_declaration, read_parameter
from kexpert.core.c.tokens import Tokens
from kexpert.core.docs.kerneldoc import comment_template
from kexpert.core.symbols import Kind
from kexpert.features.completion.item import CompletionItem, CompletionRequest, Completions, ItemKind
from kexpert.features.semantics.include_paths import arch_for, include_directories, makefile_folders
from kexpert.features.semantics.records import read_members

_INCLUDE = re.compile(rb"[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"]*)\Z")
_DIRECTIVE = re.compile(rb"[ \t]*#[ \t]*\w*\Z")
_ENABLED = re.compile(rb"\b(?:IS_(?:ENABLED|BUILTIN|MODULE|REACHABLE)|__is_defined)\s*\(\s*\w*\Z")
_CONDITION = re.compile(rb"[ \t]*#[ \t]*(?:el)?if")
_DIRECTIVES = ("include", "define", "ifdef", "ifndef", "if", "elif", "else", "endif", "undef", "error", "warning",
               "pragma", "line")  # fmt: skip
_FILE: ItemKind = "file"
_FOLDER: ItemKind = "folder"
_OPENED = re.compile(rb"/\*\*(?!/)[ \t\r\n*]*\Z")
_REST = re.compile(rb"(?:\s|\*(?!/))*+(?:\*/)?\s*+")
_MAX_DECLARATION_BYTES = 8192


def complete_include(request: CompletionRequest, line: bytes) -> Completions | None:
    """Directories and headers after ``#include <`` or ``"``; None if the line is no include."""
    match = _INCLUDE.match(line)
    if match is None:
        return None
    quoted, typed = match[1] == b'"', match[2].decode("latin-1")
    directory, _, part = typed.rpartition("/")
    start = request.offset - len(part)
    close = b'"' if quoted else b">"
    closed = request.source.data[request.offset : request.offset + 1] == close
    items: dict[str, CompletionItem] = {}
    path = request.source.path
    directories = include_directories(path, quoted, arch_for(request.view, path))
    for order, base in enumerate([*directories, *makefile_folders(request.view, path)]):
        for name, is_directory in request.view.list_dir(_joined(base, directory)).items():
            if name in items or not name.lower().startswith(part.lower()) or not (is_directory or name.endswith(".h")):
                continue
            insert = f"{name}/" if is_directory else name + ("" if closed else close.decode())
            label, kind = (f"{name}/", _FOLDER) if is_directory else (name, _FILE)
            sort = f"{order:02}{not is_directory:d}{name}"
            items[name] = request.item(label, kind, sort, base, insert=insert, start=start)
    found = sorted(items.values(), key=lambda item: item.sort_text)
    return Completions(found[: request.limit], len(found) > request.limit)


def _joined(base: str, directory: str) -> str:
    parts: list[str] = []
    for part in f"{base}/{directory}".split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def complete_directive(request: CompletionRequest, line: bytes) -> Completions | None:
    if not _DIRECTIVE.match(line):
        return None
    return Completions([
        request.item(name, "directive", f"{order:02}")
        for order, name in enumerate(_DIRECTIVES) if name.startswith(request.prefix)
    ])  # fmt: skip


def complete_config(request: CompletionRequest, line: bytes) -> Completions | None:
    """``CONFIG_…`` names, also inside ``IS_ENABLED(`` and, without the ``CONFIG_``, in Kconfig files."""
    kconfig = request.source.path.rpartition("/")[2].startswith("Kconfig")
    begun = "CONFIG_".startswith(request.prefix[:7]) and len(request.prefix) > 2 and _CONDITION.match(line) is not None
    wanted = begun or request.prefix.startswith("CONFIG_") or _ENABLED.search(line) is not None
    if not kconfig and not wanted:
        return None
    hidden = len("CONFIG_") if kconfig else 0
    if begun:
        prefix = "CONFIG_" + request.prefix[7:]
    elif request.prefix.startswith("CONFIG_") and not kconfig:
        prefix = request.prefix
    else:
        prefix = "CONFIG_" + request.prefix
    return option_items(request, prefix, hidden)


def option_items(request: CompletionRequest, prefix: str, hidden: int = 0) -> Completions:
    """Options whose names begin with a prefix (with CONFIG_), shown without their first ``hidden`` letters."""
    rows = request.view.lookup_prefix(prefix, request.limit * 2, request.source.path)
    found: dict[str, CompletionItem] = {}
    for order, row in enumerate(rows):
        if row.kind is Kind.CONFIG and row.name not in found:
            found[row.name] = request.item(row.name[hidden:], "config", f"0{order:04}", row.path, symbol=row)
    return Completions(list(found.values())[: request.limit], len(rows) >= request.limit)


def complete_kerneldoc(request: CompletionRequest) -> Completions:
    """A template in a comment just opened by ``/**`` above a function, a struct or a macro; nothing elsewhere."""
    data, offset = request.source.data, request.offset
    begin = comment_start(data, offset)
    if begin is None or not _OPENED.match(data, begin, offset):
        return Completions()
    rest = _REST.match(data, offset)
    after = rest.end() if rest else offset
    text = _template_for(data[after : after + _MAX_DECLARATION_BYTES])
    if text is None:
        return Completions()
    name, body = text
    lines = body.rstrip("\n").split("\n")
    if rest and b"*/" in rest[0]:
        lines.pop()
    line = data.rfind(b"\n", 0, offset) + 1
    start = begin
    if line > begin:  # an edit may not reach over lines: the ``/**`` above stays
        start, lines = line, lines[1:]
    indent = data[data.rfind(b"\n", 0, begin) + 1 : begin].decode("latin-1")
    insert = "\n".join(lines if not indent.isspace() else [lines[0], *(indent + each for each in lines[1:])])
    label = f"kernel-doc for {name}"
    return Completions([request.item(label, "snippet", "0", insert=insert, start=start, snippet=True)])


def _template_for(code: bytes) -> tuple[str, str] | None:
    define = re.match(rb"#[ \t]*define[ \t]+(\w+)\(([^)]*)\)", code)
    if define:
        parameters = [part.strip() for part in define[2].decode("latin-1").split(",") if part.strip()]
        return define[1].decode() + "()", comment_template(define[1].decode(), parameters, True, "macro", snippet=True)
    tokens = Tokens(code)
    declaration = read_declaration(tokens, 0)
    if declaration is None:
        return None
    kind, tag = declaration.type.keyword, declaration.type.tag
    if declaration.type.body and kind and tag:
        brace = tokens.at_offset(declaration.type.body.start)
        if kind in RECORDS:
            names = [m.name for m in read_members(tokens, brace + 1, tokens.past(brace) - 1, "", tag, 0)]
        else:
            ranges = tokens.commas(brace + 1, tokens.past(brace) - 1)
            names = [tokens[start] for start, _ in ranges if tokens.is_word(start)]
        return f"{kind} {tag}", comment_template(tag, [], False, kind, names, snippet=True)
    for declared in declaration.declared:
        if declared.parameters:
            opening, closing = declared.parameters
            names = _parameter_names(tokens, opening, closing)
            returned = declared.type.returned()
            returns = returned is not None and returned.text != "void"
            return f"{declared.name}()", comment_template(declared.name, names, returns, "function", snippet=True)
    return None


def _parameter_names(tokens: Tokens, opening: int, closing: int) -> list[str]:
    names = []
    for start, stop in tokens.commas(opening + 1, closing):
        declared = read_parameter(tokens, start, stop)
        if declared and declared.name:
            names.append(declared.name)
        elif tokens[start] == "...":
            names.append("...")
    return names
