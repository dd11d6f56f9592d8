"""What the text of one function says for certain: parameters, return type, errors it can return, locks, branches.

Corpus checks compare a comment with these facts. Where a fact cannot be read from the text alone, it allows anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from tree_sitter import Node, Parser

from kexpert.core.c.declarators import CType, read_declaration, read_parameter
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.masking import mask
from kexpert.core.c.parse import LANGUAGE
from kexpert.core.c.repair import errors
from kexpert.core.c.tokens import Tokens
from kexpert.core.c.word_scan import callees
from kexpert.core.kernel.lock_calls import LOCK_CALLS
from kexpert.core.kernel.locking_context import LockingRules, locking_rules
from kexpert.core.text import encode

#: ``SYSCALL_DEFINE3(name, type, name, …)``: parameters as pairs. Such a function returns long.
_PAIRED = re.compile(r"(?:COMPAT_)?SYSCALL(?:32)?_DEFINE\d?|BPF_CALL_\d")
_ERRNO = re.compile(rb"\bE[A-Z][A-Z0-9]+\b")
_DECISION = re.compile(rb"\b(?:if|for|while|switch|case|\w*for_each\w*)\b|&&|\|\|")
_CASTS = ("parenthesized_expression", "cast_expression")
_CONSTANT = re.compile(rb"[-~+]?\s*(?:\d\w*|E[A-Z0-9]+|NULL|true|false)|ERR_PTR\(\s*-\s*E[A-Z0-9]+\s*\)")
_MAX_DEPTH = 4  # of variables that hold variables


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """Facts of one function. Sets hold names as they are written."""

    name: str
    params: tuple[str, ...]  # "..." for a variable number
    return_type: str  # "int", "struct foo *"; "" if it cannot be read
    lines: int
    decisions: int  # branches, loops, cases and the operators && and ||
    calls: frozenset[str]
    errnos: frozenset[str]  # written anywhere in the body: "EINVAL"
    passes_values: bool  # returns what is not a plain constant: a call, a variable, a macro
    parse_errors: int
    locking: LockingRules
    taken: frozenset[str]  # last words of the locks that it takes itself: "lock" for &foo->lock

    @property
    def is_void(self) -> bool:
        return self.return_type == "void"

    @property
    def may_return_error(self) -> bool:
        """False if the return type has no room for an errno or an error pointer."""
        return self.return_type not in ("void", "bool", "_Bool", "irqreturn_t")


@lru_cache(maxsize=8)
def read_function(code: str) -> FunctionFacts | None:
    """Read the text of one function, from its return type to ``}``; None if it has no parameter list and body."""
    data = encode(code)
    tokens = Tokens(data)
    head = _head(tokens)
    if head is None:
        return None
    name, params, return_type, brace = head
    body = blank_comments(data[tokens.start(brace) :])
    root = _parse(data)
    calls = frozenset(word.decode("utf-8", "replace") for word in callees(body))
    return FunctionFacts(
        name, params, return_type, code.count("\n") + 1, len(_DECISION.findall(body)), calls,
        frozenset(match.decode() for match in _ERRNO.findall(body)), _passes_values(data, root),
        len(errors(root)), locking_rules(data), _taken(tokens, brace),
    )  # fmt: skip


def _head(tokens: Tokens) -> tuple[str, tuple[str, ...], str, int] | None:
    """(name, parameters, return type, token of the opening brace)."""
    if _PAIRED.fullmatch(tokens[0]) and tokens[1] == "(":
        parts = tokens.commas(2, tokens.past(1) - 1)
        brace = tokens.past(1)
        if not parts or tokens[brace] != "{":
            return None
        prefix = "" if tokens[0].startswith("BPF") else "sys_"
        return prefix + tokens[parts[0][0]], tuple(tokens[start] for start, _ in parts[2::2]), "long", brace
    declaration = read_declaration(tokens, 0)
    for declared in declaration.declared if declaration else ():
        if declared.parameters is None:
            continue
        opening, closing = declared.parameters
        brace = closing + 1
        while brace < len(tokens) and tokens[brace] not in ("{", ";"):
            brace = tokens.past(brace) if tokens[brace] == "(" else brace + 1
        if tokens[brace] != "{":
            return None
        params = tuple(_param(tokens, start, stop) for start, stop in tokens.commas(opening + 1, closing))
        returned = declared.type.returned()
        named = tuple(name for name in params if name)
        return declared.name, named, _text(returned) if returned else "", brace
    return None


def _text(of: CType) -> str:
    return of.text.removeprefix("const ") if not of.derived else of.text


def _param(tokens: Tokens, start: int, stop: int) -> str:
    if tokens[start] == "...":
        return "..."
    declared = read_parameter(tokens, start, stop)
    return declared.name if declared else ""


def _parse(data: bytes) -> Node:
    """The tree of a masked text. Not ``core.c.parse``, which also repairs what the author broke."""
    return Parser(LANGUAGE).parse(mask(data)).root_node


def syntax_errors(code: str) -> int:
    """The number of places where the grammar does not know a text, kernel macros and annotations aside."""
    return len(errors(_parse(encode(code))))


def _passes_values(data: bytes, root: Node) -> bool:
    """Return False if every ``return`` gives a plain constant, or a variable that only ever holds one.

    Then the function can return no error but those in its text.
    """
    returned: list[Node] = []
    assigned: dict[bytes, list[Node | None]] = {}  # None: a value that is not known
    stack = [root]
    while stack:
        node = stack.pop()
        stack.extend(node.named_children)
        if node.type == "return_statement":
            returned += [child for child in node.named_children if child.type != "comment"][:1]
        elif node.type in ("assignment_expression", "init_declarator"):
            target = node.child_by_field_name("left") or node.child_by_field_name("declarator")
            if target is not None and target.type == "identifier":
                operator = node.child_by_field_name("operator")
                plain = operator is None or operator.type == "="
                value = (node.child_by_field_name("right") or node.child_by_field_name("value")) if plain else None
                assigned.setdefault(_bytes(data, target), []).append(value)
        elif node.type in ("pointer_expression", "update_expression"):
            argument = node.child_by_field_name("argument")
            if argument is not None and argument.type == "identifier":
                assigned.setdefault(_bytes(data, argument), []).append(None)
    if not returned:
        return True

    def constant(node: Node | None, depth: int = 0) -> bool:
        while node is not None and node.type in _CASTS and node.named_children:
            node = node.named_children[-1]
        if node is None or depth > _MAX_DEPTH:
            return False
        if node.type == "conditional_expression":
            branches = (node.child_by_field_name("consequence"), node.child_by_field_name("alternative"))
            return all(constant(branch, depth + 1) for branch in branches)
        text = _bytes(data, node)
        if node.type == "identifier" and text in assigned:
            return all(constant(value, depth + 1) for value in assigned[text])
        return _CONSTANT.fullmatch(text) is not None

    return not all(map(constant, returned))


def _bytes(data: bytes, node: Node) -> bytes:
    return data[node.start_byte : node.end_byte]


def _taken(tokens: Tokens, brace: int) -> frozenset[str]:
    found = set()
    for at in range(brace, len(tokens)):
        call = LOCK_CALLS.get(tokens[at])
        if call is None or call.action != "take" or tokens[at + 1] != "(":
            continue
        if call.argument is None:
            found.add(call.name)
            continue
        arguments = tokens.commas(at + 2, tokens.past(at + 1) - 1)
        if call.argument < len(arguments):
            start, stop = arguments[call.argument]
            words = [tokens[token] for token in range(start, stop) if tokens.is_word(token)]
            found.update(words[-1:])
    return frozenset(found)
