"""What the code of a function says for its kernel-doc: a brief line, the context, the return value, uses of parameters.

Texts are prose for a comment: code in it is between double backticks, as kernel-doc writes literals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tree_sitter import Node

from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.explain.body import Body, walk
from kexpert.features.explain.callee_effects import body_in_tree
from kexpert.features.explain.contexts import context_statements
from kexpert.features.explain.explanation import FactKind, ReturnValue, Statement
from kexpert.features.explain.flow import Flow
from kexpert.features.explain.locks import lock_rules, lock_statements, lock_uses
from kexpert.features.explain.returns import ReturnAnalysis, return_table
from kexpert.features.explain.step_words import is_worth_telling
from kexpert.features.explain.users import users
from kexpert.features.kerneldoc.declaration import Declaration
from kexpert.view import View

_MAX_CONDITION_CHARS = 48
_MAX_CONDITIONS = 4  # values with their conditions; of more, the values alone
_MAX_VALUES = 7
_ERRNO = re.compile(r"`(?:ERR_PTR\()?-(E[A-Z0-9]+)\)?`")
_CONSTANT = re.compile(r"`([A-Z][A-Z0-9_]+|-?\d\w*|true|false|NULL)`")
_CALL_RESULT = re.compile(r"what `([\w>.\-]+\(\))` returns")
_ERROR_IN = re.compile(r"(?:0, or )?the error in `([^`]+)`")
_NAMES = re.compile(r"(?<![\w.>])[A-Za-z_]\w*")
_CALL_ERROR = re.compile(r"(?:0, or )?the error of `([\w>.\-]+\(\))`")
#: Statements about a context that belong into a comment, by their beginnings.
_CONTEXTS = ("May sleep", "Runs as ", "Handles an interrupt", "Turns ", "Uses `rcu_dereference()`")


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """``returns`` is "" where nothing certain is known; ``is_certain``: it names every value."""

    entry: str = ""
    only_step: str = ""
    context: str = ""
    returns: str = ""
    is_certain: bool = False
    #: Parameter -> "passed to foo()".
    uses: dict[str, str] | None = None


def code_facts(view: View, source: Source, symbol: Symbol, declaration: Declaration) -> CodeFacts:
    """Facts of the body of a function, a system call or a macro; nothing for other definitions."""
    if symbol.kind not in (Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO):
        return CodeFacts()
    body = body_in_tree(view, source, symbol)
    uses = {each.name: use for each in declaration.parameters if (use := use_of(body, each.name))}
    if symbol.kind is Kind.MACRO:
        return CodeFacts(uses=uses)
    flow = Flow(body)
    analysis = ReturnAnalysis(body, flow)
    locks = lock_uses(body, flow)
    rules = lock_rules(body, flow, locks)
    context = _context(lock_statements(body, flow, locks, rules), context_statements(body, flow))
    returns, is_certain = "", False
    if declaration.returns is not None:
        own = body.locals.difference(body.parameters)
        returns, is_certain = _returns(return_table(body, analysis), declaration.returns.text, own)
        is_certain &= flow.complete and not analysis.exhausted
    return CodeFacts(_entry(view, symbol), _only_step(body), context, returns, is_certain, uses)


def _entry(view: View, symbol: Symbol) -> str:
    """"the ``.open`` operation of struct file_operations", "the system call ``open``"."""
    facts = [fact for fact in users(view, symbol).facts if fact.kind is FactKind.ENTRY]
    for fact in facts:
        if match := re.match(r"is `\.(\w+)` of `struct (\w+)`(?: in `(\w+)`)?", fact.text):
            return f"the .{match[1]} operation of struct {match[2]}" + (f" {match[3]}" if match[3] else "")
        if match := re.match(r"is the system call `(\w+)`", fact.text):
            return f"the system call {match[1]}()"
        if match := re.match(r"serves a (read|write) of the sysfs file `(\w+)`", fact.text):
            return f"{'show' if match[1] == 'read' else 'store'} the sysfs attribute {match[2]}"
    return ""


def _only_step(body: Body) -> str:
    """"call foo_bar()" of a function that does nothing else."""
    statements = [child for child in body.root.named_children if child.type != "comment"] if body.root else []
    if len(statements) != 1 or statements[0].type not in ("expression_statement", "return_statement"):
        return ""
    inner = statements[0].named_children[0] if statements[0].named_children else None
    if inner is None:
        return ""
    call = body.call(inner) if inner.type == "call_expression" else None
    if call is not None and is_worth_telling(call.name):
        return f"call {body.shown(call.node.named_children[0], 50)}()"
    if statements[0].type == "return_statement" and inner.type in ("field_expression", "number_literal", "identifier"):
        return f"return {body.shown(inner, 50)}"
    return ""


# -- context -------------------------------------------------------------------------------------


def _context(locks: list[Statement], contexts: list[Statement]) -> str:
    sentences = []
    for statement in [*contexts, *locks]:
        text = statement.text
        if statement in contexts and not text.startswith(_CONTEXTS):
            continue
        sentences.append(_sentence(text))
    return " ".join(dict.fromkeys(sentence for sentence in sentences if sentence))


def _sentence(text: str) -> str:
    if text.startswith("May sleep"):
        is_certain = " if " not in text and " unless " not in text
        return "Process context. May sleep." if is_certain else "May sleep."
    if text.startswith("Uses `rcu_dereference()`"):
        return "The caller holds the RCU read side."
    text = re.sub(r" \(`\w+\(\)`\)\Z", "", text)
    text = re.sub(r"\ATakes (.*), released before it returns\Z", r"Takes and releases \1", text)
    return literal(text).rstrip(".") + "."


# -- return --------------------------------------------------------------------------------------


def _returns(rows: tuple[ReturnValue, ...], type_text: str, named: frozenset[str]) -> tuple[str, bool]:
    """(the values with their conditions, whether all values are named)"""
    told = [(row, text) for row in rows if (text := _value(row.value, named))]
    if not told:
        return "", False
    is_whole = len(told) == len(rows) and len(told) <= _MAX_VALUES
    has_errors = any("-E" in text or "error of" in text or "result of" in text for _, text in told)
    with_conditions = len(told) <= _MAX_CONDITIONS
    items = []
    for row, text in told[:_MAX_VALUES]:
        if text == "0" and has_errors and type_text in ("int", "long", "ssize_t"):
            items.append("0 on success")
            continue
        when = _condition(row, named) if with_conditions else ""
        items.append(f"{text} if {when}" if when else text)
    if not is_whole:
        items.append("another error" if has_errors and len(told) > _MAX_VALUES else "another value")
    joined = items[0] if len(items) == 1 else f"{', '.join(items[:-1])}{',' * (len(items) > 2)} or {items[-1]}"
    return f"The {joined[4:]}" if joined.startswith("the ") else joined, is_whole


def _value(words: str, named: frozenset[str]) -> str:
    """A row's value for a comment; "" for one with a local variable (``named``), which says nothing to a caller."""
    if match := _ERRNO.fullmatch(words):
        return f"ERR_PTR(-{match[1]})" if "ERR_PTR" in words else f"-{match[1]}"
    if match := _CONSTANT.fullmatch(words):
        return match[1]
    if match := _CALL_RESULT.match(words):
        return f"the result of {match[1]}"
    if match := _CALL_ERROR.match(words):
        return f"the error of {match[1]}"
    match = _ERROR_IN.fullmatch(words)
    code = match[1] if match else words.strip("`")
    if words.count("`") != 2 or named & set(_NAMES.findall(code)) or len(code) > _MAX_CONDITION_CHARS:
        return ""
    return "" if "\u2026" in code else f"the error in ``{code}``" if match else f"``{code}``"


def _condition(row: ReturnValue, named: frozenset[str]) -> str:
    """The only condition of a row, if it is short and speaks of what a caller knows."""
    texts = [statement.text for statement in row.when]
    if len(texts) != 1 or not texts[0] or len(texts[0]) > _MAX_CONDITION_CHARS or "\u2026" in texts[0]:
        return ""
    return "" if named & set(_NAMES.findall(texts[0])) else literal(texts[0])


# -- parameters ----------------------------------------------------------------------------------


def use_of(body: Body, name: str) -> str:
    """The first thing that a function does with a parameter: passes it on, stores it, writes through it."""
    if body.root is None or not name.isidentifier():
        return ""
    for node in walk(body.root):
        if node.type == "call_expression" and (call := body.call(node)) and is_worth_telling(call.name):
            if any(_is_name(body, argument, name) for argument in call.arguments) and not call.member:
                return f"passed to {call.name}()"
        elif node.type == "assignment_expression":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if left is None or right is None:
                continue
            if left.type == "field_expression" and _is_name(body, right, name):
                target = body.shown(left, 40)
                return f"stored in ``{target}``" if "\u2026" not in target else ""
            if body.text(left) == f"*{name}":
                return "written by the function"
    return ""


def _is_name(body: Body, node: Node, name: str) -> bool:
    while node.type in ("parenthesized_expression", "cast_expression") and node.named_children:
        node = node.named_children[-1]
    return node.type == "identifier" and body.text(node) == name


def literal(text: str) -> str:
    """Code between backticks -> between double backticks."""
    return text.replace("`", "``")
