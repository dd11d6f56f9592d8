"""The gates that a row passes before it may be learnt from. A row that fails one is dropped with the reason.

Six gates look at one row and are here; the seventh, near-duplicates, compares rows (``near_duplicates``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from kexpert.core.retrieval.words import STOP_WORDS, split_words, stem
from kexpert.prompt.chat import Task
from kexpert_trainer.data.claims import is_about_function, mentioned_params, parse_kernel_doc
from kexpert_trainer.data.licences import is_compatible
from kexpert_trainer.data.rows import Row
from kexpert_trainer.data.stated_facts import FunctionFacts, read_function, syntax_errors

#: A function must be longer than this.
MIN_FUNCTION_LINES = 10
_MAX_CODE_CHARS = 5_999  # longer code is cut in its row
_MIN_OUTPUT_CHARS, _MAX_OUTPUT_CHARS = 12, 1_600
_MIN_WORDS = 2  # of an answer

Gate = Callable[[Row, "FunctionFacts | None"], str]

_TEMPLATE = re.compile(
    r"(?:todo|fixme|xxx|tbd|n/?a|none|brief description\.?|description\.?|short description|function description"
    r"|see (?:above|below|there|\S+\(\))|same as (?:above|\S+\(\))|internal(?: function)?|callback(?: function)?"
    r"|helper(?: function)?|wrapper|stub|dummy|not (?:used|implemented|documented)|undocumented|unknown|\?+|\.+)",
    re.I,
)
_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|TBD)\b|\?\?\?|<[a-z ]+ here>")
_NUMBER_OR_NAME = re.compile(r"0x[\da-fA-F]+|\d+|\"[^\"]*\"|\w+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MIN_SHAPED_LINES = 6
_MAX_REPEATED_SHAPE = 0.6  # of the lines of a body
#: Words that any comment may hold without saying anything.
_EMPTY_WORDS = frozenset(
    stem(word)
    for word in (
        "function", "func", "routine", "method", "helper", "callback", "handler", "wrapper", "call", "perform", "this",
        "struct", "structure", "pointer", "ptr", "value", "given", "a", "get", "set", "used", "use", "use", "data",
        "info", "information", "return", "entry", "internal", "main", "generic", "main", "implementation", "object",
    )
)  # fmt: skip


def facts_of(row: Row) -> FunctionFacts | None:
    """The facts of the row's function; None for rows about something else, and for code that cannot be read."""
    return read_function(row.code) if row.kind == "function" else None


def length(row: Row, facts: FunctionFacts | None) -> str:
    """Functions of more than ``MIN_FUNCTION_LINES`` lines whose text is whole; answers that say something."""
    if row.kind == "function" and row.end_line - row.line + 1 <= MIN_FUNCTION_LINES:
        return f"function of at most {MIN_FUNCTION_LINES} lines"
    if len(row.code) > _MAX_CODE_CHARS:
        return "code is longer than a row holds"
    if len(row.output) < _MIN_OUTPUT_CHARS or len(row.output.split()) < _MIN_WORDS:
        return "answer is too short"
    if len(row.output) > _MAX_OUTPUT_CHARS:
        return "answer is too long"
    return ""


def parses(row: Row, facts: FunctionFacts | None) -> str:
    """Code that the C grammar reads without an error, after masking; answers of their task's form."""
    if not _is_unicode(row.output) or not _is_unicode(row.code):
        return "text is not UTF-8"
    if row.kind == "function" and facts is None:
        return "no function can be read"
    if facts is not None and facts.parse_errors:
        return "code has syntax errors"
    if row.code and row.kind not in ("function", "macro", "commit") and syntax_errors(row.code + ";"):
        return "code has syntax errors"
    if row.task is Task.KERNEL_DOC and parse_kernel_doc(row.output).malformed:
        return "answer has lines of another form"
    return ""


def boilerplate(row: Row, facts: FunctionFacts | None) -> str:
    """No generated files, no tables written as code, no comments that are templates or notes to their author."""
    if row.notes.get("generated"):
        return "generated file"
    if _TEMPLATE.fullmatch(row.output.strip(" .")):
        return "comment is a template"
    if _UNFINISHED.search(row.output):
        return "comment is unfinished"
    if facts is not None:
        lines = (line.strip(" \t{}") for line in row.code.partition("{")[2].split("\n"))
        shapes = Counter(_NUMBER_OR_NAME.sub("x", line) for line in lines if line)
        total = shapes.total()
        if total >= _MIN_SHAPED_LINES and shapes.most_common(1)[0][1] > _MAX_REPEATED_SHAPE * total:
            return "body repeats one form of line"
    return ""


def repeats_name(row: Row, facts: FunctionFacts | None) -> str:
    """A comment must hold a word that neither the name nor any comment has."""
    if row.task is Task.ANSWER:
        return ""
    if row.task is Task.KERNEL_DOC:
        answer = parse_kernel_doc(row.output)
        texts = [(name, text) for name, text in answer.params]
        if texts and all(not new_words(text, name, row.name) for name, text in texts) and not answer.returns:
            return "texts repeat the parameters' names"
        return ""
    return "" if new_words(row.output, row.name) else "comment repeats the name"


def params_match(row: Row, facts: FunctionFacts | None) -> str:
    """All parameters are documented, and no other; a comment marks no name that the function does not have."""
    if facts is None or not is_about_function(row):
        return ""
    if row.task is Task.KERNEL_DOC:
        documented = {name for name, _ in parse_kernel_doc(row.output).params}
        if documented - set(facts.params):
            return "documents a parameter that the function does not have"
        if set(facts.params) - documented:
            return "leaves out a parameter"
    if any(name not in row.code for name in mentioned_params(row.output)):
        return "marks a name that the function does not have"
    return ""


def licence(row: Row, facts: FunctionFacts | None) -> str:
    """A licence that is named and compatible with GPL-2.0."""
    if not row.licence:
        return "file names no licence"
    return "" if is_compatible(row.licence) else f"licence {row.licence}"


#: Gates of single rows, in the order in which they are asked; the first that fails counts.
GATES: dict[str, Gate] = {
    "length": length, "parse": parses, "boilerplate": boilerplate, "repeats-name": repeats_name,
    "parameters": params_match, "licence": licence,
}  # fmt: skip
NEAR_DUPLICATE = "near-duplicate"


def first_failure(row: Row) -> tuple[str, str]:
    """(gate, reason) of the first gate that a row fails; ("", "") if it passes all."""
    for name, gate in GATES.items():
        facts = None if gate is length else facts_of(row)  # most rows that are dropped need not be parsed
        if reason := gate(row, facts):
            return name, reason
    return "", ""


def _is_unicode(text: str) -> bool:
    """False for a text with bytes that are not UTF-8 (see ``core.text.decode``)."""
    return text.isascii() or not _SURROGATE.search(text)


def new_words(text: str, *names: str) -> set[str]:
    """The stems of a text's words that are in none of ``names`` and say something."""
    known = {stem(word) for name in names for word in split_words(name)}
    joined = "".join(re.findall("[a-z]+", "".join(names).lower()))
    words = {word for word in split_words(text) if word not in STOP_WORDS}
    found = {stem(word) for word in words if not (len(word) > 3 and word in joined)}
    return found - known - _EMPTY_WORDS
