"""A parser of declarations over tokens: the declared names and their types.

It reads locals, parameters, members, globals and return types alike. It accepts the kernel's annotations
(``__user``, ``__free(kfree)``, ``noinline`` anywhere) and stops without an error at unknown syntax.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from kexpert.core.c.tokens import Tokens

RECORDS = frozenset({"struct", "union"})
TAGGED = RECORDS | {"enum"}
PRIMITIVE = frozenset(
    {"void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "_Bool", "__signed__",
     "__int128"}
)  # fmt: skip
QUALIFIERS = frozenset({"const", "volatile", "restrict", "__restrict", "__restrict__", "__volatile__", "__const"})
STORAGE = frozenset(
    {"static", "extern", "typedef", "register", "auto", "inline", "__inline", "__inline__", "__always_inline",
     "noinline", "noinline_for_stack", "asmlinkage", "notrace", "noinstr", "fastcall", "_Thread_local", "__extension__"}
)  # fmt: skip
TYPEOF = frozenset({"typeof", "__typeof__", "__typeof", "typeof_unqual", "__typeof_unqual__"})

_DUNDER = re.compile(r"__\w+|____cacheline\w*|_*noreturn\w*|asm", re.A)
_DUNDER_TYPE = re.compile(r"__(?:u|s|le|be|fs|virtio|hc|kernel|aligned_)\w*\d+|__\w+_t|__wsum|__sum16|__auto_type|"
                          r"__builtin_va_list", re.A)  # fmt: skip
_PLAIN_ANNOTATION = re.compile(
    r"__(?:(?:maybe|always)_unused|unused|user|iomem|rcu|percpu|force|kernel|free|aligned|packed|attribute__|"
    r"initdata|ro_after_init|read_mostly|randomize_layout|counted_by|guarded_by|bitwise|private|nonstring|section)",
    re.A,
)
_VALUE_ENDS = PRIMITIVE | TAGGED | {",", ";", "}", ")", "static"}
_MAX_DEPTH = 8  # nested declarators


class Body(NamedTuple):
    """The byte range of the braces of a struct, union or enum that is defined inside a declaration."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CType:
    """A type: a base, and the derivations applied to it, outermost first.

    ``int (*f[4])(struct x *)`` has base "int" and is derived ``("[]", "*", "(struct x *)")``.
    """

    base: str  # "struct inode", "const char", "u32", "typeof(x)"; "struct" when it has no tag
    derived: tuple[str, ...] = ()
    body: Body | None = None

    @property
    def text(self) -> str:
        """The type in C syntax without a name: "struct inode *", "char []", "int (*)(struct x *)"."""
        inner = ""
        for step in self.derived:
            if inner.startswith("*") and step != "*":
                inner = f"({inner})"
            inner = "*" + inner if step == "*" else inner + step
        return f"{self.base} {inner}" if inner else self.base

    @property
    def name(self) -> str:
        """The base without ``const``: "struct inode", "u32"."""
        return self.base.removeprefix("const ")

    @property
    def keyword(self) -> str:
        """"struct", "union" or "enum" if the base is one, else ""."""
        first = self.name.partition(" ")[0]
        return first if first in TAGGED else ""

    @property
    def tag(self) -> str:
        """"inode" for "struct inode"; "" for anything else."""
        return self.name.partition(" ")[2] if self.keyword else ""

    def pointer(self) -> CType:
        """The type of ``&x``."""
        return replace(self, derived=("*", *self.derived))

    def target(self) -> CType | None:
        """The type of ``*x`` and ``x[0]``; None if that is an error. A function dereferences to itself, as in C."""
        if not self.derived:
            return None
        return self if self.derived[0].startswith("(") else replace(self, derived=self.derived[1:])

    def returned(self) -> CType | None:
        """The return type of a function or a function pointer; None for any other type."""
        derived = self.derived[1:] if self.derived[:1] == ("*",) else self.derived
        return replace(self, derived=derived[1:]) if derived and derived[0].startswith("(") else None


@dataclass(frozen=True, slots=True)
class Declarator:
    """One declarator. Positions are token indices."""

    name: str  # "" for an abstract declarator
    at: int  # of the name; -1 without a name
    derived: tuple[str, ...]
    parameters: tuple[int, int] | None  # the parentheses that follow the name
    next: int  # the first token after the declarator


@dataclass(frozen=True, slots=True)
class Specifiers:
    """The part of a declaration before its declarators. ``next`` is the first token after it."""

    type: CType
    storage: frozenset[str]
    next: int


@dataclass(frozen=True, slots=True)
class Declared:
    """A name with its type. ``start`` and ``end`` are the byte range of the whole declaration."""

    name: str
    type: CType
    name_start: int
    start: int
    end: int
    storage: frozenset[str]
    parameters: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration. ``declared`` is empty for a bare ``struct foo { … };``; ``declarators`` is their first token."""

    type: CType
    storage: frozenset[str]
    declared: list[Declared]
    declarators: int
    next: int


def is_annotation(word: str) -> bool:
    """Return True for a word that annotates a declaration and is no part of its type: ``__user``, ``__init``."""
    return _DUNDER.fullmatch(word) is not None and _DUNDER_TYPE.fullmatch(word) is None and word not in TYPEOF


def read_specifiers(tokens: Tokens, at: int, path: str = "") -> Specifiers | None:
    """Read the base type and storage class at ``at``; None if there is no type."""
    base: CType | None = None
    words: list[str] = []
    storage: set[str] = set()
    const = False
    while at < len(tokens):
        text = tokens[at]
        if text in QUALIFIERS:
            const |= text == "const"
        elif text in STORAGE:
            storage.add(text)
        elif text in PRIMITIVE:
            words.append(text)
        elif text in TAGGED:
            base, at = _tagged(tokens, at, path)
            continue
        elif text in TYPEOF and tokens[at + 1] == "(":
            stop = tokens.past(at + 1)
            base, at = CType(f"typeof({tokens.join(at + 2, stop - 1)})"), stop
            continue
        elif not tokens.is_word(at):
            break
        elif is_annotation(text) and (base or words or tokens.is_word(at + 1) or tokens[at + 1] == "("):
            if (base or words) and not _more_declaration(tokens, at):
                break
            at = _past_annotation(tokens, at)
            continue
        elif base or words:
            # skip an unknown word between type and declarator: ``struct foo NOISY *x``; but ``u32 x __unused`` has none
            follower = tokens[at + 1]
            if not tokens.is_word(at + 1) or is_annotation(follower) or follower in QUALIFIERS:
                break
        else:
            base = CType(text)
        at += 1
    if words:
        base = CType(" ".join(words))
    if base is None:
        return None
    return Specifiers(replace(base, base=f"const {base.base}") if const else base, frozenset(storage), at)


def _tagged(tokens: Tokens, at: int, path: str) -> tuple[CType, int]:
    """Read ``struct [attributes] [tag] [{ … }]``: the type and the token after it."""
    keyword, tag, body = tokens[at], "", None
    at = _past_annotations(tokens, at + 1)
    if tokens.is_word(at):
        tag, at = tokens[at], at + 1
    brace = at
    while tokens.is_word(brace) and is_annotation(tokens[brace]):
        brace = _past_annotation(tokens, brace)
    if tokens[brace] == "{":
        at = tokens.past(brace)
        body = Body(path, tokens.start(brace), tokens.stop(at - 1))
    return CType(f"{keyword} {tag}".rstrip(), body=body), at


def _more_declaration(tokens: Tokens, at: int) -> bool:
    """Return True if a word that looks like an annotation is one, not the declared name (``int __x;``)."""
    if _PLAIN_ANNOTATION.fullmatch(tokens[at]):
        return True
    after = _past_annotation(tokens, at)
    return tokens[after] == "*" or (tokens.is_word(after) and not _PLAIN_ANNOTATION.fullmatch(tokens[after]))


def _past_annotation(tokens: Tokens, at: int) -> int:
    return tokens.past(at + 1) if tokens[at + 1] == "(" else at + 1


def _past_annotations(tokens: Tokens, at: int) -> int:
    while tokens.is_word(at) and is_annotation(tokens[at]) and tokens[at + 1] != ";":
        at = _past_annotation(tokens, at)
    return at


def read_declarator(tokens: Tokens, at: int, path: str = "", depth: int = 0) -> Declarator:
    """Read a declarator, which may be abstract. Consumes no token if there is none."""
    pointers = 0
    while True:
        text = tokens[at]
        if text in ("*", "^"):
            pointers += 1
        elif text not in QUALIFIERS and not (
            tokens.is_word(at)
            and (_PLAIN_ANNOTATION.fullmatch(text) or (is_annotation(text) and _more_declaration(tokens, at)))
        ):
            break
        at += 1
    name, name_at = "", -1
    inner: tuple[str, ...] = ()
    parameters: tuple[int, int] | None = None
    if tokens.is_word(at):
        name, name_at, at = tokens[at], at, at + 1
    elif tokens[at] == "(" and depth < _MAX_DEPTH and _is_group(tokens, at):
        group = read_declarator(tokens, at + 1, path, depth + 1)
        name, name_at, inner, parameters = group.name, group.at, group.derived, group.parameters
        at = tokens.past(at)
    suffixes: list[str] = []
    while True:
        text = tokens[at]
        if text == "[":
            suffixes.append("[]")
            at = tokens.past(at)
        elif text == "(":
            stop = tokens.past(at)
            if parameters is None and name_at >= 0:
                parameters = (at, stop - 1)
            suffixes.append(f"({', '.join(_parameter_types(tokens, at, stop - 1, path, depth))})")
            at = stop
        elif tokens.is_word(at) and (is_annotation(text) or tokens[at + 1] == "("):
            at = _past_annotation(tokens, at)
        else:
            break
    return Declarator(name, name_at, (*inner, *suffixes, *("*",) * pointers), parameters, at)


def _is_group(tokens: Tokens, at: int) -> bool:
    following = tokens[at + 1]
    if following in ("*", "^", "(") or is_annotation(following):
        return True
    return tokens.is_word(at + 1) and tokens[at + 2] in (")", "[") and tokens[tokens.past(at)] == "("


def _parameter_types(tokens: Tokens, opening: int, closing: int, path: str, depth: int) -> list[str]:
    if depth >= _MAX_DEPTH:
        return []
    types = []
    for start, stop in tokens.commas(opening + 1, closing):
        parameter = read_parameter(tokens, start, stop, path, depth + 1)
        types.append(parameter.type.text if parameter else tokens.join(start, stop))
    return types


def read_parameter(tokens: Tokens, start: int, stop: int, path: str = "", depth: int = 0) -> Declared | None:
    """Read one parameter between two commas. A type without a name gets the name ""."""
    specifiers = read_specifiers(tokens, start, path)
    if specifiers is None or specifiers.next > stop:
        return None
    declarator = read_declarator(tokens, specifiers.next, path, depth)
    if specifiers.next == stop or declarator.next > stop:
        declarator = Declarator("", -1, (), None, stop)
    return _declared(tokens, specifiers, declarator, start, stop)


def read_declaration(tokens: Tokens, at: int, path: str = "") -> Declaration | None:
    """Read the declaration that begins at ``at``, up to its ``;`` or to the first token that cannot belong to it."""
    first = at
    specifiers = read_specifiers(tokens, at, path)
    if specifiers is None:
        return None
    at = specifiers.next
    found: list[tuple[Declarator, int]] = []
    while at < len(tokens):
        declarator = read_declarator(tokens, at, path)
        after = _past_value(tokens, declarator.next)
        if declarator.name:
            found.append((declarator, after))
        at = after
        if tokens[at] != ",":
            break
        at += 1
    if tokens[at] == ";":
        at += 1
    declared = [_declared(tokens, specifiers, declarator, first, after) for declarator, after in found]
    return Declaration(specifiers.type, specifiers.storage, declared, specifiers.next, max(at, first + 1))


def _past_value(tokens: Tokens, at: int) -> int:
    """Skip a bit width and an initialiser: the index of the ``,``, ``;`` or ``{`` after them."""
    if tokens[at] not in (":", "="):
        return at
    # a type here can only begin the next declaration, whose preceding ``;`` is not typed yet
    while at < len(tokens) and tokens[at] not in _VALUE_ENDS:
        at = tokens.past(at) if tokens[at] in ("(", "[", "{") else at + 1
    return at


def _declared(tokens: Tokens, specifiers: Specifiers, declarator: Declarator, first: int, stop: int) -> Declared:
    full_type = replace(specifiers.type, derived=(*declarator.derived, *specifiers.type.derived))
    if full_type.base == "__auto_type" and tokens[declarator.next] == "=":
        full_type = replace(full_type, base=f"typeof({tokens.join(declarator.next + 1, stop)})")
    return Declared(
        declarator.name, full_type, tokens.start(declarator.at) if declarator.at >= 0 else -1, tokens.start(first),
        tokens.stop(stop - 1), specifiers.storage, declarator.parameters,
    )  # fmt: skip


def read_type(text: str) -> CType | None:
    """Parse a type, "const struct foo *": the inverse of ``CType.text``."""
    tokens = Tokens(text.encode("latin-1", "replace"))
    declared = read_parameter(tokens, 0, len(tokens))
    return declared.type if declared else None
