"""Extraction of the facts of one file: symbols, calls and assignments. Indexing and open buffers share it."""

from __future__ import annotations

import re
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from kexpert.core.c.assembly import assembly_constants, assembly_macros, extract_assembly
from kexpert.core.c.assignments import assignments
from kexpert.core.c.compact_text import CompactText
from kexpert.core.c.declared_name import declared_name
from kexpert.core.c.idioms import Idiom, idiom_of
from kexpert.core.c.made_names import add_made_symbols
from kexpert.core.c.parse import parse_compact
from kexpert.core.c.skeleton import MacroCall, Skeleton, has_record, skeleton
from kexpert.core.c.word_scan import callees, identifiers, may_sleep
from kexpert.core.symbols import Assignment, FileFacts, Flag, Kind, Symbol

if TYPE_CHECKING:
    from tree_sitter import Node

_ARGUMENT = re.compile(rb"[ \t\n\\]*&?(\w+)")
_NAME_BY_MACRO = re.compile(rb"\w+\(\s*(\w+)\s*\)\s*\(")
_NAMESPACE = re.compile(rb",\s*\"?([A-Za-z_]\w*)")
_DEFINER = re.compile(rb"(COMPAT_SYSCALL\w*_DEFINE|SYSCALL\d*_DEFINE|BPF_CALL)\w*\s*\(")

_RECORDS = {"struct_specifier": Kind.STRUCT, "union_specifier": Kind.UNION, "enum_specifier": Kind.ENUM}
_WITH_BODY = frozenset({Kind.FUNCTION, *_RECORDS.values()})
_CONTAINERS = {
    "preproc_if", "preproc_ifdef", "preproc_else", "preproc_elif", "preproc_elifdef", "linkage_specification",
    "declaration_list", "ERROR", "compound_statement", "labeled_statement", "attributed_statement",
}  # fmt: skip
_HOLDERS = _CONTAINERS | {"declaration", "type_definition", "else_clause"}
_LOCAL_HOLDERS = _HOLDERS | {*_RECORDS, "field_declaration_list", "field_declaration"}
_FLAGS = {
    b"static": Flag.STATIC, b"inline": Flag.INLINE, b"__always_inline": Flag.INLINE, b"__inline": Flag.INLINE,
    b"__init": Flag.INIT, b"__exit": Flag.EXIT, b"__weak": Flag.WEAK, b"__percpu": Flag.PER_CPU,
}  # fmt: skip
_NO_FLAGS = Flag(0)
_FLAG_BYTES = re.compile(rb"\b(?:static|inline|__always_inline|__inline|__init|__exit|__weak|__percpu)\b")
#: Keywords that the parser takes for declared names in broken code.
_NOT_NAMES = frozenset({"if", "for", "while", "switch", "return", "else", "do", "sizeof", "typeof", "defined"})


def extract(path: str, data: bytes) -> FileFacts:
    """Extract all facts of one C file, header or assembly file. Never raises."""
    if path.endswith(".S"):
        return extract_assembly(path, data)
    cut = skeleton(data)
    facts = FileFacts(identifiers=identifiers(cut.all_code), open_calls=cut.open)
    _Extraction(path, cut, facts).run()
    return facts


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class _Extraction:
    """One walk over the top level of a file. Function bodies are scanned for calls, not parsed."""

    def __init__(self, path: str, cut: Skeleton, facts: FileFacts) -> None:
        self.path = path
        self.cut = cut
        self.code = cut.code
        self.compact = CompactText(cut.text)
        self.base = self.base_line = 0  # where the text that is parsed begins in the file
        self.facts = facts

    def run(self) -> None:
        self._macros()
        self.facts.symbols += assembly_constants(self.path, self.code)
        self.facts.symbols += assembly_macros(self.path, self.cut.all_code)
        self._old_style_functions()
        add_made_symbols(self.path, self.cut, self.facts, extract)
        if self.cut.text:
            self._macro_calls()
            root = parse_compact(self.compact.text).root_node
            self._declarations(root)
            self._alternative_heads()
            self.facts.assignments += assignments(self.path, self.compact, root)
            for start, text in self.cut.initialising:
                body = CompactText(text)
                lines = self.code.count(b"\n", 0, start)
                self.facts.assignments += assignments(
                    self.path, body, parse_compact(body.text).root_node, start, lines
                )
            self._local_records()
        self._sort()

    # -- preprocessor ---------------------------------------------------------------------------

    def _macros(self) -> None:
        path, macro, flags = self.path, Kind.MACRO, (_NO_FLAGS, Flag.FUNCTION_LIKE)
        self.facts.symbols += [
            Symbol(name.decode(), macro, path, line, at, start, end, "", flags[function_like])
            for name, at, start, end, function_like, line in self.cut.macros
        ]
        # A tree has millions of these: creating plain tuples saves a call for each.
        append, new, plain = self.facts.symbols.append, tuple.__new__, _NO_FLAGS
        for start, line, text in self.cut.tables:
            for number, row in enumerate(text.split(b"\n"), line):
                end = start + len(row)
                if row[:1] == b"#":
                    name = row.split(None, 2)[1]
                    at = start + row.find(name, 8)
                    append(new(Symbol, (name.decode(), macro, path, number, at, start, end, "", plain)))
                start = end + 1

    def _macro_calls(self) -> None:
        line = seen = 0
        for call in self.cut.calls:
            line += self.code.count(b"\n", seen, call.start)
            seen = call.start
            idiom = idiom_of(_text(call.name))
            if idiom is None:
                continue
            argument = self._argument(call, idiom.argument)
            if argument is None:
                continue
            name, at = argument
            scope = ""
            if idiom.kind is Kind.EXPORT:
                scope = self._export_kind(call)
            elif idiom.kind is Kind.INITCALL:
                scope = _text(call.name)
            end = call.body[1] if call.body else call.end
            flags = idiom.flags | _flags_in(self.code[call.start : call.arguments])
            if idiom.kind in (Kind.SYSCALL, Kind.FUNCTION) and not call.body:
                continue
            name_line = line + self.code.count(b"\n", call.start, at)
            for template in idiom.names:
                made = template.format(name)
                if not made.isidentifier():  # a number, not ``TRACE_EVENT(802154_resume, …)``
                    continue
                symbol = Symbol(made, idiom.kind, self.path, name_line, at, call.start, end, scope, flags)
                if call.body:
                    self._function(symbol, call.body)
                else:
                    self.facts.symbols.append(symbol)
            if idiom.uses:
                self._functions_used(call, idiom, idiom.names[0].format(name), line)

    def _functions_used(self, call: MacroCall, idiom: Idiom, table: str, call_line: int) -> None:
        """The functions that a macro takes by pasting their names: DEVICE_ATTR_RO(gain) takes gain_show."""
        for using in idiom.uses:
            if argument := self._argument(call, using.argument):
                word, at = argument
                line = call_line + self.code.count(b"\n", call.start, at)
                function = using.template.format(word)
                self.facts.assignments.append(
                    Assignment(using.struct, using.member, function, table, self.path, at, line)
                )

    def _argument(self, call: MacroCall, number: int) -> tuple[str, int] | None:
        """The identifier that begins argument ``number`` of a call, and its offset; None if there is none."""
        start = call.arguments
        for _ in range(number):
            comma = self.code.find(b",", start, call.end)
            if comma < 0:
                return None
            start = comma + 1
        match = _ARGUMENT.match(self.code, start, call.end)
        return (_text(match[1]), match.start(1)) if match else None

    def _export_kind(self, call: MacroCall) -> str:
        macro = _text(call.name)
        if "_NS" in macro and (namespace := _NAMESPACE.search(self.code, call.arguments, call.end)):
            return f"{macro}:{_text(namespace[1])}"
        return macro

    # -- declarations ---------------------------------------------------------------------------

    def _declarations(self, root: Node) -> None:
        stack = [root]
        while stack:
            for node in stack.pop().named_children:
                kind = node.type
                if kind == "function_definition":
                    self._function_definition(node)
                elif kind == "declaration":
                    self._declaration(node)
                elif kind == "type_definition":
                    self._typedef(node)
                elif kind in _RECORDS:
                    self._record(node, "")
                elif kind in _CONTAINERS:
                    stack.append(node)

    def _text(self, node: Node) -> str:
        return _text(self.compact.text[node.start_byte : node.end_byte])

    def _flags(self, start: Node, end: Node) -> Flag:
        return _flags_in(self.compact.text[start.start_byte : end.start_byte])

    def _add(self, name: Node, kind: Kind, extent: Node, scope: str = "", flags: Flag = _NO_FLAGS) -> None:
        compact, name_start = self.compact, name.start_byte
        text = _text(compact.text[name_start : name.end_byte])
        if not text or text in _NOT_NAMES:
            return
        at, line, start, end = compact.extent(
            name_start, name.start_point.row, extent.start_byte, extent.end_byte
        )
        base = self.base
        self.facts.symbols.append(
            Symbol(text, kind, self.path, line + self.base_line, at + base, start + base, end + base, scope, flags)
        )

    def _function_definition(self, node: Node) -> None:
        found = declared_name(node.child_by_field_name("declarator"))
        body = node.child_by_field_name("body")
        if kind := node.child_by_field_name("type"):
            self._specifier(kind, "")
        if found is None or body is None:
            return
        name, _ = found
        compact, text = self.compact, self._text(name)
        if text in _NOT_NAMES or not compact.text.startswith(b"{", body.start_byte):
            return
        start, opening, end = compact.start(node.start_byte), compact.start(body.start_byte), compact.end(node.end_byte)
        at, line = compact.place(name.start_byte, name.start_point.row)
        if text.isupper() and (argument := _NAME_BY_MACRO.match(self.code, at)):  # ``FNAME(walk)(int a)``
            text, at = _text(argument[1]), argument.start(1)
        symbol_kind, flags = Kind.FUNCTION, self._flags(node, body)
        if definer := _DEFINER.match(self.code, start):
            if b"SYSCALL" in definer[1]:
                symbol_kind = Kind.SYSCALL
                text = ("compat_sys_" if definer[1].startswith(b"COMPAT") else "sys_") + text
            flags |= Flag.IDIOM
        if has_record(compact.text, body.start_byte, body.end_byte):
            self.cut.local_records.append((opening, self.code[opening:end]))
        symbol = Symbol(text, symbol_kind, self.path, line, at, start, end, "", flags)
        self._function(symbol, (opening, end))

    def _function(self, symbol: Symbol, body: tuple[int, int]) -> None:
        """Add a function and the calls in its body."""
        called = callees(self.code[body[0] : body[1]])
        if may_sleep(called):
            symbol = symbol._replace(flags=symbol.flags | Flag.MAY_SLEEP)
        caller = len(self.facts.symbols)
        self.facts.symbols.append(symbol)
        self.facts.calls += [(caller, callee.decode()) for callee in sorted(called)]

    def _declaration(self, node: Node) -> None:
        specifier = node.child_by_field_name("type")
        declarators = node.children_by_field_name("declarator")
        if specifier:
            owner = ""
            if declarators and (first := declared_name(declarators[0])):
                owner = self._text(first[0])
            self._specifier(specifier, owner)
        if not declarators:
            return
        flags = self._flags(node, declarators[0])
        extern = b"extern" in self.compact.text[node.start_byte : declarators[0].start_byte]
        for declarator in declarators:
            found = declared_name(declarator)
            if found is None:
                continue
            name, is_function = found
            if is_function:
                self._add(name, Kind.PROTOTYPE, node, flags=flags)
            else:
                self._add(name, Kind.DECLARATION if extern else Kind.VARIABLE, node, flags=flags)

    def _typedef(self, node: Node) -> None:
        declarators = node.children_by_field_name("declarator")
        names = [found[0] for found in map(declared_name, declarators) if found]
        if specifier := node.child_by_field_name("type"):
            self._specifier(specifier, self._text(names[0]) if names else "")
        for name in names:
            self._add(name, Kind.TYPEDEF, node)

    def _specifier(self, node: Node, owner: str) -> None:
        if node.type in _RECORDS:
            self._record(node, owner)

    def _record(self, node: Node, owner: str) -> None:
        """Add a struct, union or enum that has a body, and all members. ``owner`` names an anonymous one."""
        work = [(node, owner)]
        while work:
            record, outer = work.pop()
            body = record.child_by_field_name("body")
            if body is None:
                continue
            kind = _RECORDS[record.type]
            name = record.child_by_field_name("name")
            scope = self._text(name) if name else outer
            if name:
                self._add(name, kind, record)
            if kind is Kind.ENUM:
                self._enumerators(body, scope)
            else:
                work.extend(self._members(body, scope))

    def _enumerators(self, body: Node, scope: str) -> None:
        stack = [body]
        while stack:
            for child in stack.pop().named_children:
                if child.type == "enumerator":
                    if name := child.child_by_field_name("name"):
                        self._add(name, Kind.ENUMERATOR, child, scope)
                elif child.type in _CONTAINERS:
                    stack.append(child)

    def _members(self, body: Node, scope: str) -> list[tuple[Node, str]]:
        nested: list[tuple[Node, str]] = []
        stack = [body]
        while stack:
            for child in stack.pop().named_children:
                if child.type == "field_declaration":
                    names = []
                    for declarator in child.children_by_field_name("declarator"):
                        if found := declared_name(declarator):
                            names.append(found[0])
                            self._add(found[0], Kind.MEMBER, child, scope)
                    inner = child.child_by_field_name("type")
                    if inner and inner.type in _RECORDS:
                        # members of an anonymous struct belong to the enclosing struct, members of a
                        # named member's anonymous type to "outer.member"
                        inside = scope
                        if names:
                            inside = f"{scope}.{self._text(names[0])}"
                        nested.append((inner, inside))
                elif child.type in _RECORDS:
                    nested.append((child, scope))
                elif child.type in _CONTAINERS or child.type == "field_declaration_list":
                    stack.append(child)
        return nested

    def _old_style_functions(self) -> None:
        for name_start, name_end, start, body in self.cut.old_style:
            line = self.code.count(b"\n", 0, name_start)
            name, flags = _text(self.code[name_start:name_end]), _flags_in(self.code[start:name_start])
            symbol = Symbol(name, Kind.FUNCTION, self.path, line, name_start, start, body[1], "", flags)
            self._function(symbol, body)

    def _local_records(self) -> None:
        """Add the structs, unions and enums with a tag that function bodies define."""
        for start, text in self.cut.local_records:
            self.base, self.base_line = start, self.code.count(b"\n", 0, start)
            self.compact = CompactText(text)
            stack = [parse_compact(self.compact.text).root_node]
            while stack:
                for node in stack.pop().named_children:
                    if node.type in _RECORDS and node.child_by_field_name("name"):
                        self._record(node, "")
                    elif node.type in _LOCAL_HOLDERS or node.type.endswith("_statement"):
                        stack.append(node)

    def _alternative_heads(self) -> None:
        """Add the functions and records whose body has another head too."""
        symbols, calls = self.facts.symbols, self.facts.calls
        for name_start, name_end, start, group_end in self.cut.heads:
            around = [
                (symbol.end - symbol.start, at)
                for at, symbol in enumerate(symbols)
                if symbol.kind in _WITH_BODY and symbol.start < group_end < symbol.end
            ]
            if not around:
                continue
            at = min(around)[1]
            line, name = self.code.count(b"\n", 0, name_start), _text(self.code[name_start:name_end])
            symbols.append(symbols[at]._replace(name=name, line=line, name_start=name_start, start=start))
            if (at, name) in calls:  # the other head, inside the body
                calls.remove((at, name))
            calls += [(len(symbols) - 1, callee) for caller, callee in calls if caller == at]

    # -- order ----------------------------------------------------------------------------------

    def _sort(self) -> None:
        """Sort symbols by position, and renumber the callers, so that the order is deterministic."""
        symbols = self.facts.symbols
        self.facts.assignments.sort(key=attrgetter("start"))
        if not self.cut.text:  # only macros
            symbols.sort(key=itemgetter(4))
            return
        order = sorted(range(len(symbols)), key=lambda i: (symbols[i].name_start, symbols[i].kind, symbols[i].name))
        self.facts.symbols = [symbols[i] for i in order]
        if self.facts.calls:
            place = {old: new for new, old in enumerate(order)}
            self.facts.calls = sorted((place[caller], callee) for caller, callee in self.facts.calls)


def _flags_in(text: bytes) -> Flag:
    found = _FLAG_BYTES.findall(text)
    return _flags_of(tuple(found)) if found else _NO_FLAGS


@lru_cache(maxsize=1024)
def _flags_of(words: tuple[bytes, ...]) -> Flag:
    flags = Flag(0)
    for word in words:
        flags |= _FLAGS[word]
    return flags
