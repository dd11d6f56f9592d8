"""The type of an expression, and the members of a type.

Read from tokens and from the declarations that the view finds by name. A type that is not certain is None, never a
guess. The number of look-ups for a request is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from kexpert.core.c.declarators import (
    PRIMITIVE,
    QUALIFIERS,
    RECORDS,
    TAGGED,
    Body,
    CType,
    read_declaration,
    read_parameter,
)  # fmt: skip
from kexpert.core.c.expression_tokens import PREFIX, cast_end, operators_of, starts_type
from kexpert.core.c.macro_text import Macro, parse_macro
from kexpert.core.c.macro_types import macro_type
from kexpert.core.c.scope import Local, block_locals, locals_at
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.features.semantics.declaring_macros import local_by_macro
from kexpert.features.semantics.definition_ranking import can_mean, rank_definitions
from kexpert.features.semantics.lookups import Lookups
from kexpert.features.semantics.made_declaration import made_declaration
from kexpert.features.semantics.records import Member, members_of
from kexpert.features.semantics.variant_states import Place
from kexpert.view import View

_MAX_DEPTH = 24
_MAX_LOOKUPS = 60
_MAX_EXPANSION = 8000  # bytes of a macro
_MAX_HEADER_BYTES = 2000
_MAX_VARIANTS = 4
_MAX_TYPEDEFS = 6

VALUES = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.MACRO, Kind.VARIABLE, Kind.DECLARATION, Kind.ENUMERATOR, Kind.SYSCALL)

#: Calls whose value is a pointer to the type that is this argument.
_POINTER_TO_ARGUMENT = dict.fromkeys(
    ("container_of", "container_of_const", "list_entry", "list_first_entry", "list_last_entry", "list_entry_rcu",
     "list_first_entry_or_null", "list_first_or_null_rcu", "list_entry_lockless", "hlist_entry", "hlist_entry_safe",
     "rb_entry", "rb_entry_safe", "llist_entry", "skb_rb_entry", "container_of_safe"), 1,
)  # fmt: skip
#: Calls whose value has the type of this argument.
_LIKE_ARGUMENT = dict.fromkeys(
    ("READ_ONCE", "WRITE_ONCE", "ACCESS_ONCE", "READ_ONCE_NOCHECK", "rcu_dereference", "rcu_dereference_check",
     "rcu_dereference_protected", "rcu_dereference_raw", "rcu_dereference_bh", "rcu_dereference_sched",
     "rcu_access_pointer", "rcu_assign_pointer", "srcu_dereference", "rtnl_dereference", "rcu_pointer_handoff",
     "this_cpu_ptr", "raw_cpu_ptr", "per_cpu_ptr", "get_cpu_ptr", "per_cpu", "this_cpu_read", "this_cpu_read_stable",
     "raw_cpu_read", "get_cpu_var", "min", "max", "min3", "max3", "clamp", "min_not_zero", "abs", "round_up",
     "round_down", "roundup", "rounddown", "ALIGN", "PTR_ALIGN", "DIV_ROUND_UP", "likely", "unlikely", "swap",
     "list_next_entry", "list_prev_entry", "array_index_nospec", "no_free_ptr", "__force_cast"), 0,
)  # fmt: skip
#: Calls whose value is the target of this argument.
_TARGET_OF_ARGUMENT = dict.fromkeys(
    ("smp_load_acquire", "smp_store_release", "xchg", "cmpxchg", "cmpxchg_relaxed", "xchg_relaxed", "get_unaligned"), 0,
)  # fmt: skip
#: Calls whose value has the type that is this argument.
_TYPE_ARGUMENT = {"min_t": 0, "max_t": 0, "clamp_t": 0, "va_arg": 1, "__builtin_va_arg": 1}
_VOID_POINTER = frozenset(
    {"kmalloc", "kzalloc", "kcalloc", "kmalloc_array", "kvmalloc", "kvzalloc", "kvcalloc", "kvmalloc_array",
     "kmalloc_node", "kzalloc_node", "krealloc", "kmemdup", "vmalloc", "vzalloc", "devm_kzalloc", "devm_kmalloc",
     "devm_kcalloc", "devm_kmalloc_array", "kmem_cache_alloc", "kmem_cache_zalloc", "ERR_PTR", "ERR_CAST"}
)  # fmt: skip
_BUILT_IN = {
    "current": CType("struct task_struct", ("*",)),
    "NULL": CType("void", ("*",)),
    "__func__": CType("const char", ("[]",)),
    "jiffies": CType("unsigned long"),
    "true": CType("bool"),
    "false": CType("bool"),
}
_DEFINE = re.compile(r"\s*#\s*define\s+\w+(?:\(([^)]*)\))?((?:.|\n)*)")

_ASSIGN = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="})
_LOGIC = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||"})
_INT = CType("int")
_UNTYPED = CType("")

Scope = Callable[[str], CType | None]


class Types:
    """Type inference for a request. An instance keeps what it looked up."""

    def __init__(
        self,
        view: View,
        source: Source,
        local_types: dict[int, dict[str, CType]] | None = None,
        known: Lookups | None = None,
    ) -> None:
        """``local_types``: what is known already of the locals that can be named at an offset. ``known``: what other
        questions looked up in the same view."""
        self.view = view
        self.source = source
        self._local_types = dict(local_types or {})
        self.known = known or Lookups(view)
        self._ranked: dict[tuple[str, tuple[Kind, ...], int], list[Symbol]] = {}
        self._lookups = 0
        self._offset = -1  # of the expression
        self._depth = 0
        self._untyped: Iterable[str] = ()
        self._names: dict[str, CType | None] = {}
        self._owners: dict[Body, str] = {}  # of records without a tag: "struct outer.member"

    # -- expressions ---------------------------------------------------------------------------

    def at(self, tokens: Tokens, start: int, stop: int, offset: int) -> CType | None:
        """The type of ``tokens[start:stop]``, an expression at ``offset`` in the source."""
        self._offset = offset
        return self.expression(tokens, start, stop, self.scope_at(offset))

    def scope_at(self, offset: int) -> Scope:
        """The types of the locals that can be named at an offset."""
        if offset not in self._local_types:
            visible = (local for local in locals_at(self.source, offset) if local.kind != "label")
            types = {local.name: local.type for local in visible}
            self._local_types[offset] = types | dict.fromkeys(self._untyped, _UNTYPED)
        return self._local_types[offset].get

    def expression(self, tokens: Tokens, start: int, stop: int, scope: Scope) -> CType | None:
        if start >= stop or self._depth >= _MAX_DEPTH:
            return None
        self._depth += 1
        try:
            return self._expression(tokens, start, stop, scope)
        finally:
            self._depth -= 1

    def _expression(self, tokens: Tokens, start: int, stop: int, scope: Scope) -> CType | None:
        operators = operators_of(tokens, start, stop)
        if not operators:
            return self._unary(tokens, start, stop, scope)
        texts = [tokens[at] for at in operators]
        if "," in texts:
            return self.expression(tokens, operators[len(texts) - 1 - texts[::-1].index(",")] + 1, stop, scope)
        for at, text in zip(operators, texts, strict=True):
            if text in _ASSIGN:
                return self.expression(tokens, start, at, scope)
        if "?" in texts:
            return self._conditional(tokens, operators[texts.index("?")], operators, start, stop, scope)
        if not _LOGIC.isdisjoint(texts):
            return _INT
        first: CType | None = None
        for begin, end in zip((start, *(at + 1 for at in operators)), (*operators, stop), strict=True):
            found = self.expression(tokens, begin, end, scope)
            if found is not None and found.derived:
                return found
            first = first or found
        return first

    def _conditional(
        self, tokens: Tokens, question: int, operators: list[int], start: int, stop: int, scope: Scope
    ) -> CType | None:
        colons = [at for at in operators if tokens[at] == ":" and at > question]
        colon = colons[0] if colons else stop
        # ``a ?: b`` gives ``a``
        begin, end = (start, question) if colon == question + 1 else (question + 1, colon)
        found = self.expression(tokens, begin, end, scope)
        if found is None or found.name == "void":
            found = self.expression(tokens, colon + 1, stop, scope) or found
        return found

    def _unary(self, tokens: Tokens, start: int, stop: int, scope: Scope) -> CType | None:
        text = tokens[start]
        if text in PREFIX:
            inner = self.expression(tokens, start + 1, stop, scope) if text != "!" else _INT
            if inner is None or text == "&&":
                return None
            if text == "*":
                return self._target(inner)
            return inner.pointer() if text == "&" else inner
        if text in ("sizeof", "offsetof", "__alignof__"):
            return CType("unsigned long")
        cast = cast_end(tokens, start, stop)
        if cast and tokens[cast] != "{":
            return self._type(tokens, start + 1, cast - 1, scope)
        return self._postfix(tokens, start, stop, scope)

    def _postfix(self, tokens: Tokens, start: int, stop: int, scope: Scope) -> CType | None:
        found, at = self._primary(tokens, start, stop, scope)
        while found is not None and at < stop:
            text = tokens[at]
            if text in (".", "->"):
                member = self.member(found, tokens[at + 1])
                found, at = (member.type if member else None), at + 2
            elif text == "[":
                found, at = self._target(found), tokens.past(at)
            elif text == "(":
                found, at = self._called(found), tokens.past(at)
            else:
                at += 1
        return found

    def _primary(self, tokens: Tokens, start: int, stop: int, scope: Scope) -> tuple[CType | None, int]:
        text = tokens[start]
        if text == "(":
            past = min(tokens.past(start), stop)
            if tokens[past] == "{" and past < stop:
                return self._type(tokens, start + 1, past - 1, scope), tokens.past(past)
            inside = past - 1 if tokens.partner(start) == past - 1 else past
            if tokens[start + 1] == "{":
                return self._block_value(tokens, start + 1, scope), past
            return self.expression(tokens, start + 1, inside, scope), past
        if tokens.is_word(start):
            if tokens[start + 1] == "(" and start + 1 < stop:
                return self._call(tokens, start, scope), min(tokens.past(start + 1), stop)
            return self.name(text, scope), start + 1
        if text[:1] == '"':
            return CType("char", ("*",)), start + 1
        return (_INT if text[:1].isdigit() or text[:1] == "'" else None), start + 1

    def _block_value(self, tokens: Tokens, brace: int, scope: Scope) -> CType | None:
        """The type of ``({ …; x; })``, which is that of its last statement."""
        close = tokens.partner(brace)
        if close < 0:
            return None
        inner = {local.name: local.type for local in block_locals(tokens, brace)}
        begin = end = close - 1 if tokens[close - 1] == ";" else close
        while begin > brace + 1 and tokens[begin - 1] not in (";", "{"):
            begin = tokens.partner(begin - 1) if tokens[begin - 1] in (")", "]", "}") else begin - 1
            if begin < 0:
                return None

        def both(name: str) -> CType | None:
            found = inner.get(name)
            if found and found.base.startswith(("typeof", "__auto_type")):
                return self.plain(found, scope)
            return found or scope(name)

        return self.expression(tokens, begin, end, both)

    # -- names and calls -----------------------------------------------------------------------

    def name(self, name: str, scope: Scope) -> CType | None:
        found = scope(name)
        if found is not None:
            return self.plain(found, scope)
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        if name not in self._names:
            self._names[name] = None  # a macro that names itself
            local = self.local_by_macro(name, self._offset) if self._offset >= 0 else None
            self._names[name] = self.plain(local.type, scope) if local else self._global(name, scope)
        return self._names[name]

    def local_by_macro(self, name: str, offset: int) -> Local | None:
        """The local of a name that a macro of another file declares above an offset."""
        return local_by_macro(self.source, name, offset, self._macro)

    def _global(self, name: str, scope: Scope) -> CType | None:
        for symbol in self.lookup(name, VALUES)[:_MAX_VARIANTS]:
            if not can_mean(symbol, self.source, self.view.configuration.arch):
                continue
            if symbol.kind is Kind.MACRO:
                found = None if symbol.flags & Flag.FUNCTION_LIKE else self._expanded(symbol, [], scope)
            else:
                found = self.declared(symbol)
            if found is not None:
                return found
        return None

    def _call(self, tokens: Tokens, at: int, scope: Scope) -> CType | None:
        name = tokens[at]
        arguments = tokens.commas(at + 2, tokens.past(at + 1) - 1)
        if name in _VOID_POINTER:
            return CType("void", ("*",))
        index = _POINTER_TO_ARGUMENT.get(name)
        if index is not None:
            found = self._type(tokens, *arguments[index], scope) if index < len(arguments) else None
            return found.pointer() if found else None
        index = _TYPE_ARGUMENT.get(name)
        if index is not None:
            return self._type(tokens, *arguments[index], scope) if index < len(arguments) else None
        index = _LIKE_ARGUMENT.get(name, _TARGET_OF_ARGUMENT.get(name))
        if index is not None:
            found = self.expression(tokens, *arguments[index], scope) if index < len(arguments) else None
            return self._target(found) if found and name in _TARGET_OF_ARGUMENT else found
        local = scope(name)
        if local is not None:
            return self._called(self.plain(local, scope))
        for symbol in self.lookup(name, VALUES)[:_MAX_VARIANTS]:
            if symbol.kind is Kind.MACRO:
                found = self._expanded(symbol, [tokens.join(*argument) for argument in arguments], scope)
            elif symbol.kind is Kind.SYSCALL:
                found = CType("long")
            else:
                found = self.declared(symbol)
                found = self._called(found) if found else None
            if found is not None:
                return found
        return None

    def _called(self, function: CType) -> CType | None:
        return function.returned() or self.resolved(function).returned()

    def _target(self, pointer: CType) -> CType | None:
        return pointer.target() or self.resolved(pointer).target()

    def _expanded(self, macro: Symbol, arguments: list[str], scope: Scope) -> CType | None:
        match = _DEFINE.match(self.view.text(macro)[:_MAX_EXPANSION].decode("latin-1"))
        if match is None:
            return None
        body = Tokens(match[2].replace("\\\r\n", " ").replace("\\\n", " ").encode("latin-1"))
        names = [name.strip() for name in match[1].split(",")] if match[1] is not None else []
        text = _substituted(body, names, arguments)
        if not text or len(text) > _MAX_EXPANSION:
            return None
        expanded = Tokens(text.encode("latin-1", "replace"))
        return self.expression(expanded, 0, len(expanded), scope)

    # -- declarations --------------------------------------------------------------------------

    def lookup(self, name: str, kinds: tuple[Kind, ...]) -> list[Symbol]:
        """Ranked definitions; none after ``_MAX_LOOKUPS`` look-ups."""
        key = name, kinds, self._offset
        found = self._ranked.get(key)
        if found is None:
            if self._lookups >= _MAX_LOOKUPS or not name:
                return []
            self._lookups += 1
            found = rank_definitions(self.view, self.known.rows(name, kinds), self.source, self._offset)
            self._ranked[key] = found
        return found

    def begin(self, offset: int, untyped: Iterable[str] = ()) -> None:
        """Go on with another place in the same text: it has its own budget of look-ups, and its own locals.

        ``untyped``: names that hide others and whose type is not known, as those of a macro's parameters.
        """
        self._offset = offset
        self._untyped = untyped
        self._lookups = 0
        self._names.clear()
        self._ranked.clear()
        self._local_types.clear()

    def declared(self, symbol: Symbol) -> CType | None:
        """The type that a symbol's own declaration gives it."""
        return self.known.declared(symbol, self._declared)

    def _declared(self, symbol: Symbol) -> CType | None:
        if symbol.kind is Kind.ENUMERATOR:
            return CType(f"enum {symbol.scope}".rstrip())
        end = _MAX_HEADER_BYTES + max(symbol.name_start - symbol.start, 0)
        tokens = Tokens(self.view.text(symbol)[:end], base=symbol.start)
        if symbol.flags & Flag.IDIOM:
            if found := macro_type(tokens):
                return found
            tokens = Tokens(made_declaration(self.view, symbol).encode("latin-1", "replace"))
        declaration = read_declaration(tokens, 0, symbol.path)
        for declared in declaration.declared if declaration else ():
            if declared.name == symbol.name:
                return declared.type
        return None

    def _type(self, tokens: Tokens, start: int, stop: int, scope: Scope) -> CType | None:
        declared = read_parameter(tokens, start, stop, self.source.path)
        return self.plain(declared.type, scope) if declared else None

    def plain(self, of: CType, scope: Scope) -> CType:
        """A type without ``typeof(…)``."""
        if not of.base.startswith("typeof("):
            return of
        tokens = Tokens(of.base[7:-1].encode("latin-1", "replace"))
        if starts_type(tokens, 0):
            found = self._type(tokens, 0, len(tokens), scope)
        else:
            found = self.expression(tokens, 0, len(tokens), scope)
        return replace(found, derived=(*of.derived, *found.derived)) if found else of

    def resolved(self, of: CType) -> CType:
        """A type with its typedefs followed."""
        for _ in range(_MAX_TYPEDEFS):
            if of.body or of.keyword or not of.name.isidentifier() or of.name in PRIMITIVE:
                break
            below = next(filter(None, map(self.declared, self.lookup(of.name, (Kind.TYPEDEF,))[:_MAX_VARIANTS])), None)
            if below is None or (below.base == of.base and not below.derived):
                break
            of = replace(below, derived=(*of.derived, *below.derived))
        return of

    # -- members -------------------------------------------------------------------------------

    def member(self, of: CType, name: str) -> Member | None:
        named = tuple(member for member in self._all_members(of) if member.name == name)
        found = next(iter(self._compiled(named)), None)
        if found and found.type.body and not found.type.tag:
            self._owners[found.type.body] = f"{found.struct}.{found.name}"
        return found

    def members(self, of: CType) -> tuple[Member, ...]:
        """Members of the struct or union that a type is or points to; in order, anonymous records flattened."""
        return self._compiled(self._all_members(of))

    def _all_members(self, of: CType) -> tuple[Member, ...]:
        """The members of all variants under ``#if``."""
        of = self.resolved(of)
        if of.keyword not in RECORDS:
            return ()
        if of.body:
            path, start, end = of.body
            text = self._text(path, start, end)
            return members_of(text, path, start, self._owners.get(of.body, of.name))
        for symbol in self.records(of.tag):
            found = self.known.members(symbol, of.name, self._macro)
            if found:
                return found
        return ()

    def _macro(self, name: str) -> Macro | None:
        macro = next(iter(self.lookup(name, (Kind.MACRO,))), None)
        return parse_macro(self.view.text(macro)) if macro else None

    def records(self, tag: str) -> list[Symbol]:
        """The definitions of a struct or union, best first; also of a tag that is a macro for another tag."""
        found = self.lookup(tag, (Kind.STRUCT, Kind.UNION))
        if found or not tag:
            return found
        for macro in self.lookup(tag, (Kind.MACRO,))[:1]:
            match = _DEFINE.match(self.view.text(macro)[:_MAX_EXPANSION].decode("latin-1"))
            other = match[2].strip() if match and match[1] is None else ""
            return self.lookup(other, (Kind.STRUCT, Kind.UNION)) if other.isidentifier() else []
        return []

    def _compiled(self, members: tuple[Member, ...]) -> tuple[Member, ...]:
        """One member of each name: of variants under ``#if`` the first that the configuration compiles."""
        chosen: dict[str, Member] = {}
        for member in members:
            held = chosen.get(member.name)
            if held is None or (self.is_excluded(held) and not self.is_excluded(member)):
                chosen[member.name] = member
        return members if len(chosen) == len(members) else tuple(chosen.values())

    def is_excluded(self, member: Member) -> bool:
        """True if the configuration leaves a member out of its struct."""
        place = Place.at(self.view, self.source, self._offset)
        return place.configuration.is_decided and place.is_excluded(member.path, member.start)

    def _text(self, path: str, start: int, end: int) -> bytes:
        if path == self.source.path:
            return self.source.data[start:end]
        return self.view.text(Symbol("", Kind.STRUCT, path, 0, start, start, end))


def _substituted(body: Tokens, names: list[str], arguments: list[str]) -> str:
    """A macro's body with arguments in place of parameters; ``##`` joins its neighbours."""
    values = dict(zip(names, arguments, strict=False))
    if names and names[-1].endswith("..."):
        rest = ", ".join(arguments[len(names) - 1 :])
        values[names[-1].removesuffix("...").strip() or "__VA_ARGS__"] = rest
    pieces: list[str] = []
    for at in range(len(body)):
        text = body[at]
        if text == "##":
            continue
        value = values.get(text)
        if value is not None and not value.isidentifier() and value.partition(" ")[0] not in TAGGED:
            value = value if _is_plain_type(value) else f"({value})"
        piece = text if value is None else value
        if pieces and body[at - 1] != "##":
            piece = " " + piece
        pieces.append(piece)
    return "".join(pieces)


def _is_plain_type(text: str) -> bool:
    """True for an argument that is a type, which must not be put in parentheses."""
    first = re.match(r"\w+", text)
    return first is not None and (first[0] in PRIMITIVE or first[0] in QUALIFIERS)
