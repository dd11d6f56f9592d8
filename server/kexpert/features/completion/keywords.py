"""Words of the language where they belong: what may begin a statement, a declaration, an expression or a type."""

from __future__ import annotations

from kexpert.core.symbols import Kind
from kexpert.features.completion.item import CompletionItem, CompletionRequest, ItemKind

_STATEMENTS = ("break", "case", "continue", "default", "do", "else", "for", "goto", "if", "return", "switch", "while")
_TYPES = ("char", "enum", "int", "long", "short", "signed", "struct", "union", "unsigned", "void")
_QUALIFIERS = ("const", "volatile")
_STORAGE = ("static", "extern", "typedef", "inline")
#: Types that the kernel uses as if they were the language's, and the values that every expression may have.
_TYPEDEFS = ("bool", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "size_t", "ssize_t")
_VALUES = ("NULL", "true", "false")
_HINTS = ("likely", "unlikely")
_BEFORE_STATEMENTS = frozenset({";", "{", "}", ":", "else", "do"})
#: After these, in a declaration, a type or another specifier follows.
_SPECIFIERS = frozenset({*_QUALIFIERS, *_STORAGE, "unsigned", "signed", "long", "short", "register", "__always_inline"})
#: Words that continue a type which is begun.
_ARITHMETIC = frozenset({"unsigned", "signed", "long", "short"})
_BEFORE_VALUES = frozenset({"return", "=", "(", ",", "==", "!=", "&&", "||", "!", "?", ":"})
#: The error codes most often returned in 6.1's drivers/base, drivers/net/ethernet/intel, fs, kernel, mm and net.
_ERRORS = ("EINVAL", "ENOMEM", "EOPNOTSUPP", "EFAULT", "EIO", "ENOENT", "EPERM", "EBUSY", "EAGAIN", "ENODEV", "ENOSPC",
           "EACCES", "EEXIST", "ERANGE", "ENXIO", "EINTR", "EPROBE_DEFER", "ETIMEDOUT", "EOVERFLOW",
           "ENODATA")  # fmt: skip
#: Beginnings of sort texts: before everything, behind locals that begin with the prefix, behind symbols that do.
_FIRST, _AFTER_LOCALS, _AFTER_SYMBOLS = "09", "11", "39"


def keywords(request: CompletionRequest, at: int) -> list[CompletionItem]:
    """What may follow token ``at``: after symbols for one letter, before them for more."""
    prefix = request.prefix
    if not prefix:
        return []
    place = _AFTER_LOCALS if len(prefix) > 1 else _AFTER_SYMBOLS
    if request.cursor.tokens[at] in _SPECIFIERS:
        place = _FIRST
    found: list[tuple[str, ItemKind]] = []
    words, names = _allowed(request, at)
    found += [(word, "keyword") for word in words]
    found += [(name, "type" if name in _TYPEDEFS else "macro") for name in names]
    starting = [(name, kind) for name, kind in dict(found).items() if name.startswith(prefix)]
    return [request.item(name, kind, f"{place}{order:02}") for order, (name, kind) in enumerate(starting)]


def _allowed(request: CompletionRequest, at: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(keywords, other names) that may follow token ``at``, the likeliest first."""
    tokens = request.cursor.tokens
    before = tokens[at]
    declarators = (*_TYPES, *_QUALIFIERS)
    if before in _SPECIFIERS:
        if before in _ARITHMETIC:
            return ("int", "long", "char", "short", *_QUALIFIERS), ()
        return (*declarators, *_STORAGE), _TYPEDEFS
    if _begins_declaration(request, at):
        return (*_STORAGE, *declarators), _TYPEDEFS
    is_condition = before == "(" and tokens[at - 1] in ("if", "while")
    if before in _BEFORE_STATEMENTS or (before == ")" and tokens.partner(at) > 0):
        return (*_STATEMENTS, *declarators, *_STORAGE, "sizeof"), _TYPEDEFS
    if is_condition:
        return ("sizeof",), (*_HINTS, *_VALUES)
    if before in ("(", ","):
        return (*declarators, "sizeof"), (*_VALUES, *_TYPEDEFS)
    return ("sizeof",), _VALUES


def _begins_declaration(request: CompletionRequest, at: int) -> bool:
    """True where a declaration of file level begins: in column 0, or outside functions after the one before."""
    data, start = request.source.data, request.start
    if data[start - 1 : start] in (b"", b"\n"):
        return request.cursor.tokens[at] != ","
    return request.cursor.function is None and request.cursor.tokens[at] in ("", ";", "}")


def error_codes(request: CompletionRequest, at: int) -> list[CompletionItem]:
    """After ``return -`` and its like the error codes, those returned most often first."""
    tokens, prefix = request.cursor.tokens, request.prefix
    if tokens[at] != "-" or tokens[at - 1] not in _BEFORE_VALUES or not "E".startswith(prefix[:1]):
        return []
    codes = [name for name in _ERRORS if name.startswith(prefix)]
    known = request.view.kinds_of(codes)
    codes = [name for name in codes if Kind.MACRO in known.get(name, {})]
    return [request.item(name, "macro", f"0{order:02}") for order, name in enumerate(codes)]
